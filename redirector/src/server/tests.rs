use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;

use super::*;
use crate::config::ZoneConfig;

/// A configuration that a check has nothing to say about, while the folder with its key stands.
fn sound() -> (Config, TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let keys_file = dir.path().join("keys");
    fs::write(&keys_file, "ehb1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").expect("written");
    fs::set_permissions(&keys_file, fs::Permissions::from_mode(0o600)).expect("mode set");
    let mut sound = Config::default();
    sound.heartbeat.keys_file = keys_file.display().to_string();
    assert_eq!(Server::check(&sound).expect("all is well"), [""; 0]);
    (sound, dir)
}

#[test]
fn proxies_that_are_everybody_are_remarked_upon() {
    let (sound, _dir) = sound();
    for (proxies, remarked) in [("10.0.0.0/8", false), ("0.0.0.0/0", true), ("::/0", true)] {
        let mut config = sound.clone();
        config.client.trusted_proxies = vec!["192.0.2.1".into(), proxies.into()];
        let notes = Server::check(&config).expect("it is allowed");
        let named = notes.iter().any(|note| note.contains("client.trusted_proxies"));
        assert_eq!(named, remarked, "{proxies}: {notes:?}");
    }
}

#[test]
fn a_check_sees_every_file_and_text_that_a_start_would_trip_over() {
    let (sound, _dir) = sound();
    type Fault = (&'static str, fn(&mut Config));
    let faults: [Fault; 9] = [
        ("heartbeat.allowed_redirect_hosts", |config| {
            config.heartbeat.allowed_redirect_hosts = vec!["*.x".into()];
        }),
        ("client.tls_cert", |config| {
            config.client.tls_cert = "/nowhere".into();
            config.client.tls_key = "/nowhere".into();
        }),
        ("admin.tls_cert", |config| {
            config.admin.tls_cert = "/nowhere".into();
            config.admin.tls_key = "/nowhere".into();
        }),
        ("admin.tokens_file", |config| config.admin.tokens_file = "/nowhere".into()),
        ("selection.geoip_file", |config| config.selection.geoip_file = "/nowhere.mmdb".into()),
        ("selection.geoip_file", |config| {
            config.selection.geoip_file = env!("CARGO_MANIFEST_DIR").into();
        }),
        ("selection.geoip_file", |config| {
            config.selection.geoip_file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into();
        }),
        ("telemetry.log", |config| config.telemetry.log = "bad=[=".into()),
        ("telemetry.otlp_endpoint", |config| config.telemetry.otlp_endpoint = "here".into()),
    ];
    for (key, spoil) in faults {
        let mut config = sound.clone();
        spoil(&mut config);
        let said = Server::check(&config).expect_err(key).to_string();
        assert!(said.starts_with(key) && said.matches(key).count() == 1, "{key}: {said}");
    }
}

/// Some countries by network, as control's tests make it.
const PLACES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../control/src/selection/zones/tests/places.mmdb");

fn with_places(config: &mut Config, file: &std::path::Path) {
    let zone = |name: &str, place: &str| ZoneConfig {
        name: name.into(),
        places: vec![place.into()],
        ..ZoneConfig::default()
    };
    config.selection.geoip_file = file.display().to_string();
    config.selection.zone = vec![zone("de", "DE"), zone("us", "NA")];
}

#[test]
fn clients_are_found_in_the_file_that_is_named_and_in_what_it_becomes() {
    let (mut config, dir) = sound();
    let file = dir.path().join("places.mmdb");
    fs::copy(PLACES, &file).expect("a copy");
    with_places(&mut config, &file);
    let checked = Checked::read(&config).expect("it can be read");
    let zones = checked.selection.zones;
    let name = |client: [u8; 4]| {
        zones.of(client.into()).map(|zone| zones.names()[usize::from(zone.0)].clone())
    };
    assert_eq!(name([198, 51, 100, 1]).as_deref(), Some("de"));
    assert_eq!(name([203, 0, 113, 1]), None);

    let geoip_file = checked.geoip_file.expect("a file is named");
    fs::write(&file, b"spoilt").expect("written");
    let said = geoip_file.reload().expect_err("it is no such file");
    assert!(said.contains("selection.geoip_file") && said.contains("places.mmdb"), "{said}");
    assert_eq!(name([198, 51, 100, 1]).as_deref(), Some("de"), "the old one stays");
    // Germany's code becomes that of nowhere.
    let mut bytes = fs::read(PLACES).expect("the sample");
    let at = bytes.windows(2).position(|pair| pair == b"DE").expect("it names Germany");
    bytes[at..at + 2].copy_from_slice(b"XX");
    fs::write(&file, bytes).expect("written");
    geoip_file.reload().expect("it can be read");
    assert_eq!(name([198, 51, 100, 1]), None, "the new one counts");
}

#[test]
fn an_overflow_that_is_this_redirector_is_refused() {
    let (sound, _dir) = sound();
    for (listen, overflow, refused) in [
        ("192.0.2.1:1935", "rtmp://192.0.2.1", true),
        ("192.0.2.1:80", "http://192.0.2.1", true),
        ("0.0.0.0:1935", "rtmp://127.0.0.1:1935", true),
        ("[::]:1935", "rtmp://[::1]:1935", true),
        ("192.0.2.1:1935", "http://192.0.2.1", false),
        ("192.0.2.1:1935", "rtmp://192.0.2.2", false),
    ] {
        let mut config = sound.clone();
        config.client.listen = vec![listen.into()];
        config.selection.overflow = vec!["https://cdn.example.com".into(), overflow.into()];
        let said = Server::check(&config).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(said.starts_with("selection.overflow"), refused, "{listen} {overflow}: {said}");
    }
}
