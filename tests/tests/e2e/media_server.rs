//! agent/examples/media_server.rs: a media server that reports itself to a real redirector.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use rustix::process::Signal;
use serde_json::Value;
use tidegate_proto::key::format_fleet_key;
use tidegate_tests::{
    process::Process,
    programs::{Redirector, program, target_line, write_secret},
    wait::{SOON, eventually},
};

fn start(redirector: &Redirector, home: &Path) -> (Process, SocketAddr) {
    let key = format_fleet_key(redirector.key());
    write_secret(&home.join("targets"), &target_line(redirector.ports().heartbeat, &key));
    let mut command = program("examples/media_server");
    command.current_dir(home).args([
        "--targets=targets",
        "--state-dir=state",
        "--name=edge-1",
        "--listen=127.0.0.1:0",
        "--ports-file=ports.json",
    ]);
    let process = Process::start(command, &home.join("log"));
    let ports: Value = eventually(SOON, "the server listens", || {
        let text = std::fs::read(home.join("ports.json")).map_err(|error| error.to_string())?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    });
    let address = ports["http_tcp"].as_str().and_then(|text| text.parse().ok());
    (process, address.unwrap_or_else(|| panic!("no http_tcp in {ports}")))
}

/// Follows the redirect as a player does, and watches until it is dropped.
fn watch(location: &str, server: SocketAddr) -> TcpStream {
    let rest = location.strip_prefix("http://").expect("an HTTP URL");
    let (host, path) = rest.split_once('/').expect("a path");
    assert_eq!(host, server.to_string());
    let mut viewer = TcpStream::connect(server).expect("connected");
    viewer.set_read_timeout(Some(SOON)).expect("a time-out");
    write!(viewer, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("asked");
    let mut stream = [0; 2_048];
    viewer.read_exact(&mut stream).expect("a stream");
    assert!(stream.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&stream));
    viewer
}

#[test]
fn it_counts_its_viewers_pauses_and_says_goodbye() {
    let redirector = Redirector::start();
    let home = tempfile::tempdir().expect("a temporary folder");
    let (mut process, address) = start(&redirector, home.path());
    redirector.until("edge-1", "UP and eligible", |edge| edge["eligible"] == true);
    let reply = redirector.get("/live/cam");
    assert_eq!(reply.status, 302, "{reply:?}");
    let viewers: Vec<_> = (0..3).map(|_| watch(reply.location(), address)).collect();
    let edge = redirector.until("edge-1", "at 3 viewers", |edge| edge["load"]["viewers"] == 3);
    assert_eq!(edge["serverVersion"], "example/1.0", "{edge}");
    drop(viewers);
    redirector.until("edge-1", "without viewers", |edge| edge["load"]["viewers"] == 0);

    process.signal(Signal::USR1);
    redirector.until("edge-1", "paused", |edge| edge["paused"] == true);
    assert_eq!(redirector.get("/live/cam").status, 503);
    process.signal(Signal::USR1);
    redirector.until("edge-1", "taking viewers again", |edge| edge["eligible"] == true);

    process.terminate();
    assert_eq!(process.wait(SOON).code(), Some(0));
    redirector.until_liveness("edge-1", "GONE");
}
