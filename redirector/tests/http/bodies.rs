//! Requests with a body, as WHIP and WHEP send them.

use std::time::{Duration, Instant};

use super::{check_location, site};

#[tokio::test]
async fn a_body_is_read_before_its_client_is_sent_on() {
    let site = site();
    for (method, length) in [("POST", 0), ("POST", 64 * 1024), ("PATCH", 400), ("DELETE", 0)] {
        let mut client = site.connect().await;
        let head = format!("{method} /live/whip?t=1 HTTP/1.1\r\nHost: a\r\n");
        client.send(format!("{head}Content-Length: {length}\r\n\r\n")).await;
        client.send(vec![b'x'; length]).await;
        let reply = client.reply().await.expect("an answer");
        assert_eq!(reply.status, 307, "{method} {length}");
        assert_eq!(
            reply.header("location"),
            Some("http://edge-1.example.com:8080/live/whip?t=1"),
            "{method} {length}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        check_location(&reply, method);
    }
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_its_body_gets_it() {
    let site = site();
    let mut client = site.connect().await;
    let head = "POST /whip HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
    client.send(format!("{head}Content-Length: 2\r\n\r\n")).await;
    assert_eq!(client.reply().await.expect("leave").status, 100);
    client.send("v=").await;
    assert_eq!(client.reply().await.expect("an answer").status, 307);
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_not_waited_for() {
    let site = site();
    for length in ["65537", "99999999"] {
        let mut client = site.connect().await;
        let head = "POST /whip HTTP/1.1\r\nHost: a\r\n";
        client.send(format!("{head}Content-Length: {length}\r\n\r\nv=")).await;
        let reply = client.reply().await.expect("an answer without the rest");
        assert_eq!((reply.status, reply.header("connection")), (307, Some("close")), "{length}");
        assert!(client.rest().await.is_empty());
    }
}

#[tokio::test]
async fn a_body_that_never_comes_holds_nobody_up_for_long() {
    let site = site();
    let mut client = site.connect().await;
    client.send("POST /whip HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nv=").await;
    let asked = Instant::now();
    let reply = client.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.header("connection")), (307, Some("close")));
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
}
