//! What is not a proper request never becomes a redirect, and never harms anybody else.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use tidegate_tests::{
    http::{self, Reply},
    scene::{Scene, sent_to},
};

fn ask(address: SocketAddr, request: &str) -> Result<Reply, String> {
    http::exchange(address, request.as_bytes()).and_then(|bytes| Reply::parse(&bytes))
}

/// The head of a proper request for any target.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: r.example\r\nConnection: close\r\n\r\n")
}

#[track_caller]
fn is_refused(address: SocketAddr, request: &str, status: u16) {
    let reply = ask(address, request).unwrap_or_else(|error| panic!("{request:?}: {error}"));
    assert_eq!((reply.status, reply.header("location")), (status, None), "{request:?}: {reply:?}");
}

#[test]
fn malformed_and_ambiguous_requests_are_never_redirected() {
    let mut scene = Scene::of(&["edge-1"]);
    let client = scene.redirector.ports().client;
    for target in [
        "//evil.example/a",
        "///evil.example",
        "/\\evil.example",
        "/a\\b",
        "/%5cevil.example",
        "/a%0d%0aSet-Cookie:x=y",
        "/a%00b",
        "/.//evil.example",
        "/a/..//evil.example",
        "/%2e//evil.example",
        "http://evil.example/a",
        "*",
        "evil.example:443",
    ] {
        is_refused(client, &get(target), 400);
    }
    for hosts in [
        "",
        "Host: a.example\r\nHost: b.example\r\n",
        "Host: a@evil.example\r\n",
        "Host: a.example/x\r\n",
        "Host: a.example, b.example\r\n",
        "Host: \r\n",
    ] {
        let request = format!("GET /a HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        is_refused(client, &request, 400);
    }
    for method in ["CONNECT", "TRACE", "PUT", "BREW"] {
        let target = if method == "CONNECT" { "evil.example:443" } else { "/a" };
        is_refused(client, &get(target).replacen("GET", method, 1), 405);
    }
    assert!(scene.redirector.process().is_running());
    assert_eq!(sent_to(&scene.redirector.get("/a")), "edge-1");
    let log = scene.redirector.output();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_location_never_comes_from_what_the_client_sent() {
    let scene = Scene::of(&["edge-1"]);
    let request = "GET /a HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n\
                   X-Forwarded-Proto: javascript\r\nForwarded: host=evil.example\r\n\
                   X-Original-URL: //evil.example\r\nConnection: close\r\n\r\n";
    let reply = ask(scene.redirector.ports().client, request).expect("an answer");
    assert_eq!(reply.location(), "http://edge-1.example:8080/a");
    let raw = http::exchange(scene.redirector.ports().client, request.as_bytes()).expect("bytes");
    assert!(!String::from_utf8_lossy(&raw).contains("evil"), "something was reflected");
}

#[test]
fn http_1_0_without_a_host_is_served() {
    let scene = Scene::of(&["edge-1"]);
    let reply = ask(scene.redirector.ports().client, "GET /a HTTP/1.0\r\n\r\n").expect("served");
    assert_eq!(sent_to(&reply), "edge-1");
}

#[test]
fn bytes_that_smuggle_a_second_request_get_no_second_answer() {
    let scene = Scene::of(&["edge-1"]);
    let client = scene.redirector.ports().client;
    let second = "GET /smuggled HTTP/1.1\r\nHost: r.example\r\n\r\n";
    for head in [
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Content-Length: 5\r\nContent-Length: 6\r\n".to_owned(),
        "Content-Length: +5\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        format!("Content-Length: {}\r\n", second.len()),
    ] {
        let request = format!("GET /a HTTP/1.1\r\nHost: r.example\r\n{head}\r\n{second}");
        let answer = http::exchange(client, request.as_bytes()).unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("/smuggled"), "{head:?}: {answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{head:?}: {answer}");
    }
}

#[test]
fn heads_that_never_end_are_closed_in_time_and_others_are_served_meanwhile() {
    let mut scene = Scene::of(&["edge-1"]);
    let client = scene.redirector.ports().client;
    let mut slow: Vec<TcpStream> = (0..500).map(|_| half_a_head(client)).collect();
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(sent_to(&scene.redirector.get("/a")), "edge-1");
    }
    assert!(began.elapsed() < Duration::from_secs(4), "others waited {:?}", began.elapsed());
    for stream in &mut slow {
        let mut rest = Vec::new();
        // An end without an error, or a reset: both are closed.
        let _ = stream.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("302"), "half a head was answered");
    }
    let took = began.elapsed();
    eprintln!("500 half heads were closed within {took:.1?}");
    // The head's time is 5 s; the rest is for a busy machine.
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(scene.redirector.process().is_running());
}

fn half_a_head(address: SocketAddr) -> TcpStream {
    let mut stream = http::connect(address).expect("a connection");
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: r.exa").expect("sent");
    stream
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let mut scene = Scene::of(&["edge-1"]);
    let client = scene.redirector.ports().client;
    let long = "x".repeat(64 << 10);
    let many: String = (0..2_000).map(|n| format!("X-{n}: y\r\n")).collect();
    for request in [
        get(&format!("/{long}")),
        format!("GET /a HTTP/1.1\r\nHost: r.example\r\nX-Long: {long}\r\n\r\n"),
        format!("GET /a HTTP/1.1\r\nHost: r.example\r\n{many}\r\n"),
    ] {
        // Refused with a status, or closed while it was still sending.
        if let Ok(reply) = ask(client, &request) {
            assert!((400..=431).contains(&reply.status), "{reply:?}");
        }
    }
    assert!(scene.redirector.process().is_running());
    assert_eq!(sent_to(&scene.redirector.get("/a")), "edge-1");
}

#[test]
fn the_client_port_shows_nothing_of_the_inside() {
    let scene = Scene::of(&["edge-1"]);
    for path in ["/metrics", "/api/fleet", "/livez", "/readyz", "/debug"] {
        let reply = scene.redirector.get(path);
        assert_eq!(reply.location(), format!("http://edge-1.example:8080{path}"));
        assert!(reply.body.len() < 200 && !reply.text().contains("tidegate_"), "{reply:?}");
    }
}
