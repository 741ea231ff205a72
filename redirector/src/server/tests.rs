use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

#[test]
fn a_check_sees_every_file_and_text_that_a_start_would_trip_over() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let keys_file = dir.path().join("keys");
    fs::write(&keys_file, "ehb1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n").expect("written");
    fs::set_permissions(&keys_file, fs::Permissions::from_mode(0o600)).expect("mode set");
    let mut sound = Config::default();
    sound.heartbeat.keys_file = keys_file.display().to_string();
    assert!(Server::check(&sound).is_ok());
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
