//! What is spoken is told by the first byte, however the bytes arrive.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use ::http::Request;
use hyper::body::Incoming;
use tidegate_redirector::front::{
    FrontFigures, Limits, Reached, Routes, RtmpConnection, RtmpService, Services, serve_one,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, sleep},
};
use warp::Reply as _;

use crate::{ASK, limits, site::count};

/// Routes that say how a request came.
pub(crate) fn telling() -> Routes {
    Routes::new(tower::service_fn(|request: Request<Incoming>| async move {
        let reached = request.extensions().get::<Reached>().expect("it is always there");
        let Reached { scheme, peer, .. } = reached;
        let said = format!("{scheme} {peer} {} {}", request.method(), request.uri());
        Ok::<_, Infallible>(said.into_response())
    }))
}

/// Says how a connection came and repeats what is sent on it, once all is sent.
pub(crate) fn repeating() -> RtmpService {
    RtmpService::new(tower::service_fn(|mut connection: RtmpConnection| async move {
        let Reached { scheme, peer, .. } = connection.reached;
        let mut said = format!("{scheme} {peer} ").into_bytes();
        let _ = connection.stream.read_to_end(&mut said).await;
        let _ = connection.stream.write_all(&said).await;
        let _ = connection.stream.shutdown().await;
        Ok::<_, Infallible>(())
    }))
}

/// One connection that no listener has accepted, from 192.0.2.1.
pub(crate) struct Alone {
    pub(crate) client: DuplexStream,
    pub(crate) figures: Arc<FrontFigures>,
    served: JoinHandle<()>,
}

impl Alone {
    pub(crate) fn start(services: Services, limits: Limits) -> Self {
        let (client, server) = duplex(64 * 1024);
        let figures = Arc::<FrontFigures>::default();
        let peer = IpAddr::from([192, 0, 2, 1]);
        let serving = serve_one(server, peer, 1935, services, limits, Arc::clone(&figures));
        Self { client, figures, served: tokio::spawn(serving) }
    }

    /// Sends pieces that arrive one by one, then the end; returns what came back.
    pub(crate) async fn answer_to(mut self, pieces: &[&[u8]]) -> String {
        for piece in pieces {
            self.client.write_all(piece).await.expect("room");
            // The clock stands still, so this ends when nobody else has anything to do.
            sleep(Duration::from_millis(1)).await;
        }
        self.client.shutdown().await.expect("a half-close");
        let mut answer = Vec::new();
        self.client.read_to_end(&mut answer).await.expect("an end");
        self.served.await.expect("no panic");
        String::from_utf8(answer).expect("text")
    }
}

fn services() -> Services {
    Services { rtmp: Some(repeating()), ..Services::new(telling()) }
}

#[tokio::test(start_paused = true)]
async fn a_first_byte_that_arrives_alone_is_enough_and_is_not_lost() {
    for first in [3, 6, 8] {
        let alone = Alone::start(services(), limits());
        let figures = Arc::clone(&alone.figures);
        let answer = alone.answer_to(&[&[first], b"rest"]).await;
        assert_eq!(answer, format!("rtmp 192.0.2.1 {}rest", char::from(first)));
        assert_eq!((count(&figures, "rtmp"), count(&figures, "http")), (1, 0));
    }
    let alone = Alone::start(services(), limits());
    let (first, rest) = ASK.split_at(1);
    let answer = alone.answer_to(&[first.as_bytes(), rest.as_bytes()]).await;
    assert!(answer.ends_with("\r\n\r\nhttp 192.0.2.1 GET /"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn every_other_byte_is_http_s_business() {
    for first in (0..=255).filter(|byte| ![3, 6, 8, 0x16].contains(byte)) {
        let alone = Alone::start(services(), limits());
        let figures = Arc::clone(&alone.figures);
        let answer = alone.answer_to(&[&[first], b" / HTTP/1.1\r\nHost: a\r\n\r\n"]).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{first}: {answer}");
        assert_eq!((count(&figures, "rtmp"), count(&figures, "http")), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn rtmp_is_closed_where_it_is_not_served() {
    let alone = Alone::start(Services::new(telling()), limits());
    let figures = Arc::clone(&alone.figures);
    assert_eq!(alone.answer_to(&[&[3]]).await, "");
    assert_eq!(count(&figures, "rtmp_not_served"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_closed_in_time_and_one_that_leaves_is_not_counted() {
    let mut alone = Alone::start(services(), limits());
    let started = Instant::now();
    assert_eq!(alone.client.read(&mut [0]).await.expect("an end"), 0);
    assert_eq!(started.elapsed().as_secs(), limits().head_timeout.as_secs());
    assert_eq!(count(&alone.figures, "head_timeouts"), 1);

    let alone = Alone::start(services(), limits());
    let figures = Arc::clone(&alone.figures);
    assert_eq!(alone.answer_to(&[]).await, "");
    let counted: u64 = figures.connections().iter().map(|(_, count)| count).sum();
    assert_eq!((counted, count(&figures, "accepted")), (1, 1));
}
