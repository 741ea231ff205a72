use std::collections::BTreeSet;

use tidegate_proto::{edge::Scheme, settings};

use super::*;
use crate::answer::apps::{App, Mode};

pub(super) fn parsed(text: &str) -> Result<Config, String> {
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
        ("[selection]\npolicy = \"magic\"\n", "selection.policy"),
        ("[liveness]\npanic_share = 7.0\n", "liveness.panic_share"),
        ("[liveness]\nforget_after = \"0s\"\n", "liveness.forget_after"),
        ("[heartbeat]\nedges_max = 0\n", "heartbeat.edges_max"),
        ("[client]\nconnections_max = 0\n", "client.connections_max"),
        ("[client]\nconnections_per_address_max = 10_000_001\n", "connections_per_address_max"),
        ("[client]\nrtmp_redirects_per_second = 100_001\n", "client.rtmp_redirects_per_second"),
        ("[client]\nrtmp_redirects_burst = 0\n", "client.rtmp_redirects_burst"),
        ("[client]\nrtmpt_sessions_max = 1_000_001\n", "client.rtmpt_sessions_max"),
        ("[client]\nsplices_max = 1_000_001\n", "client.splices_max"),
        ("[telemetry]\nlog_format = \"xml\"\n", "telemetry.log_format"),
        ("[ops]\nstop_delay = \"soon\"\n", "stop_delay"),
        ("[ops]\nfirst_edge_wait = 3\n", "first_edge_wait"),
    ] {
        let said = parsed(text).expect_err(text);
        assert!(said.contains(key), "{text:?}: {said}");
    }
}

#[test]
fn each_fault_of_an_application_names_it_and_the_way_out() {
    for (text, words) in [
        ("name = \"\"", [".name of \"\"", "first segment"]),
        ("name = \"a/b\"", [".name of \"a/b\"", "without slashes"]),
        ("name = \"a b\"", [".name of \"a b\"", "first segment"]),
        ("name = \"..\"", [".name of \"..\"", "first segment"]),
        ("mode = \"bogus\"", [".mode of \"*\"", "redirect or splice"]),
        ("redirect_scheme = \"ftp\"", [".redirect_scheme of \"*\"", "rtmps"]),
        ("redirect_scheme = \"https\"", [".redirect_scheme of \"*\"", "rtmp, rtmps"]),
        ("redirect_app = \"rtmp://edge/live\"", [".redirect_app of \"*\"", "without a scheme"]),
        ("redirect_app = \"//live\"", [".redirect_app of \"*\"", "without a scheme"]),
        ("redirect_app = \"live/\"", [".redirect_app of \"*\"", "without a scheme"]),
        ("redirect_app = \"live?t=1\"", [".redirect_app of \"*\"", "or a query"]),
        ("redirect_app = \"/\"", [".redirect_app of \"*\"", "without a scheme"]),
        ("redirect_port = 65536", ["redirect_port", "65536"]),
        ("reconnect = true", ["reconnect", "unknown"]),
        ("mode = \"splice\"\nreconnect_request = true", [".mode of \"*\"", "reconnect_request"]),
        (
            "mode = \"splice\"\nredirect_on_connect = false",
            [".mode of \"*\"", "leave redirect_on_connect out"],
        ),
        (
            "mode = \"splice\"\nredirect_scheme = \"rtmps\"",
            [".mode of \"*\"", "leave redirect_scheme out"],
        ),
        ("name = \"a\"\n[[client.rtmp_app]]\nname = \"a\"", ["client.rtmp_app", "join them"]),
        ("[[client.rtmp_app]]", ["client.rtmp_app", "join them"]),
    ] {
        let said = parsed(&format!("[[client.rtmp_app]]\n{text}\n")).expect_err(text);
        for word in words {
            assert!(said.contains(word), "{text:?}: {word:?} is not in {said}");
        }
    }
}

#[test]
fn applications_are_read_as_they_are_written() {
    let config = parsed(
        r#"
        [[client.rtmp_app]]
        name = "live"
        mode = "splice"
        redirect_scheme = "rtmp"
        [[client.rtmp_app]]
        redirect_app = "/edge/main"
        redirect_scheme = "rtmpts"
        redirect_port = 443
        redirect_on_connect = false
        reconnect_request = true
        "#,
    )
    .expect("two applications");
    let expected = [
        App { mode: Mode::Splice, redirect_scheme: Some(Scheme::Rtmp), ..App::named("live") },
        App {
            redirect_app: Some("edge/main".into()),
            redirect_scheme: Some(Scheme::Rtmpts),
            redirect_port: Some(443),
            redirect_on_connect: false,
            reconnect_request: true,
            ..App::named("*")
        },
    ];
    assert_eq!(config.rtmp_apps().expect("checked"), expected);
}

const EXAMPLE: &str = include_str!("../../../docs/examples/redirector.toml");

#[test]
fn the_example_file_is_every_key_with_its_default() {
    assert_eq!(parsed(EXAMPLE).expect("the example is valid"), Config::default());
    let table: toml::Table = EXAMPLE.parse().expect("the example is TOML");
    for path in settings::scalar_paths(&Config::default()) {
        let mut keys = path.split('.');
        let first = keys.next().and_then(|key| table.get(key));
        let found = keys.try_fold(first, |value, key| Some(value?.get(key)));
        assert!(found.flatten().is_some(), "{path} is missing");
    }
}

#[test]
fn the_examples_of_tables_that_repeat_are_every_key_with_its_default() {
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.starts_with("[[") || (key != line && !key.contains(' '))
    };
    let lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix("# "));
    let shown: Vec<_> = lines.filter(|line| is_key(line)).collect();
    let config: Config =
        toml::from_str(&shown.join("\n")).expect("the tables are of the right kind");
    assert_eq!(config.client.rtmp_app, [RtmpApp::default()]);
    assert_eq!(config.selection.rule, [RuleConfig::default()]);
    assert_eq!(config.selection.zone, [ZoneConfig::default()]);
    let keys = |table: Result<toml::Table, _>| 1 + table.expect("a table").len();
    let every = keys(toml::Table::try_from(RtmpApp::default()))
        + keys(toml::Table::try_from(RuleConfig::default()))
        + keys(toml::Table::try_from(ZoneConfig::default()));
    assert_eq!(shown.len(), every, "{shown:?}");
}
