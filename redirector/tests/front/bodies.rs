//! Requests with bodies: what may follow one, and what one may look like.

use std::convert::Infallible;

use ::http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tidegate_redirector::front::{BodyRead, Limits, Routes};
use warp::Reply as _;

use crate::{limits, site::Site};

/// Routes that repeat a POST's body, and read no other.
fn repeating_bodies() -> Routes {
    Routes::new(tower::service_fn(|request: Request<Incoming>| async move {
        if request.method() != Method::POST {
            return Ok::<_, Infallible>("unread".into_response());
        }
        let Ok(body) = request.into_body().collect().await else {
            return Ok("broken".into_response());
        };
        let mut response = body.to_bytes().to_vec().into_response();
        response.extensions_mut().insert(BodyRead);
        Ok(response)
    }))
}

fn site() -> Site {
    const METHODS: &[Method] = &[Method::GET, Method::POST, Method::PATCH, Method::DELETE];
    Site::start(repeating_bodies(), Limits { methods: METHODS, ..limits() })
}

#[tokio::test]
async fn after_a_body_that_was_read_another_request_may_follow() {
    let site = site();
    let mut client = site.connect().await;
    for body in ["one", "another"] {
        let length = body.len();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        client.send(format!("{head}{body}")).await;
        let reply = client.reply().await.expect("an answer");
        assert_eq!((reply.body.as_str(), reply.header("connection")), (body, None));
    }
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await;
    let reply = client.reply().await.expect("an answer");
    assert_eq!((reply.body.as_str(), reply.header("connection")), ("abcde", None));
    client.send("PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").await;
    let reply = client.reply().await.expect("an answer");
    assert_eq!((reply.body.as_str(), reply.header("connection")), ("unread", Some("close")));
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_to_go_on() {
    let site = site();
    let mut client = site.connect().await;
    let head = |method: &str| {
        format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        )
    };
    client.send(head("POST")).await;
    assert_eq!(client.reply_to_head().await.expect("a word").status, 100);
    client.send("abc").await;
    assert_eq!(client.reply().await.expect("an answer").body, "abc");
    client.send(head("PATCH")).await;
    let reply = client.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
}

#[tokio::test]
async fn a_transfer_encoding_is_chunked_alone_and_where_a_body_belongs() {
    let site = site();
    for (method, headers) in [
        ("GET", "Transfer-Encoding: chunked"),
        ("DELETE", "Transfer-Encoding: chunked"),
        ("POST", "Transfer-Encoding: identity"),
        ("POST", "Transfer-Encoding: gzip, chunked"),
        ("POST", "Transfer-Encoding: chunked, chunked"),
        ("POST", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ("POST", "Transfer-Encoding: xchunked"),
        ("POST", "Transfer-Encoding: \x0bchunked"),
    ] {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
        let mut client = site.connect().await;
        client.send(format!("{head}0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let reply = client.reply().await.expect("an answer");
        assert_eq!((reply.status, reply.header("connection")), (400, Some("close")), "{head:?}");
        assert!(client.rest().await.is_empty(), "{head:?}");
    }
}

#[tokio::test]
async fn with_two_lengths_for_a_body_nothing_may_follow_it() {
    let site = site();
    for lengths in [
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
    ] {
        let mut client = site.connect().await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\n0\r\n\r\n")).await;
        client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let reply = client.reply().await.expect("an answer");
        assert_eq!(reply.header("connection"), Some("close"), "{lengths:?}: {reply:?}");
        assert!(client.rest().await.is_empty(), "{lengths:?}");
    }
}

#[tokio::test]
async fn headers_are_spelled_as_old_clients_know_them() {
    let mut client = site().connect().await;
    client.send("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").await;
    let said = String::from_utf8(client.rest().await).expect("text");
    assert!(said.contains("\r\nContent-Length: 1\r\n"), "{said}");
}
