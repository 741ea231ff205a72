//! RTMPT: RTMP in the bodies of requests.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_redirector::{
    answer::{Rules, apps::App},
    clients::RtmpLimits,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{
    Site, clients, count,
    player::{HANDSHAKE_LEN, PATIENCE, connect, hello, holds, messages, reply},
    sample, spliced,
};

/// A client's connection, kept alive over its requests.
struct Player(BufReader<TcpStream>);

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Player {
    async fn connect(site: &Site) -> Self {
        Self(BufReader::new(TcpStream::connect(site.address).await.expect("a connection")))
    }

    async fn post(&mut self, path: &str, body: &[u8]) -> Reply {
        self.post_as("application/x-fcs", path, body).await
    }

    /// `media_type` may bring further headers.
    async fn post_as(&mut self, media_type: &str, path: &str, body: &[u8]) -> Reply {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: lb\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(&[head.as_bytes(), body].concat()).await.expect("the redirector reads");
        timeout(PATIENCE, self.reply()).await.expect("an answer in time")
    }

    async fn reply(&mut self) -> Reply {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.0.read_line(&mut head).await.expect("a line");
            assert!(read > 0, "the connection ended: {head:?}");
        }
        let length = head.split("Content-Length: ").nth(1).expect("a length, as librtmp spells it");
        let length = length.split("\r\n").next().expect("a line").parse().expect("a number");
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.expect("the whole body");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Reply { status, head, body }
    }

    async fn open(&mut self) -> String {
        let opened = self.post("/open/1", &[0]).await;
        assert_eq!(opened.status, 200);
        let id = String::from_utf8(opened.body).expect("text");
        let id = id.strip_suffix('\n').expect("a newline, which librtmp drops");
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id:?}");
        id.to_owned()
    }
}

fn site(limits: RtmpLimits) -> Site {
    let edge = sample::edge("edge-1", "edge-1.example.com", "rtmp:1945");
    Site::start(clients(vec![edge], App::named("*"), limits))
}

#[tokio::test]
async fn a_client_is_told_its_edge_in_the_reply_that_decides_and_the_session_is_gone() {
    let site = site(RtmpLimits::default());
    let mut player = Player::connect(&site).await;
    let id = player.open().await;
    let shaken = player.post(&format!("/send/{id}/0"), &hello()).await;
    assert_eq!((shaken.body[0], shaken.body.len()), (1, 1 + HANDSHAKE_LEN));
    // As ffmpeg does it: C2 and `connect` in one.
    let both = [reply(), connect("live", "rtmpt://lb/live")].concat();
    let told = player.post(&format!("/send/{id}/1"), &both).await;
    assert!(told.head.starts_with("HTTP/1.1 200 "), "{}", told.head);
    for header in ["Content-Type: application/x-fcs\r\n", "Cache-Control: no-cache\r\n"] {
        assert!(told.head.contains(header), "{header:?} is not in {}", told.head);
    }
    assert_eq!(told.body[0], 1);
    let said = messages(&told.body[1..]);
    assert!(holds(&said[0], "rtmpt://edge-1.example.com:1945/live") && holds(&said[1], "close"));
    let late = player.post(&format!("/idle/{id}/2"), &[0]).await;
    assert_eq!((late.status, late.body.len()), (404, 0));
    assert_eq!(site.clients.tunnels_open(), 0);
    assert_eq!(count(&site.clients.rtmp.answers, "rtmp_redirect"), 1);
}

#[tokio::test]
async fn an_idle_client_is_held_for_a_moment_and_polls_less_and_less() {
    let site = site(RtmpLimits::default());
    let mut player = Player::connect(&site).await;
    let id = player.open().await;
    let started = Instant::now();
    let mut intervals = Vec::new();
    for n in 0..20 {
        let idle = player.post(&format!("/idle/{id}/{n}"), &[0]).await;
        assert_eq!((idle.status, idle.body.len()), (200, 1));
        intervals.push(idle.body[0]);
    }
    assert!(started.elapsed() > Duration::from_millis(1_900), "{:?}", started.elapsed());
    assert_eq!((intervals[0], intervals[9], intervals[19]), (1, 3, 5));
}

#[tokio::test]
async fn a_closed_session_is_gone() {
    let site = site(RtmpLimits::default());
    let mut player = Player::connect(&site).await;
    let id = player.open().await;
    assert_eq!(site.clients.tunnels_open(), 1);
    let closed = player.post(&format!("/close/{id}/0"), &[0]).await;
    assert_eq!((closed.status, closed.body), (200, vec![1]));
    assert_eq!(site.clients.tunnels_open(), 0);
    assert_eq!(player.post(&format!("/send/{id}/1"), &hello()).await.status, 404);
}

#[tokio::test]
async fn a_redirector_that_leaves_ends_the_connection_with_the_session_and_not_before() {
    let site = site(RtmpLimits::default());
    let mut player = Player::connect(&site).await;
    site.leaving.begin();
    // librtmp and the like begin no second connection for a session.
    let id = player.open().await;
    let shaken = player.post(&format!("/send/{id}/0"), &hello()).await;
    let idle = player.post(&format!("/idle/{id}/1"), &[0]).await;
    for reply in [shaken, idle] {
        assert!(reply.status == 200 && !reply.head.contains("Connection:"), "{}", reply.head);
    }
    let closed = player.post(&format!("/close/{id}/2"), &[0]).await;
    assert!(closed.head.contains("Connection: close\r\n"), "{}", closed.head);
    let mut rest = Vec::new();
    timeout(PATIENCE, player.0.read_to_end(&mut rest)).await.expect("in time").expect("no reset");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn what_is_no_session_is_not_found_and_the_connection_stays() {
    let site = site(RtmpLimits::default());
    let mut player = Player::connect(&site).await;
    let unknown = "0".repeat(32);
    for path in ["/fcs/ident2", "/fcs/ident", "/send", "/idle/1/1", &format!("/send/{unknown}/1")] {
        let reply = player.post(path, &[0]).await;
        assert_eq!((reply.status, reply.body.len()), (404, 0), "{path}");
    }
    player.open().await;
    assert_eq!(count(&site.clients.rtmp.lapses, "tunnel_no_session"), 3);
}

#[tokio::test]
async fn what_no_client_sends_ends_the_session() {
    let site = site(RtmpLimits::default());
    let mut player = Player::connect(&site).await;
    let id = player.open().await;
    assert_eq!(player.post(&format!("/send/{id}/0"), b"GET /").await.status, 404);
    assert_eq!(count(&site.clients.rtmp.rejects, "version"), 1);
    assert_eq!(site.clients.tunnels_open(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_long_ends_session_and_connection() {
    let site = site(RtmpLimits::default());
    let mut player = Player::connect(&site).await;
    let id = player.open().await;
    let refused = player.post(&format!("/send/{id}/0"), &[3; 16 * 1024 + 1]).await;
    assert_eq!(refused.status, 413);
    assert!(refused.head.contains("Connection: close\r\n"), "{}", refused.head);
    assert_eq!(site.clients.tunnels_open(), 0);
}

#[tokio::test]
async fn one_address_has_so_many_sessions_and_no_more() {
    let site = site(RtmpLimits::default());
    let mut player = Player::connect(&site).await;
    for _ in 0..64 {
        player.open().await;
    }
    assert_eq!(player.post("/open/1", &[0]).await.status, 503);
    assert_eq!(count(&site.clients.rtmp.lapses, "tunnel_address_full"), 1);
    assert_eq!(site.clients.tunnels_open(), 64);
}

#[tokio::test]
async fn all_sessions_together_are_bounded() {
    let site = site(RtmpLimits { rtmpt_sessions_max: 2, ..RtmpLimits::default() });
    let mut player = Player::connect(&site).await;
    let abandoned = player.open().await;
    player.open().await;
    player.open().await;
    assert_eq!(site.clients.tunnels_open(), 2);
    assert_eq!(count(&site.clients.rtmp.lapses, "tunnel_shed"), 1);
    let gone = player.post(&format!("/idle/{abandoned}/0"), &[0]).await;
    assert_eq!(gone.status, 404, "nobody had asked for it longest");
}

#[tokio::test]
async fn where_there_are_to_be_no_sessions_none_is_opened() {
    let site = site(RtmpLimits { rtmpt_sessions_max: 0, ..RtmpLimits::default() });
    let mut player = Player::connect(&site).await;
    assert_eq!(player.post("/open/1", &[0]).await.status, 503);
    assert_eq!(count(&site.clients.rtmp.lapses, "tunnel_full"), 1);
}

#[tokio::test]
async fn another_media_type_is_an_ordinary_request() {
    let edge = sample::edge("edge-1", "edge-1.example.com", "http:8080");
    let site = Site::start(clients(vec![edge], App::named("*"), RtmpLimits::default()));
    let mut player = Player::connect(&site).await;
    let redirected = player.post_as("application/sdp", "/open/1", &[0]).await;
    assert_eq!(redirected.status, 307);
    let location = "Location: http://edge-1.example.com:8080/open/1\r\n";
    assert!(redirected.head.contains(location), "{}", redirected.head);
}

#[tokio::test]
async fn a_tunnel_is_redirected_where_a_connection_would_be_spliced() {
    let edge = sample::edge("edge-1", "edge-1.example.com", "rtmp:1945");
    let site = Site::start(clients(vec![edge], spliced(), RtmpLimits::default()));
    let mut player = Player::connect(&site).await;
    let id = player.open().await;
    let all = [hello(), reply(), connect("live", "rtmpt://lb/live")].concat();
    let told = player.post(&format!("/send/{id}/0"), &all).await;
    assert!(holds(&told.body, "edge-1.example.com"));
    assert_eq!(count(&site.clients.rtmp.answers, "rtmp_redirect"), 1);
}

/// A POST of a client that a proxy which ends TLS names.
async fn post_for(player: &mut Player, client: &str, path: &str, body: &[u8]) -> Reply {
    let headers =
        format!("application/x-fcs\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: {client}");
    player.post_as(&headers, path, body).await
}

#[tokio::test]
async fn behind_a_trusted_proxy_a_session_is_its_clients_alone_and_stays_encrypted() {
    let edge = sample::edge("edge-1", "edge-1.example.com", "rtmpts:443 rtmpt:80");
    let mut clients = clients(vec![edge], App::named("*"), RtmpLimits::default());
    clients.rules = Arc::new(Rules {
        trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network")],
        ..Rules::clone(&clients.rules)
    });
    let site = Site::start(clients);
    let mut player = Player::connect(&site).await;
    let opened = post_for(&mut player, "192.0.2.1", "/open/1", &[0]).await;
    let path = format!("/send/{}/0", String::from_utf8(opened.body).expect("text").trim());
    let all = [hello(), reply(), connect("live", "rtmpt://lb/live")].concat();
    assert_eq!(post_for(&mut player, "192.0.2.2", &path, &all).await.status, 404);
    let told = post_for(&mut player, "192.0.2.1", &path, &all).await;
    assert!(holds(&told.body, "rtmpts://edge-1.example.com:443/live"));
}
