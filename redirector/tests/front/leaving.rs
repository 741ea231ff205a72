//! The end of a front: first it asks its clients to go, then it takes in the last of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use socket2::{Domain, SockFilter, Socket, Type};
use tidegate_redirector::front::{Front, Routes, Services, SessionGoesOn};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};
use warp::Reply as _;

use crate::{ASK, Client, Infallible, Site, eventually, limits, prompt};

#[tokio::test]
async fn a_front_that_leaves_ends_each_connection_with_its_next_answer() {
    let site = Site::start(prompt(), limits());
    let mut kept = site.connect().await;
    kept.send(ASK).await;
    let reply = kept.reply().await.expect("an answer");
    assert_eq!(reply.header("connection"), None);
    let mut refused = site.connect().await;
    site.leaving.begin();
    kept.send(ASK).await;
    refused.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    for (client, status) in [(&mut kept, 200), (&mut refused, 405)] {
        let reply = client.reply().await.expect("an answer");
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")));
        assert!(client.rest().await.is_empty(), "and it was closed");
    }
    let reply = site.ask(ASK).await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "who is new too");
}

#[tokio::test]
async fn a_front_that_leaves_lets_sessions_go_on() {
    let routes = Routes::new(tower::service_fn(|_| async {
        let mut response = "part".into_response();
        response.extensions_mut().insert(SessionGoesOn);
        Ok::<_, Infallible>(response)
    }));
    let site = Site::start(routes, limits());
    site.leaving.begin();
    let mut client = site.connect().await;
    for _ in 0..2 {
        client.send(ASK).await;
        let reply = client.reply().await.expect("an answer");
        assert_eq!((reply.body.as_str(), reply.header("connection")), ("part", None));
    }
}

/// A client whose handshake is over as far as the system is concerned.
async fn connected(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

#[tokio::test]
async fn who_waits_to_be_accepted_when_a_front_stops_is_served() {
    let front = Front::bind(&["127.0.0.1:0".parse().expect("an address")]).expect("a port");
    let address = front.local_addrs()[0];
    let mut waiting = Vec::new();
    for _ in 0..200 {
        waiting.push(connected(address).await);
    }
    // It is told to stop before it has accepted anybody.
    let grace = Duration::from_secs(10);
    let running =
        front.run(Services::new(prompt()), limits(), Arc::default(), std::future::ready(()), grace);
    let running = tokio::spawn(running);
    for stream in &mut waiting {
        stream.write_all(ASK.as_bytes()).await.expect("nothing was reset");
    }
    for stream in waiting {
        let reply = Client::on(stream).reply().await.expect("an answer");
        assert_eq!(reply.status, 200);
    }
    timeout(grace, running).await.expect("it ends in time").expect("no panic");
}

#[tokio::test]
async fn nobody_begins_to_connect_to_a_front_that_stops() {
    if !filters_are_permitted() {
        assert!(std::env::var_os("TIDEGATE_CI").is_none(), "filters are refused here: run as root");
        eprintln!("NOT CHECKED: this system refuses filters on sockets; root may set them");
        return;
    }
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let front = Front::bind(&[address.parse().expect("an address")]).expect("a port");
        let address = front.local_addrs()[0];
        let mut limits = limits();
        limits.last_call = Duration::from_secs(3);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move { stopped.await.unwrap_or(()) };
        let figures = Arc::default();
        let running = front.run(
            Services::new(prompt()),
            limits,
            Arc::clone(&figures),
            stopped,
            Duration::from_secs(10),
        );
        let running = tokio::spawn(running);
        let mut early = connected(address).await;
        drop(stop);
        eventually("newcomers get no answer", || !answers(address)).await;
        early.write_all(ASK.as_bytes()).await.expect("who was there is served");
        let mut beginning = [0; 12];
        early.read_exact(&mut beginning).await.expect("an answer");
        assert_eq!(&beginning, b"HTTP/1.1 200");
        running.await.expect("no panic");
        let error = TcpStream::connect(address).await.expect_err("nothing listens");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

/// Some hardened kernels want CAP_NET_ADMIN for this; then a front that stops serves newcomers too.
fn filters_are_permitted() -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let all_of_it = SockFilter::new(0x06, 0, 0, u32::MAX);
    socket.attach_filter(&[all_of_it]).is_ok()
}

/// Whether a connection is there at once, as on loopback it is where anybody listens.
fn answers(address: SocketAddr) -> bool {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    let connected = socket.connect_timeout(&address.into(), Duration::from_millis(20));
    match connected {
        Ok(()) => true,
        Err(error) => {
            assert_ne!(error.kind(), std::io::ErrorKind::ConnectionRefused, "it still listens");
            false
        }
    }
}
