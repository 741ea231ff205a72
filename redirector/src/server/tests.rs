use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;

use super::*;

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
    let faults: [Fault; 6] = [
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
