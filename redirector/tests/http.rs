//! Clients over HTTP, byte for byte, against the whole of front, guard and answers.

#[path = "http/bodies.rs"]
mod bodies;
#[path = "http/choice.rs"]
mod choice;
#[path = "../src/sample.rs"]
mod sample;
mod site;

use std::{sync::Arc, time::Duration};

use site::{Reply, Site};
use tidegate_control::{
    clock::Clock,
    publish::{Published, Snapshot},
    selection::Selection,
    snapshot::FleetView,
};
use tidegate_redirector::{
    answer::Rules,
    clients::{Clients, RtmpLimits, http},
    front::Limits,
};
use url::Url;

const EDGE: &str = "edge-1.example.com";
const METHODS: &str = "GET, HEAD, OPTIONS, POST, PATCH, DELETE";

fn start(fleet: FleetView, rules: Rules) -> Site {
    start_with(Selection::default(), fleet, rules)
}

fn start_with(selection: Selection, fleet: FleetView, rules: Rules) -> Site {
    let snapshot = Snapshot::of(Arc::new(fleet), Arc::new(selection), Duration::ZERO);
    let clients = Clients::new(
        Arc::new(Published::holding(snapshot)),
        Arc::new(rules),
        Clock::start(),
        RtmpLimits::default(),
    );
    Site::start(http::routes(clients), Limits::CLIENTS)
}

fn site() -> Site {
    let fleet = sample::fleet(vec![sample::edge("edge-1", EDGE, "http:8080")]);
    start(fleet, Rules { server_info_xml: true, ..Rules::default() })
}

/// What no Location may do, whatever was asked.
fn check_location(reply: &Reply, target: &str) {
    let Some(location) = reply.header("location") else { return };
    let url = Url::parse(location).expect("a URL");
    assert_eq!(url.host_str(), Some(EDGE), "{target:?} leads to {location:?}");
    assert_eq!(url.port_or_known_default(), Some(8080), "{target:?} leads to {location:?}");
    let path = url.path();
    assert!(path.starts_with('/') && !path.starts_with("//"), "{target:?} leads to {location:?}");
    assert!(location.starts_with(&format!("http://{EDGE}:8080/")), "{target:?}: {location:?}");
}

#[tokio::test]
async fn targets_that_could_lead_elsewhere_are_never_redirected() {
    let site = site();
    for target in [
        "//evil.com",
        "//evil.com/",
        "///evil.com",
        "////evil.com",
        "//evil.com:80/a",
        "//edge-1.example.com@evil.com",
        "//evil.com/loadbalancer",
        "/.//evil.com",
        "/..//evil.com",
        "/././/evil.com",
        "/a/..//evil.com",
        "/%2e//evil.com",
        "/%2E%2e//evil.com",
        "/.%2e//evil.com",
        "/a/%2e%2E//evil.com",
        "/\\evil.com",
        "/\\/evil.com",
        "/\\\\evil.com",
        "\\\\evil.com",
        "/a\\b",
        "/a?b=\\",
        "/%5cevil.com",
        "/%5C%5Cevil.com",
        "/a?b=%5c",
        "/%0d%0aLocation:%20http://evil.com",
        "/%0aSet-Cookie:a=b",
        "/a?b=%0d%0a",
        "/%00",
        "/%09/evil.com",
        "/%1f",
        "/%7F",
        "/a?b=%00",
        "http://evil.com",
        "http://evil.com/a",
        "https://evil.com//a",
        "HTTP://edge-1.example.com:8080/a",
        "http:/evil.com",
        "http:evil.com",
        "javascript:alert(1)",
        "evil.com",
        "evil.com:80",
        "evil.com/a",
        "@evil.com",
        "?a",
        "*",
        "/é",
        "/a?é",
        "/\u{2028}",
        "/a\tb",
        "/a\u{7f}b",
        "/a\0b",
        "/a\u{b}b",
        "/a\u{1b}[2J",
        "/<evil>",
    ] {
        let reply = site.get(target).await;
        assert_eq!(reply.status, 400, "{target:?}: {reply:?}");
        assert_eq!(reply.header("location"), None, "{target:?}");
        assert_eq!(reply.header("connection"), Some("close"), "{target:?}");
    }
    assert_eq!(site.get("/a").await.status, 302);
}

#[tokio::test]
async fn odd_but_honest_targets_reach_the_edge_unchanged() {
    let site = site();
    for target in [
        "/",
        "/?",
        "/live/stream1/playlist.m3u8?token=x",
        "/live/a%20b/%e2%82%ac.m3u8?token=a%2Fb%2B%3D%3D&url=http://x//y",
        "/a//b",
        "/a/../b",
        "/..",
        "/@evil.com",
        "/:80@evil.com",
        "/%2fevil.com",
        "/%2f%2fevil.com",
        "/;//evil.com",
        "/a%",
        "/a%zz?%",
        "/{a}\"b\"|c^",
        "/a?b?c",
        "/loadbalancer/",
        "/metrics",
        "/favicon.ico",
    ] {
        let reply = site.get(target).await;
        assert_eq!(reply.status, 302, "{target:?}: {reply:?}");
        assert_eq!(reply.header("location"), Some(&*format!("http://{EDGE}:8080{target}")));
        check_location(&reply, target);
    }
}

#[tokio::test]
async fn a_fragment_never_reaches_a_location() {
    let reply = site().get("/a#//evil.com").await;
    assert_eq!(reply.header("location"), Some("http://edge-1.example.com:8080/a"));
}

#[tokio::test]
async fn a_redirect_says_all_that_players_need() {
    let reply = site().get("/live/stream1/playlist.m3u8?token=x").await;
    for (name, value) in [
        ("location", "http://edge-1.example.com:8080/live/stream1/playlist.m3u8?token=x"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
        ("content-length", "0"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn methods_that_are_not_served_are_405_and_harm_nothing() {
    let site = site();
    for head in [
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1",
        "CONNECT evil.com:443 HTTP/1.1\r\nHost: a",
        "CONNECT / HTTP/1.1\r\nHost: a",
        "TRACE / HTTP/1.1\r\nHost: a",
        "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0",
        "PROPFIND /a HTTP/1.1\r\nHost: a",
        "get /a HTTP/1.1\r\nHost: a",
    ] {
        let reply = site.ask(format!("{head}\r\n\r\n")).await;
        assert_eq!(reply.status, 405, "{head:?}: {reply:?}");
        assert_eq!(reply.header("allow"), Some(METHODS), "{head:?}");
        assert_eq!(reply.json()["error"], "method_not_allowed", "{head:?}");
    }
    assert_eq!(site.count("method_not_allowed"), 7);
    assert_eq!(site.get("/a").await.status, 302);
    site.stop().await.expect("no panic");
}

#[tokio::test]
async fn a_request_has_exactly_one_honest_host() {
    let site = site();
    for (head, code) in [
        ("GET /a HTTP/1.1", "host_missing"),
        ("GET /a HTTP/1.1\r\nHost: a\r\nHost: b", "host_repeated"),
        ("GET /a HTTP/1.1\r\nHost: a\r\nHost: a", "host_repeated"),
        ("GET /a HTTP/1.0\r\nHost: a\r\nHost: b", "host_repeated"),
        ("GET /a HTTP/1.1\r\nHost: a@evil.com", "host_invalid"),
        ("GET /a HTTP/1.1\r\nHost: user:pw@evil.com", "host_invalid"),
        ("GET /a HTTP/1.1\r\nHost:", "host_invalid"),
        ("GET /a HTTP/1.1\r\nHost: a/b", "host_invalid"),
        ("GET /a HTTP/1.1\r\nHost: a, b", "host_invalid"),
        ("GET /a HTTP/1.1\r\nHost: a:99999", "host_invalid"),
        ("GET /a HTTP/1.0\r\nHost: a@evil.com", "host_invalid"),
    ] {
        let reply = site.ask(format!("{head}\r\n\r\n")).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(code)), "{head:?}");
        assert_eq!(reply.header("connection"), Some("close"), "{head:?}");
    }
    let reply =
        site.ask("GET /a HTTP/1.1\r\nHost: evil.com\r\nX-Forwarded-Host: evil.com\r\n\r\n").await;
    check_location(&reply, "a foreign Host");
    assert_eq!(reply.status, 302);
}

#[tokio::test]
async fn http_1_0_without_host_is_served_and_closed() {
    let site = site();
    let mut client = site.connect().await;
    client.send("GET /a HTTP/1.0\r\n\r\n").await;
    let reply = client.reply().await.expect("an answer");
    assert_eq!(reply.status, 302);
    check_location(&reply, "HTTP/1.0");
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn bytes_made_for_smuggling_get_one_answer_and_a_closed_connection() {
    let site = site();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (head, status) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: +5", 400),
        ("Content-Length: -5", 400),
        ("Content-Length: 5, 6", 400),
        ("Content-Length: 0x5", 400),
        ("Transfer-Encoding: xchunked", 400),
        ("Transfer-Encoding: chunked, identity", 400),
        ("Transfer-Encoding: chunked", 400),
        ("Transfer-Encoding: identity", 400),
        ("Transfer-Encoding : chunked", 400),
        ("Content-Length : 5", 400),
        ("X: a\r\n Content-Length: 5", 400),
        ("X: a\r\n\tfolded", 400),
        ("Content-Length: 37", 302),
        ("Content-Length: 99999999", 302),
        ("Content-Length: 99999999999999999999999", 400),
    ] {
        let mut client = site.connect().await;
        let head = format!("GET /a HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n");
        client.send(format!("{head}{smuggled}")).await;
        let reply = client.reply().await.expect("an answer");
        assert_eq!(reply.status, status, "{head:?}: {reply:?}");
        assert_eq!(reply.header("connection"), Some("close"), "{head:?}");
        let rest = client.rest().await;
        assert!(rest.is_empty(), "{head:?} was followed by {:?}", String::from_utf8_lossy(&rest));
    }
}

#[tokio::test]
async fn a_client_that_still_sends_a_body_is_answered_and_not_reset() {
    let site = site();
    let mut client = site.connect().await;
    client.send("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n").await;
    assert_eq!(client.reply().await.expect("an answer").status, 302);
    assert!(client.rest().await.is_empty(), "the front has nothing more to say");
    for _ in 0..40 {
        client.send([b'x'; 1_000]).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_not_http_1_is_closed() {
    let site = site();
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /a HTTP/3.0\r\nHost: a\r\n\r\n",
        b"GET /a\r\n\r\n",
        b"\x00\x00\x00\x00\r\n\r\n",
    ] {
        let mut client = site.connect().await;
        client.send(bytes).await;
        let rest = String::from_utf8_lossy(&client.rest().await).into_owned();
        assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400 "), "{bytes:?}: {rest:?}");
    }
    assert_eq!((site.count("malformed"), site.count("tls_not_configured")), (4, 1));
}

#[tokio::test]
async fn an_upgrade_to_http_2_is_ignored() {
    let head = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n";
    assert_eq!(site().ask(head).await.status, 302);
}

#[tokio::test]
async fn heads_beyond_the_bounds_are_refused() {
    let site = site();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(40_000));
    let many = format!("GET /a HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100));
    for bytes in [long, many] {
        assert_eq!(site.ask(&bytes).await.status, 431);
    }
    let large = format!("/{}", "a".repeat(8_000));
    assert_eq!(site.get(&large).await.status, 302);
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let site = site();
    let mut client = site.connect().await;
    for number in 0..5 {
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let reply = client.reply().await.expect("an answer");
        assert!(reply.header("location").expect("a redirect").ends_with(&format!("/{number}")));
    }
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for path in ["/x", "/y"] {
        let reply = client.reply().await.expect("an answer");
        assert!(reply.header("location").expect("a redirect").ends_with(path), "pipelined");
    }
    assert_eq!(site.count("accepted"), 1);
}

#[tokio::test]
async fn head_is_answered_as_get_without_a_body() {
    let site = site();
    let mut client = site.connect().await;
    client.send("HEAD /loadbalancer HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let reply = client.reply_to_head().await.expect("an answer");
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain")));
    client.send("HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let reply = client.reply_to_head().await.expect("an answer right behind the head");
    assert_eq!(reply.status, 302);
    check_location(&reply, "HEAD");
}

#[tokio::test]
async fn options_gives_the_cors_headers() {
    let site = site();
    for target in ["/a", "/loadbalancer", "*"] {
        let reply = site
            .ask(format!(
                "OPTIONS {target} HTTP/1.1\r\nHost: a\r\nOrigin: http://page\r\n\
                 Access-Control-Request-Headers: x-evil\r\n\r\n"
            ))
            .await;
        assert_eq!(reply.status, 204, "{target}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("access-control-allow-methods"), Some(METHODS));
        let headers = reply.header("access-control-allow-headers").expect("headers");
        assert!(headers.contains("Range") && !headers.contains("evil"), "{headers}");
        assert!(reply.header("access-control-max-age").is_some());
    }
}

#[tokio::test]
async fn what_wowza_players_ask_for_is_answered() {
    let site = site();
    let reply = site.get("/redirect/vod/_definst_/smil:a.smil?tok=%2F&type=m3u8").await;
    let location = "http://edge-1.example.com:8080/vod/_definst_/smil:a.smil/playlist.m3u8?tok=%2F";
    assert_eq!((reply.status, reply.header("location")), (302, Some(location)));
    assert_eq!(reply.header("content-type"), Some("application/vnd.apple.mpegurl"));
    assert_eq!(reply.header("content-length"), Some("0"));
    check_location(&reply, "/redirect");
    let reply = site.get("/redirect//evil.com/a?type=m3u8").await;
    assert_eq!((reply.status, reply.header("location")), (400, None));
    assert_eq!(reply.json()["error"], "target_invalid");
    let reply = site.get("/crossdomain.xml").await;
    assert_eq!(reply.header("content-type"), Some("text/x-cross-domain-policy"));
    assert!(reply.body.contains("<cross-domain-policy>"), "{}", reply.body);
}

#[tokio::test]
async fn tls_that_ended_at_a_trusted_proxy_is_kept_up() {
    let ask = "GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n\r\n";
    for (trusted, location) in [
        ("127.0.0.0/8", "https://edge-1.example.com:8443/a"),
        ("10.0.0.0/8", "http://edge-1.example.com:8080/a"),
    ] {
        let edge = sample::edge("edge-1", EDGE, "http:8080 https:8443");
        let trusted_proxies = vec![trusted.parse().expect("a network")];
        let rules = Rules { trusted_proxies, ..Rules::default() };
        let reply = start(sample::fleet(vec![edge]), rules).ask(ask).await;
        assert_eq!(reply.header("location"), Some(location), "{trusted}");
    }
}

#[tokio::test]
async fn loadbalancer_answers_in_every_form() {
    let site = site();
    let reply = site.get("/loadbalancer").await;
    assert_eq!(reply.body, "redirect=edge-1.example.com");
    assert_eq!(reply.header("content-type"), Some("text/plain"));
    let reply = site.get("/loadbalancer?serverInfoXML").await;
    assert_eq!(reply.header("content-type"), Some("text/xml"));
    assert!(reply.body.contains("<status>RUNNING</status>"), "{}", reply.body);
    let accept = "GET /loadbalancer HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n";
    for reply in [site.get("/loadbalancer?format=json").await, site.ask(accept).await] {
        let expected = serde_json::json!({
            "edge": "edge-1", "host": EDGE, "url": "http://edge-1.example.com:8080", "alternates": []
        });
        assert_eq!(reply.json(), expected);
    }
}

#[tokio::test]
async fn an_edge_without_endpoints_gets_the_port_the_client_reached() {
    let fleet = sample::fleet(vec![sample::edge("edge-1", EDGE, "")]);
    let site = start(fleet, Rules::default());
    let location = format!("http://{EDGE}:{}/a", site.address.port());
    assert_eq!(site.get("/a").await.header("location"), Some(location.as_str()));
}

#[tokio::test]
async fn no_edge_is_a_503_that_says_when_to_come_back() {
    let site = start(FleetView::default(), Rules::default());
    let reply = site.get("/a").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("3")));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.json()["error"], "empty_fleet");
    assert_eq!(site.get("/loadbalancer").await.body, "redirect=unknown");
}

#[tokio::test]
async fn a_client_behind_a_trusted_proxy_is_known_by_its_own_address() {
    let networks = |text: &str| vec![text.parse().expect("a network")];
    let forwarded = "GET /a HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n\r\n";
    for (trusted, status) in [("127.0.0.0/8", 403), ("10.0.0.0/8", 302)] {
        let fleet = sample::fleet(vec![sample::edge("edge-1", EDGE, "http:8080")]);
        let rules = Rules {
            ignore_clients: networks("192.0.2.0/24"),
            trusted_proxies: networks(trusted),
            ..Rules::default()
        };
        assert_eq!(start(fleet, rules).ask(forwarded).await.status, status, "{trusted}");
    }
}

#[tokio::test]
async fn every_answer_of_a_redirector_that_leaves_is_the_last_on_its_connection() {
    let site = site();
    site.leaving.begin();
    for (head, status) in [
        ("GET /live/a HTTP/1.1\r\nHost: a", 302),
        ("GET /loadbalancer HTTP/1.1\r\nHost: a", 200),
        ("GET /live/a HTTP/1.0\r\nConnection: keep-alive", 302),
        ("POST /whep/a HTTP/1.1\r\nHost: a\r\nContent-Length: 0", 307),
        ("OPTIONS /live/a HTTP/1.1\r\nHost: a", 204),
        ("GET //evil.com HTTP/1.1\r\nHost: a", 400),
    ] {
        let mut client = site.connect().await;
        client.send(format!("{head}\r\n\r\n")).await;
        let reply = client.reply().await.expect("an answer");
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{head}");
        assert!(client.rest().await.is_empty(), "{head}");
    }
}
