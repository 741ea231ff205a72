use std::collections::BTreeSet;

use tidegate_proto::settings;

use super::*;

fn parsed(text: &str) -> Result<Config, String> {
    let table = settings::parse_file::<Config>(text).map_err(|error| error.to_string())?;
    let config: Config = table.try_into().map_err(|e: toml::de::Error| e.to_string())?;
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

#[test]
fn every_scalar_key_has_a_flag_and_a_twin() {
    let listed: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.path.to_owned()).collect();
    let present: BTreeSet<_> = settings::scalar_paths(&Config::default()).into_iter().collect();
    assert_eq!(listed, present);
}

#[test]
fn the_defaults_are_acceptable() {
    assert!(Config::default().check().is_ok());
}

#[test]
fn one_address_or_several() {
    let config = parsed("[client]\nlisten = \"127.0.0.1:1\"\n").expect("one");
    assert_eq!(config.client.listen, ["127.0.0.1:1"]);
    let config = parsed("[client]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\n").expect("two");
    assert_eq!(config.client_addresses().map(|all| all.len()).ok(), Some(2));
}

#[test]
fn each_fault_names_its_key() {
    for (text, key) in [
        ("[clinet]\n", "clinet"),
        ("[client]\nlisten = \"here\"\n", "client.listen"),
        ("[client]\nlisten = []\n", "client.listen"),
        ("[client]\nredirect_scheme = \"ftp\"\n", "client.redirect_scheme"),
        ("[client]\nignore_clients = [\"10.0.0.0/33\"]\n", "client.ignore_clients"),
        ("[client]\ntls_cert = \"x\"\n", "client.tls_cert"),
        ("[[client.rtmp_app]]\nmode = \"bogus\"\n", "client.rtmp_app.mode"),
        ("[[client.rtmp_app]]\nredirect_scheme = \"ftp\"\n", "client.rtmp_app.redirect_scheme"),
        ("[selection]\npolicy = \"magic\"\n", "selection.policy"),
        ("[liveness]\npanic_share = 7.0\n", "liveness.panic_share"),
        ("[liveness]\nforget_after = \"0s\"\n", "liveness.forget_after"),
        ("[heartbeat]\nedges_max = 0\n", "heartbeat.edges_max"),
        ("[client]\nconnections_max = 0\n", "client.connections_max"),
        ("[telemetry]\nlog_format = \"xml\"\n", "telemetry.log_format"),
        ("[ops]\nstop_delay = \"soon\"\n", "stop_delay"),
    ] {
        let said = parsed(text).expect_err(text);
        assert!(said.contains(key), "{text:?}: {said}");
    }
}
