//! TLS on the client port.

use std::{fs, sync::Arc, time::Duration};

use rustls::version::{TLS12, TLS13};
use tidegate_redirector::front::{Limits, Services, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    ASK,
    certificates::{Certificate, shake},
    eventually,
    first_byte::{repeating, telling},
    limits,
    site::{Client, Site},
};

fn site(certificate: &Certificate) -> Site {
    let services =
        Services { rtmp: Some(repeating()), tls: certificate.load(), ..Services::new(telling()) };
    Site::serve(services, limits(), Duration::ZERO)
}

#[tokio::test]
async fn tls_1_2_and_1_3_carry_http_beside_plain_http_and_give_no_tickets() {
    let certificate = Certificate::generate();
    let site = site(&certificate);
    for version in [&TLS12, &TLS13] {
        let connector = certificate.trust(&[version], &["h2", "http/1.1"]);
        let stream = shake(&connector, &site).await.expect("a handshake");
        let mut client = Client::on(stream);
        for _ in 0..2 {
            client.send(ASK).await;
            let reply = client.reply().await.expect("an answer");
            assert_eq!((reply.status, reply.body.as_str()), (200, "https 127.0.0.1 GET /"));
        }
        let stream = client.0.into_inner();
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(version.version));
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
    assert_eq!(site.ask(ASK).await.body, "http 127.0.0.1 GET /");
    assert_eq!((site.count("https"), site.count("http")), (2, 1));
}

#[tokio::test]
async fn a_client_without_alpn_is_served_and_one_that_wants_http_2_alone_is_not() {
    let certificate = Certificate::generate();
    let site = site(&certificate);
    let stream = shake(&certificate.trust(&[&TLS13], &[]), &site).await.expect("a handshake");
    let mut client = Client::on(stream);
    client.send(ASK).await;
    assert_eq!(client.reply().await.expect("an answer").status, 200);
    assert!(shake(&certificate.trust(&[&TLS13], &["h2"]), &site).await.is_err());
    eventually("it is counted", || site.count("tls_failed") == 1).await;
}

#[tokio::test]
async fn rtmp_inside_tls_is_rtmps_and_nothing_of_it_is_lost() {
    let certificate = Certificate::generate();
    let site = site(&certificate);
    let stream = shake(&certificate.trust(&[&TLS12], &[]), &site).await.expect("a handshake");
    let mut client = Client::on(stream);
    client.send([3]).await;
    client.send(b"C1").await;
    client.0.shutdown().await.expect("a half-close");
    assert_eq!(client.rest().await, b"rtmps 127.0.0.1 \x03C1");
    assert_eq!(site.count("rtmps"), 1);
}

#[tokio::test]
async fn tls_inside_tls_is_closed() {
    let certificate = Certificate::generate();
    let site = site(&certificate);
    let stream = shake(&certificate.trust(&[&TLS13], &[]), &site).await.expect("a handshake");
    let mut client = Client::on(stream);
    client.send(b"\x16\x03\x01").await;
    assert!(client.rest().await.is_empty());
    eventually("it is counted", || site.count("tls_in_tls") == 1).await;
}

#[tokio::test]
async fn what_only_looks_like_tls_is_closed_and_harms_nobody() {
    let certificate = Certificate::generate();
    let site = site(&certificate);
    let garbage: [&[u8]; 4] = [
        b"\x16\x03\x01\x00\x05hello",
        b"\x16GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\xff\xff\x01\x00\x00\x00\x00",
        &[0x16; 4_096],
    ];
    for (number, bytes) in (1..).zip(garbage) {
        let mut client = site.connect().await;
        client.send(bytes).await;
        let alert = client.rest().await;
        assert!(alert.is_empty() || alert[0] == 0x15, "{alert:?} is a TLS alert or nothing");
        eventually("it is counted", || site.count("tls_failed") == number).await;
    }
    assert_eq!(site.ask(ASK).await.status, 200);
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_closed_in_time() {
    let certificate = Certificate::generate();
    let services = Services { tls: certificate.load(), ..Services::new(telling()) };
    let limits = Limits { head_timeout: Duration::from_millis(200), ..limits() };
    let site = Site::serve(services, limits, Duration::ZERO);
    let mut client = site.connect().await;
    client.send([0x16]).await;
    assert!(client.rest().await.is_empty());
    assert_eq!(site.count("tls_timeouts"), 1);
    // Between the handshake and the first byte there is no more time either.
    let stream = shake(&certificate.trust(&[&TLS13], &[]), &site).await.expect("a handshake");
    assert!(Client::on(stream).rest().await.is_empty());
    assert_eq!(site.count("head_timeouts"), 1);
}

#[tokio::test]
async fn without_a_certificate_tls_is_closed_and_counted() {
    let site = Site::start(telling(), limits());
    let mut client = site.connect().await;
    client.send(b"\x16\x03\x01\x00\x05").await;
    assert!(client.rest().await.is_empty());
    eventually("it is counted", || site.count("tls_not_configured") == 1).await;
    assert!(matches!(Tls::load("", ""), Ok(None)));
}

#[tokio::test]
async fn the_end_is_said_in_tls_and_a_client_that_says_it_first_is_answered() {
    let certificate = Certificate::generate();
    let site = site(&certificate);
    let mut stream = shake(&certificate.trust(&[&TLS13], &[]), &site).await.expect("a handshake");
    stream.write_all(ASK.as_bytes()).await.expect("sent");
    stream.shutdown().await.expect("a half-close");
    let mut said = String::new();
    // Without the server's close_notify this is an error.
    stream.read_to_string(&mut said).await.expect("an orderly end");
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
}

#[tokio::test]
async fn a_certificate_is_replaced_without_a_stop_and_a_broken_one_is_not_taken() {
    let certificate = Certificate::generate();
    let tls = certificate.load().expect("TLS");
    let services = Services { tls: Some(Arc::clone(&tls)), ..Services::new(telling()) };
    let site = Site::serve(services, limits(), Duration::ZERO);
    let old = certificate.trust(&[&TLS13], &[]);
    let mut held = Client::on(shake(&old, &site).await.expect("the first certificate"));
    certificate.renew();
    let new = certificate.trust(&[&TLS13], &[]);
    assert!(shake(&new, &site).await.is_err(), "the new one is not read by itself");
    tls.reload().expect("readable files");
    assert!(shake(&new, &site).await.is_ok());
    assert!(shake(&old, &site).await.is_err());
    fs::write(certificate.key(), "nonsense").expect("written");
    let error = tls.reload().expect_err("no key");
    assert!(error.contains("client.tls_key") && !error.contains("nonsense"), "{error}");
    assert!(shake(&new, &site).await.is_ok(), "what was read before stays");
    held.send(ASK).await;
    assert_eq!(held.reply().await.expect("an answer").status, 200, "who was there stays");
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_setting() {
    let certificate = Certificate::generate();
    let [cert, key] = [certificate.cert(), certificate.key()].map(|p| p.display().to_string());
    let error = Tls::load("/nowhere/cert.pem", &key).expect_err("no file");
    assert!(error.contains("client.tls_cert") && error.contains("/nowhere/cert.pem"), "{error}");
    let error = Tls::load(&cert, "/nowhere/key.pem").expect_err("no file");
    assert!(error.contains("client.tls_key") && error.contains("/nowhere/key.pem"), "{error}");
    fs::copy(Certificate::generate().key(), certificate.key()).expect("copied");
    let error = Tls::load(&cert, &key).expect_err("another certificate's key");
    assert!(error.contains(&cert) && error.contains(&key), "{error}");
    assert!(error.contains("belongs to another certificate"), "{error}");
}
