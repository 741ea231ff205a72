//! Who loses a place when all are taken.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tidegate_redirector::front::{Limits, Routes, RtmpConnection, RtmpService, Services};
use tokio::{
    net::TcpSocket,
    sync::{Semaphore, mpsc},
};
use tower::ServiceExt as _;

use crate::{
    ASK, eventually, gated, limits, prompt,
    site::{Client, Site},
};

fn few(connections_max: usize) -> Limits {
    Limits { connections_max, ..limits() }
}

/// A client whose request is being answered.
async fn asking(site: &Site, gate: &Semaphore) -> Client {
    let mut client = site.connect().await;
    // Its first request is answered, so that it waits; the second one shows that it was taken.
    gate.add_permits(1);
    client.send(ASK).await;
    assert!(client.reply().await.is_some());
    client.send(ASK).await;
    client
}

#[tokio::test]
async fn beyond_the_cap_the_slowest_is_closed_and_who_is_served_is_not() {
    let gate = Arc::new(Semaphore::new(0));
    let (asked, mut requests) = mpsc::channel(8);
    let site = Site::start(announced(Arc::clone(&gate), asked), few(3));
    let mut served = asking(&site, &gate).await;
    for _ in 0..2 {
        requests.recv().await.expect("a request");
    }
    let mut slow = site.connect().await;
    slow.send("GET / HTTP/1.1\r\nHost: ").await;
    eventually("the slow one has its place", || site.count("accepted") == 2).await;
    let mut idle = site.connect().await;
    eventually("so has the idle one", || site.count("accepted") == 3).await;
    let mut newest = site.connect().await;
    assert!(slow.rest().await.is_empty(), "the slowest goes");
    assert_eq!((site.count("shed_slowest"), site.count("shed_newest")), (1, 0));
    gate.add_permits(3);
    for client in [&mut idle, &mut newest] {
        client.send(ASK).await;
        assert_eq!(client.reply().await.expect("an answer").body, "done");
    }
    assert_eq!(served.reply().await.expect("an answer").body, "done");
}

#[tokio::test]
async fn who_is_slow_with_a_body_is_slow() {
    let (asked, mut requests) = mpsc::channel(8);
    let site = Site::start(announced(Arc::new(Semaphore::new(0)), asked), few(1));
    let mut slow = site.connect().await;
    slow.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await;
    requests.recv().await.expect("a request");
    let mut newest = site.connect().await;
    assert!(slow.rest().await.is_empty(), "its place is taken");
    assert_eq!((site.count("shed_slowest"), site.count("shed_newest")), (1, 0));
    newest.send(ASK).await;
    requests.recv().await.expect("a request");
}

/// As [`gated`], and says when a request has come.
fn announced(gate: Arc<Semaphore>, asked: mpsc::Sender<()>) -> Routes {
    let inner = gated(gate);
    Routes::new(tower::service_fn(move |request| {
        let (inner, asked) = (inner.clone(), asked.clone());
        async move {
            let _ = asked.send(()).await;
            inner.oneshot(request).await
        }
    }))
}

#[tokio::test]
async fn where_nobody_waits_the_newest_is_closed_and_a_place_is_free_again_later() {
    let gate = Arc::new(Semaphore::new(0));
    let (asked, mut requests) = mpsc::channel(8);
    let site = Site::start(announced(Arc::clone(&gate), asked), few(1));
    let mut served = site.connect().await;
    served.send(ASK).await;
    requests.recv().await.expect("a request");
    assert!(site.connect().await.rest().await.is_empty());
    assert_eq!((site.count("shed_slowest"), site.count("shed_newest")), (0, 1));
    gate.add_permits(2);
    assert_eq!(served.reply().await.expect("an answer").body, "done");
    drop(served);
    eventually("a place is free", || site.figures.open_now() == 0).await;
    assert_eq!(site.ask(ASK).await.status, 200);
}

/// RTMP connections that are `served` from their first moment or wait, until they are dropped. The
/// channel hears of every beginning, and of the end when the last sender is gone.
fn holding(served: bool, began: mpsc::Sender<()>) -> RtmpService {
    RtmpService::new(tower::service_fn(move |connection: RtmpConnection| {
        let began = began.clone();
        async move {
            if served {
                connection.place.serve_from_now_on();
            }
            let _ = began.send(()).await;
            std::future::pending::<()>().await;
            drop(connection);
            Ok::<_, Infallible>(())
        }
    }))
}

#[tokio::test]
async fn rtmp_that_waits_is_dropped_and_rtmp_that_is_served_stays() {
    for served in [false, true] {
        let (began, mut beginnings) = mpsc::channel(8);
        let services = Services { rtmp: Some(holding(served, began)), ..Services::new(prompt()) };
        let site = Site::serve(services, few(1), Duration::ZERO);
        let mut rtmp = site.connect().await;
        rtmp.send([3]).await;
        beginnings.recv().await.expect("a connection");
        let mut newest = site.connect().await;
        if served {
            assert!(newest.rest().await.is_empty());
            assert_eq!((site.count("shed_slowest"), site.count("shed_newest")), (0, 1));
        } else {
            assert!(rtmp.rest().await.is_empty());
            newest.send(ASK).await;
            assert_eq!(newest.reply().await.expect("an answer").status, 200);
            assert_eq!((site.count("shed_slowest"), site.count("shed_newest")), (1, 0));
        }
    }
}

#[tokio::test]
async fn a_flood_of_silent_connections_does_not_shut_anybody_out() {
    let site = Site::start(prompt(), few(64));
    let mut flood = Vec::new();
    for number in 0..640 {
        flood.push(site.connect().await);
        if number % 64 == 63 {
            assert_eq!(site.ask(ASK).await.status, 200, "after {number}");
        }
    }
    assert_eq!(site.count("shed_newest"), 0);
    assert!(site.count("shed_slowest") >= 500);
}

#[tokio::test]
async fn an_address_has_no_more_than_its_share() {
    let site = Site::start(prompt(), Limits { connections_per_address_max: 2, ..limits() });
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = site.connect().await;
        client.send(ASK).await;
        assert!(client.reply().await.is_some());
        held.push(client);
    }
    assert!(site.connect().await.rest().await.is_empty());
    assert_eq!((site.count("shed_address"), site.count("accepted")), (1, 2));
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.2:0".parse().expect("an address")).expect("loopback");
    let mut other = Client::on(socket.connect(site.address).await.expect("a connection"));
    other.send(ASK).await;
    assert_eq!(other.reply().await.expect("an answer").status, 200, "others do not mind");
    held.pop();
    eventually("a place is free", || site.figures.open_now() == 2).await;
    assert_eq!(site.ask(ASK).await.status, 200);
}
