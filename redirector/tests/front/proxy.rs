//! The PROXY protocol, from proxies that are trusted and from others.

use std::{sync::Arc, time::Duration};

use rustls::{pki_types::ServerName, version::TLS13};
use tidegate_redirector::front::{Limits, Services};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    ASK,
    certificates::Certificate,
    eventually,
    first_byte::{Alone, repeating, telling},
    limits,
    site::{Client, Site, count},
};

const V1: &[u8] = b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 1935\r\n";
/// The same in version 2.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\x0a\0\0\x01\x12\x67\x07\x8f";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

fn services(trusted: &str) -> Services {
    Services {
        rtmp: Some(repeating()),
        trusted_proxies: Arc::new([trusted.parse().expect("a network")]),
        ..Services::new(telling())
    }
}

/// Trusts 192.0.2.1, from which such connections come.
fn trusting() -> Alone {
    Alone::start(services("192.0.2.0/24"), limits())
}

#[tokio::test(start_paused = true)]
async fn a_trusted_proxy_says_who_the_client_is() {
    for (header, peer) in [
        (V1, "198.51.100.7"),
        (V2, "198.51.100.7"),
        (V2_LOCAL, "192.0.2.1"),
        (b"PROXY UNKNOWN\r\n", "192.0.2.1"),
        (b"", "192.0.2.1"),
    ] {
        let whole = [header, ASK.as_bytes()].concat();
        let answer = trusting().answer_to(&[&whole]).await;
        assert!(answer.ends_with(&format!("\r\n\r\nhttp {peer} GET /")), "{header:?}: {answer}");
        let answer = trusting().answer_to(&[&[header, b"\x03C1"].concat()]).await;
        assert_eq!(answer, format!("rtmp {peer} \x03C1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_may_arrive_byte_by_byte() {
    for header in [V1, V2] {
        let whole = [header, ASK.as_bytes()].concat();
        let pieces: Vec<_> = whole.chunks(1).collect();
        let answer = trusting().answer_to(&pieces).await;
        assert!(answer.ends_with("\r\n\r\nhttp 198.51.100.7 GET /"), "{header:?}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_of_a_trusted_proxy_is_not_taken_for_a_header() {
    let answer = trusting().answer_to(&[b"P", b"OST / HTTP/1.1\r\nHost: a\r\n\r\n"]).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(" POST /"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_header_of_anybody_else_is_not_believed() {
    for header in [V1, V2, V2_LOCAL] {
        let alone = Alone::start(services("10.0.0.0/8"), limits());
        let figures = Arc::clone(&alone.figures);
        let answer = alone.answer_to(&[&[header, ASK.as_bytes()].concat()]).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("198."), "{answer}");
        assert_eq!(count(&figures, "malformed"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_header_is_not_believed() {
    let answer = trusting().answer_to(&[&[V1, V1, ASK.as_bytes()].concat()]).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn broken_and_overlong_headers_are_closed_and_counted() {
    let endless = [b"PROXY ".as_slice(), &[b'x'; 200]].concat();
    let long: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff";
    for header in [b"PROXY TCP4 nobody\r\n".as_slice(), &endless, long] {
        let alone = trusting();
        let figures = Arc::clone(&alone.figures);
        assert_eq!(alone.answer_to(&[&[header, ASK.as_bytes()].concat()]).await, "", "{header:?}");
        assert_eq!(count(&figures, "proxy_malformed"), 1);
    }
}

#[tokio::test]
async fn behind_a_header_there_may_be_tls() {
    let certificate = Certificate::generate();
    let services = Services { tls: certificate.load(), ..services("127.0.0.0/8") };
    let site = Site::serve(services, limits(), Duration::ZERO);
    let mut stream = TcpStream::connect(site.address).await.expect("a connection");
    stream.write_all(V2).await.expect("sent");
    let name = ServerName::try_from("localhost").expect("a name");
    let connector = certificate.trust(&[&TLS13], &["http/1.1"]);
    let mut client = Client::on(connector.connect(name, stream).await.expect("a handshake"));
    client.send(ASK).await;
    let reply = client.reply().await.expect("an answer");
    assert_eq!(reply.body, "https 198.51.100.7 GET /");
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own_connections_and_the_proxy_as_many_as_it_needs() {
    let limits = Limits { connections_per_address_max: 1, ..limits() };
    let site = Site::serve(services("127.0.0.0/8"), limits, Duration::ZERO);
    let mut held = Vec::new();
    for last in 1..4 {
        let mut client = site.connect().await;
        client.send(format!("PROXY TCP4 198.51.100.{last} 10.0.0.1 4711 1935\r\n{ASK}")).await;
        assert_eq!(client.reply().await.expect("an answer").status, 200);
        held.push(client);
    }
    let mut second = site.connect().await;
    second.send("PROXY TCP4 198.51.100.1 10.0.0.1 4712 1935\r\n").await;
    assert!(second.rest().await.is_empty());
    eventually("it is counted", || site.count("shed_address") == 1).await;
    assert_eq!(site.ask(ASK).await.body, "http 127.0.0.1 GET /");
}
