//! Files that change under a running redirector are taken up, although nobody says so.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use tidegate_proto::{key::format_fleet_key, seal::FleetKey};
use tidegate_tests::{
    credentials::{Tokens, write_certificates},
    edge::SimulatedEdge,
    process::Ran,
    programs::{Redirector, write_secret},
    scene::Scene,
    tools::{Grpcurl, curl},
    wait::{SOON, eventually},
};

/// A folder as Kubernetes mounts a Secret: each file is a link into `..data`, a link to the folder of
/// a version. `write` makes the files of the first version.
fn mount(folder: &Path, names: &[&str], write: impl FnOnce(&Path)) {
    fs::create_dir_all(folder).expect("a folder");
    swap(folder, "..first", write);
    for name in names {
        symlink(Path::new("..data").join(name), folder.join(name)).expect("a link");
    }
}

/// Brings another version, as the kubelet does: in a folder of its own, then all at once.
fn swap(folder: &Path, version: &str, write: impl FnOnce(&Path)) {
    fs::create_dir(folder.join(version)).expect("a folder");
    write(&folder.join(version));
    symlink(version, folder.join("..data_tmp")).expect("a link");
    let before = fs::read_link(folder.join("..data"));
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("swapped");
    if let Ok(before) = before {
        fs::remove_dir_all(folder.join(before)).expect("the old version goes");
    }
}

fn write_keys(folder: &Path, keys: &[&FleetKey]) {
    let lines = keys.iter().map(|key| format!("{}\n", *format_fleet_key(key)));
    write_secret(&folder.join("keys"), &lines.collect::<String>());
}

fn until_said(redirector: &Redirector, words: &str, times: usize) {
    eventually(SOON, words, || {
        let log = redirector.output();
        if log.matches(words).count() == times { Ok(()) } else { Err(log) }
    });
}

#[test]
fn a_swapped_secret_with_other_keys_is_taken_up_and_a_bad_one_is_said_once() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (FleetKey::random(), FleetKey::random());
    mount(home.path(), &["keys"], |version| write_keys(version, &[&old]));
    let file = home.path().join("keys").display().to_string();
    let redirector = Redirector::start_with(&[("heartbeat-keys-file", &file)]);
    let scene = Scene::around(redirector, &[]);
    scene.edges.with(|edges| edges.push(SimulatedEdge::new(&new, "edge-1")));
    swap(home.path(), "..second", |version| write_keys(version, &[&old, &new]));
    scene.redirector.until_liveness("edge-1", "UP");
    until_said(&scene.redirector, "keys read again", 1);

    swap(home.path(), "..third", |version| write_secret(&version.join("keys"), "nonsense\n"));
    until_said(&scene.redirector, "keys not read again; the old ones stay", 1);
    // Not a wait for anything: it is looked at again in this time, and has nothing more to say.
    std::thread::sleep(Duration::from_secs(6));
    until_said(&scene.redirector, "keys not read again; the old ones stay", 1);
    let edge = scene.redirector.edge("edge-1").expect("known");
    assert_eq!(edge["liveness"], "LIVENESS_UP", "{edge}");

    swap(home.path(), "..fourth", |version| write_keys(version, &[&new]));
    until_said(&scene.redirector, "keys read again", 2);
}

/// Asks the clients' port over TLS, trusting the authority of a folder.
fn ask(redirector: &Redirector, trusted: &Path) -> Ran {
    let ca = trusted.join("ca.pem").display().to_string();
    curl(&["--cacert", &ca, &format!("https://{}/crossdomain.xml", redirector.ports().client)])
}

fn until_trusted(redirector: &Redirector, trusted: &Path) {
    eventually(SOON, "the new certificate is shown", || match ask(redirector, trusted) {
        Ran { code: Some(0), .. } => Ok(()),
        ran => Err(format!("{ran:?}")),
    });
}

#[test]
fn a_certificate_and_its_key_are_taken_up_together_and_a_pair_that_does_not_fit_is_not() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mounted = home.path().join("tls");
    let at = |name: &str| mounted.join(name);
    mount(&mounted, &["server.pem", "server.key", "ca.pem"], write_certificates);
    let redirector = Redirector::start_with_tls("", &mounted);
    until_trusted(&redirector, &mounted);
    swap(&mounted, "..second", write_certificates);
    until_trusted(&redirector, &mounted);

    // Another key comes first, as where a tool replaces one file after the other.
    let third = home.path().join("third");
    fs::create_dir(&third).expect("a folder");
    write_certificates(&third);
    let second = home.path().join("second");
    fs::create_dir(&second).expect("a folder");
    fs::copy(at("ca.pem"), second.join("ca.pem")).expect("a copy");
    fs::copy(third.join("server.key"), at("server.key")).expect("a copy");
    until_said(&redirector, "the clients' certificate not read again; the old ones stay", 1);
    assert_eq!(ask(&redirector, &second).code, Some(0), "the old pair is still shown");
    fs::copy(third.join("server.pem"), at("server.pem")).expect("a copy");
    until_trusted(&redirector, &third);
}

#[test]
fn tokens_and_the_admin_certificate_are_taken_up_each_for_itself() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut tokens = None;
    mount(home.path(), &["server.pem", "server.key", "ca.pem", "tokens"], |version| {
        write_certificates(version);
        tokens = Some(Tokens::write(version));
    });
    let old = tokens.expect("written");
    let at = |name: &str| home.path().join(name).display().to_string();
    let redirector = Redirector::start_with(&[
        ("admin-tls-cert", &at("server.pem")),
        ("admin-tls-key", &at("server.key")),
        ("admin-tokens-file", &at("tokens")),
    ]);
    let list = |token: &str| {
        Grpcurl::tls(redirector.ports().admin, &home.path().join("ca.pem"))
            .with_token(token)
            .fleet("ListEdges", &serde_json::json!({}))
    };
    list(&old.viewer).expect("the token is good");
    let mut tokens = None;
    swap(home.path(), "..second", |version| {
        write_certificates(version);
        tokens = Some(Tokens::write(version));
    });
    let new = tokens.expect("written");
    eventually(SOON, "the new token is good under the new certificate", || {
        list(&new.viewer).map_err(|refusal| refusal.message)
    });
    let said = list(&old.viewer).expect_err("it is void").message;
    assert!(said.contains("bearer token is not valid"), "{said}");

    swap(home.path(), "..third", |version| {
        write_certificates(version);
        write_secret(&version.join("tokens"), "viewer broken\n");
    });
    until_said(&redirector, "the admin API's tokens not read again; the old ones stay", 1);
    eventually(SOON, "the certificate is taken up beside broken tokens", || {
        list(&new.viewer).map_err(|refusal| refusal.message)
    });
}
