//! Clients that are connected to an edge through the redirector.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tidegate_control::{
    clock::Clock,
    fleet::{Fleet, Running},
    order::{Principal, Request, Verb},
    registry::{Patience, Report},
    snapshot::EdgeView,
    store::{Memory, MemoryStore},
};
use tidegate_proto::{
    datagram::SessionId,
    edge::{EdgeId, Endpoint, Scheme},
    heartbeat::{Heartbeat, Load},
};
use tidegate_redirector::{
    answer::{Rules, apps::Apps},
    clients::{Clients, RtmpLimits},
    front::Limits,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use crate::{
    Site, clients, count,
    edge::{Edge, WORD},
    least_loaded,
    player::{PATIENCE, connect, hello, holds, messages, reply},
    sample, spliced,
};

/// An edge at a port of this machine; the more viewers, the later it is chosen.
fn edge(name: &str, port: u16, viewers: u32) -> EdgeView {
    let mut edge = sample::edge(name, "127.0.0.1", &format!("rtmp:{port}"));
    edge.load.viewers = Some(viewers);
    edge
}

fn site(fleet: Vec<EdgeView>) -> Site {
    Site::start(clients(fleet, spliced(), RtmpLimits::default()))
}

/// A port nobody listens on.
async fn dead_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("bound").port()
}

#[tokio::test]
async fn bytes_go_both_ways_and_the_edge_hears_its_own_url() {
    let server = Edge::start().await;
    let site = site(vec![edge("edge-1", server.address.port(), 0)]);
    let mut player = site.connect().await;
    player.shake_hands().await;
    let mut sent = connect("live", "rtmp://lb.example.com/live");
    // A message of the same kind on the same chunk stream, sent at once.
    let behind = [&[0x43, 0, 0, 0, 0, 0, 3, 20][..], b"abc"].concat();
    sent.extend(&behind);
    player.send(&sent).await;
    assert_eq!(player.read(WORD.len()).await, WORD);
    assert_eq!(player.read(behind.len()).await, behind);
    let told = server.connects().remove(0);
    assert!(holds(&told, &format!("rtmp://127.0.0.1:{}/live", server.address.port())));
    assert!(!holds(&told, "lb.example.com"));
    let media = vec![0x5a; 300_000];
    let mut echoed = vec![0; media.len()];
    let (mut from, mut to) = player.0.split();
    let both = async { tokio::try_join!(from.read_exact(&mut echoed), to.write_all(&media)) };
    timeout(PATIENCE, both).await.expect("in time").expect("an open connection");
    assert_eq!(echoed, media);
    let figures = &site.clients.rtmp;
    assert_eq!(figures.splices_open.get(), 1);
    assert!(figures.bytes_to_clients.load(Relaxed) >= 300_000);
    assert!(figures.bytes_to_edges.load(Relaxed) >= 300_000);
    // The end is passed on, and comes back from the edge.
    to.shutdown().await.expect("an open connection");
    assert!(player.rest().await.is_empty());
    timeout(PATIENCE, server.met.ended.acquire()).await.expect("an end").expect("open").forget();
    assert_eq!(count(&figures.answers, "splice"), 1);
}

#[tokio::test]
async fn an_edge_that_cannot_be_reached_is_passed_over() {
    let server = Edge::start().await;
    let fleet = vec![
        edge("edge-1", dead_port().await, 0),
        edge("edge-2", dead_port().await, 1),
        edge("edge-3", server.address.port(), 2),
    ];
    let site = site(fleet);
    let mut player = site.connect().await;
    player.send(&[hello(), reply(), connect("live", "rtmp://lb/live")].concat()).await;
    player.read(crate::player::HANDSHAKE_LEN).await;
    assert_eq!(player.read(WORD.len()).await, WORD);
    assert_eq!(count(&site.clients.rtmp.splice_faults, "unreachable"), 2);
}

#[tokio::test]
async fn three_edges_are_tried_and_no_more() {
    let server = Edge::start().await;
    let mut fleet = vec![edge("edge-4", server.address.port(), 9)];
    for n in 1..=3 {
        fleet.push(edge(&format!("edge-{n}"), dead_port().await, n));
    }
    let site = site(fleet);
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    let said = messages(&player.rest().await);
    assert!(holds(&said[0], "_error") && holds(&said[0], "none could be reached"));
    assert!(!holds(&said[0], "redirect") && holds(&said[1], "close"));
    assert!(server.connects().is_empty());
    let faults = &site.clients.rtmp.splice_faults;
    assert_eq!((count(faults, "unreachable"), count(faults, "given_up")), (3, 1));
}

#[tokio::test]
async fn an_edge_may_have_a_name() {
    let server = Edge::start().await;
    let edge = sample::edge("edge-1", "localhost", &format!("rtmp:{}", server.address.port()));
    let site = site(vec![edge]);
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    assert_eq!(player.read(WORD.len()).await, WORD);
}

#[tokio::test]
async fn a_name_that_leads_back_here_is_not_dialled() {
    let server = Edge::start().await;
    let port = server.address.port();
    let edge = sample::edge("edge-1", "localhost", &format!("rtmp:{port}"));
    let mut clients = clients(vec![edge], spliced(), RtmpLimits::default());
    let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from(Ipv6Addr::LOCALHOST)];
    clients.rules = Arc::new(Rules {
        own: loopback.map(|address| (address, port)).into(),
        ..Rules::clone(&clients.rules)
    });
    let site = Site::start(clients);
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    assert!(holds(&messages(&player.rest().await)[0], "none could be reached"));
    assert_eq!(count(&site.clients.rtmp.splice_faults, "unresolved"), 1);
    assert_eq!(server.met.begun.available_permits(), 0);
}

#[tokio::test]
async fn a_server_that_speaks_something_else_is_no_edge() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let site = site(vec![edge("edge-1", listener.local_addr().expect("bound").port(), 0)]);
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    let (mut stream, _) = listener.accept().await.expect("the redirector dials");
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("it reads");
    assert!(holds(&messages(&player.rest().await)[0], "none could be reached"));
    assert_eq!(count(&site.clients.rtmp.splice_faults, "handshake"), 1);
}

#[tokio::test]
async fn beyond_the_bound_clients_are_rejected_until_a_splice_ends() {
    let server = Edge::start().await;
    let fleet = vec![edge("edge-1", server.address.port(), 0)];
    let limits = RtmpLimits { splices_max: 1, ..RtmpLimits::default() };
    let site = Site::start(clients(fleet, spliced(), limits));
    let mut first = site.connect().await;
    first.shake_hands().await;
    first.send(&connect("live", "rtmp://lb/live")).await;
    assert_eq!(first.read(WORD.len()).await, WORD);
    let mut second = site.connect().await;
    second.shake_hands().await;
    second.send(&connect("live", "rtmp://lb/live")).await;
    assert!(holds(&messages(&second.rest().await)[0], "too many connections are spliced"));
    assert_eq!(count(&site.clients.rtmp.splice_faults, "full"), 1);
    drop(first);
    timeout(PATIENCE, server.met.ended.acquire()).await.expect("an end").expect("open").forget();
    // The place is free a moment after the edge has heard of the end.
    for _ in 0..1_000 {
        let mut third = site.connect().await;
        third.shake_hands().await;
        third.send(&connect("live", "rtmp://lb/live")).await;
        if third.read(WORD.len()).await == WORD {
            return;
        }
    }
    panic!("the place was never free again");
}

#[tokio::test]
async fn a_splice_keeps_its_place_however_quiet_it_is() {
    let server = Edge::start().await;
    let fleet = vec![edge("edge-1", server.address.port(), 0)];
    let clients = clients(fleet, spliced(), RtmpLimits::default());
    let limits = Limits { connections_max: 1, ..Limits::CLIENTS };
    let site = Site::start_within(limits, clients);
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    assert_eq!(player.read(WORD.len()).await, WORD);
    assert!(site.connect().await.rest().await.is_empty(), "the newcomer is turned away");
    player.send(&[0x5a; 100]).await;
    assert_eq!(player.read(100).await, [0x5a; 100]);
}

#[tokio::test]
async fn a_stop_ends_splices_at_once() {
    let server = Edge::start().await;
    let site = site(vec![edge("edge-1", server.address.port(), 0)]);
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    assert_eq!(player.read(WORD.len()).await, WORD);
    site.stop().await;
    assert!(player.rest().await.is_empty());
    timeout(PATIENCE, server.met.ended.acquire()).await.expect("an end").expect("open").forget();
}

/// A fleet that obeys orders, its edges at these ports and the earlier ones less loaded.
async fn fleet(ports: &[u16]) -> (Fleet, Running) {
    let store = Box::new(MemoryStore::default());
    let (fleet, running) = Fleet::start(
        Patience::default(),
        least_loaded(),
        &Memory::default(),
        store,
        Clock::start(),
        "test",
    );
    for sequence in 1..=2 {
        for (n, port) in (1..).zip(ports) {
            fleet.report(report(n, *port, sequence)).expect("there is room");
        }
    }
    let mut changes = fleet.changes();
    while fleet.published().fleet().eligible.len() < ports.len() {
        changes.changed().await.expect("the writer runs");
    }
    (fleet, running)
}

fn report(n: u8, port: u16, sequence: u64) -> Report {
    let endpoint =
        Endpoint { scheme: Scheme::Rtmp, port: port.try_into().expect("a port that is not 0") };
    let heartbeat = Heartbeat {
        name: format!("edge-{n}").parse().ok(),
        endpoints: vec![endpoint],
        load: Load { viewers: Some(u32::from(n)), ..Load::default() },
        ..Heartbeat::default()
    };
    Report {
        edge: EdgeId([n; 16]),
        session: SessionId([1; 16]),
        sequence,
        goodbye: false,
        heartbeat,
        source: IpAddr::from([127, 0, 0, 1]),
    }
}

async fn drain(fleet: &Fleet, edge: &str) {
    let request = Request {
        verb: Verb::Drain,
        edge: edge.into(),
        reason: "test".into(),
        request_id: String::new(),
        etag: String::new(),
        principal: Principal::default(),
    };
    timeout(PATIENCE, fleet.order(request)).await.expect("in time").expect("drained");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_whose_drain_was_answered_while_it_was_dialled_gets_no_connect() {
    let (slow, other) = (Edge::answering(0).await, Edge::start().await);
    let (fleet, running) = fleet(&[slow.address.port(), other.address.port()]).await;
    let rules = Rules { apps: Apps::new(vec![spliced()]), ..Rules::default() };
    let clients = Clients::new(
        Arc::clone(fleet.published()),
        Arc::new(rules),
        Clock::start(),
        RtmpLimits::default(),
    );
    let site = Site::start(clients);
    let mut player = site.connect().await;
    player.shake_hands().await;
    player.send(&connect("live", "rtmp://lb/live")).await;
    // The redirector has chosen and dialled, and waits for the handshake.
    timeout(PATIENCE, slow.met.begun.acquire()).await.expect("a dial").expect("open").forget();
    drain(&fleet, "edge-1").await;
    slow.met.answers.add_permits(1);
    assert_eq!(player.read(WORD.len()).await, WORD);
    timeout(PATIENCE, slow.met.ended.acquire()).await.expect("an end").expect("open").forget();
    assert!(slow.connects().is_empty(), "the drained edge got a client");
    assert_eq!(other.connects().len(), 1);
    assert_eq!(count(&site.clients.rtmp.splice_faults, "drained"), 1);
    running.stop().await;
}
