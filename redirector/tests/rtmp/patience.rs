//! How long a client is waited for, in the runtime's own time.

use std::time::Duration;

use tidegate_proto::edge::Scheme;
use tidegate_redirector::{
    answer::apps::App,
    clients::{Clients, RtmpLimits, rtmp},
    front::{Place, Reached, RtmpConnection},
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::ServiceExt;

use crate::{
    clients, count,
    player::{Player, connect, hello},
    sample,
};

/// A client on a connection in memory.
fn begin(clients: &Clients) -> (Player<DuplexStream>, JoinHandle<Duration>) {
    let (ours, theirs) = duplex(64 * 1024);
    let (stage, stopping) = watch::channel(false);
    let connection = RtmpConnection {
        stream: Box::new(theirs),
        reached: Reached { peer: [192, 0, 2, 1].into(), port: 1935, scheme: Scheme::Rtmp },
        stopping,
        place: Place::kept(),
    };
    let service = rtmp::service(clients.clone());
    let serving = tokio::spawn(async move {
        let started = Instant::now();
        let _ = service.oneshot(connection).await;
        drop(stage);
        started.elapsed()
    });
    (Player(ours), serving)
}

fn accepting() -> Clients {
    let app = App { redirect_on_connect: false, ..App::named("*") };
    clients(vec![sample::edge("edge-1", "edge-1", "rtmp:1945")], app, RtmpLimits::default())
}

fn about(elapsed: Duration, seconds: u64) -> bool {
    let expected = Duration::from_secs(seconds);
    elapsed >= expected && elapsed < expected + Duration::from_millis(100)
}

#[tokio::test(start_paused = true)]
async fn a_handshake_is_finished_within_5_s() {
    let clients = accepting();
    let (mut player, serving) = begin(&clients);
    player.send(&hello()).await;
    // Slowly, but never silent for long.
    for _ in 0..4 {
        sleep(Duration::from_secs(1)).await;
        player.send(&[7; 100]).await;
    }
    let elapsed = serving.await.expect("no panic");
    assert!(about(elapsed, 5), "{elapsed:?}");
    assert_eq!(count(&clients.rtmp.lapses, "handshake_timeout"), 1);
}

#[tokio::test(start_paused = true)]
async fn connect_comes_within_5_s_of_the_handshake() {
    let clients = accepting();
    let (mut player, serving) = begin(&clients);
    sleep(Duration::from_secs(3)).await;
    player.shake_hands().await;
    let elapsed = serving.await.expect("no panic");
    assert!(about(elapsed, 8), "{elapsed:?}");
    assert_eq!(count(&clients.rtmp.lapses, "connect_timeout"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_client_may_be_silent_for_30_s() {
    let clients = accepting();
    let (mut player, serving) = begin(&clients);
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    let elapsed = serving.await.expect("no panic");
    assert!(about(elapsed, 30), "{elapsed:?}");
    assert_eq!(count(&clients.rtmp.lapses, "calls_timeout"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_accepted_client_stays_for_60_s_at_most() {
    let clients = accepting();
    let (mut player, serving) = begin(&clients);
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    // An acknowledgement every 10 s.
    for _ in 0..5 {
        sleep(Duration::from_secs(10)).await;
        player.send(&[2, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 16, 0]).await;
    }
    let elapsed = serving.await.expect("no panic");
    assert!(about(elapsed, 60), "{elapsed:?}");
    assert_eq!(count(&clients.rtmp.lapses, "calls_timeout"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_leave_is_left() {
    let edge = sample::edge("edge-1", "edge-1", "rtmp:1945");
    let clients = clients(vec![edge], App::named("*"), RtmpLimits::default());
    let (mut player, serving) = begin(&clients);
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    let elapsed = serving.await.expect("no panic");
    assert!(about(elapsed, 1), "{elapsed:?}");
    assert!(!player.rest().await.is_empty());
}
