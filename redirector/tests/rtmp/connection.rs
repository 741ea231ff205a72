//! RTMP on a connection of its own.

use tidegate_redirector::{answer::apps::App, clients::RtmpLimits, rtmp::amf0::Writer};

use crate::{
    Site, clients, count,
    player::{HANDSHAKE_LEN, chunked, connect, hello, holds, messages, reply},
    sample,
};

fn site(limits: RtmpLimits) -> Site {
    let edge = sample::edge("edge-1", "edge-1.example.com", "rtmp:1945");
    Site::start(clients(vec![edge], App::named("*"), limits))
}

#[tokio::test]
async fn a_client_is_told_its_edge_and_the_connection_ends() {
    let site = site(RtmpLimits::default());
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb.example.com/live")).await;
    let said = messages(&player.rest().await);
    assert_eq!(said.len(), 2, "_error, then close");
    assert!(holds(&said[0], "_error") && holds(&said[0], "rtmp://edge-1.example.com:1945/live"));
    assert!(holds(&said[1], "close"));
    assert_eq!(count(&site.clients.rtmp.answers, "rtmp_redirect"), 1);
}

#[tokio::test]
async fn bytes_may_come_in_pieces_of_any_size() {
    let site = site(RtmpLimits::default());
    let mut player = site.connect().await;
    let all = [hello(), reply(), connect("live", "rtmp://lb/live")].concat();
    for piece in all.chunks(97) {
        player.send(piece).await;
        tokio::task::yield_now().await;
    }
    let said = player.rest().await;
    let said = messages(&said[HANDSHAKE_LEN..]);
    assert!(holds(&said[0], "rtmp://edge-1.example.com:1945/live"));
}

#[tokio::test]
async fn without_an_edge_the_client_is_rejected_without_a_url() {
    let site = Site::start(clients(Vec::new(), App::named("*"), RtmpLimits::default()));
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    let said = messages(&player.rest().await).remove(0);
    assert!(holds(&said, "no edge available") && !holds(&said, "redirect"));
    assert_eq!(count(&site.clients.rtmp.answers, "empty_fleet"), 1);
}

#[tokio::test]
async fn a_client_that_goes_round_in_circles_is_rejected_without_a_url() {
    let limits =
        RtmpLimits { redirects_per_second: 1, redirects_burst: 3, ..RtmpLimits::default() };
    let site = site(limits);
    let mut redirected = 0;
    for _ in 0..10 {
        let mut player = site.connect().await;
        player.shake_hands().await;
        player.send(&connect("live", "rtmp://lb/live")).await;
        let said = messages(&player.rest().await).remove(0);
        redirected += u32::from(holds(&said, "edge-1.example.com"));
        assert!(holds(&said, "_error"));
    }
    assert!((3..10).contains(&redirected), "{redirected}");
    let looped = count(&site.clients.rtmp.answers, "loop_guard");
    assert_eq!(looped, u64::from(10 - redirected));
}

#[tokio::test]
async fn what_no_client_sends_ends_the_connection_and_is_counted() {
    let site = site(RtmpLimits::default());
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&chunked(&Writer::default().text(b"play").number(1.0).null().finish())).await;
    assert!(player.rest().await.is_empty());
    assert_eq!(count(&site.clients.rtmp.rejects, "not_connect"), 1);
}

#[tokio::test]
async fn an_accepted_client_may_ask_for_a_host() {
    let app = App { redirect_on_connect: false, ..App::named("*") };
    let edge = sample::edge("edge-1", "edge-1.example.com", "rtmp:1945");
    let site = Site::start(clients(vec![edge], app, RtmpLimits::default()));
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    let call = Writer::default().text(b"getLoadBalancerRedirect").number(2.0).null();
    player.send(&chunked(&call.finish())).await;
    let mut said = Vec::new();
    while !holds(&said, "edge-1.example.com") {
        said.extend(player.read(1).await);
        assert!(said.len() < 4_096, "the host never came");
    }
    assert_eq!(count(&site.clients.rtmp.answers, "accepted"), 1);
    assert_eq!(count(&site.clients.rtmp.answers, "host"), 1);
}

#[tokio::test]
async fn a_stop_ends_every_connection_at_once() {
    let site = site(RtmpLimits::default());
    let mut player = site.connect().await;
    player.shake_hands().await;
    let stopping = site.stop();
    let (rest, ()) = tokio::join!(player.rest(), stopping);
    assert!(rest.is_empty());
}
