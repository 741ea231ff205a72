//! A real sender against a redirector that is nothing but a socket and the wire crate.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use tidegate_agent::{
    EdgeHandle, EdgeSender, EdgeStatus, Measurement, StartError, Target, ViewerLimit,
    link_speed::Link, targets::TargetsFile,
};
use tidegate_proto::{
    datagram::{Header, Kind, parse},
    edge::{EdgeId, Host},
    heartbeat::{Ack, Heartbeat, Load, Order, Status, Trouble},
    key::{SendKey, format_edge_key, format_fleet_key},
    seal::FleetKey,
    stream::Streams,
};
use tokio::{net::UdpSocket, sync::watch, time::timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(100);

/// Opens heartbeats and sends acks when told to.
struct Redirector {
    socket: UdpSocket,
    key: FleetKey,
    boot: [u8; 16],
    acks: u64,
}

#[derive(Debug, Clone)]
struct Heard {
    header: Header,
    heartbeat: Heartbeat,
    from: SocketAddr,
}

impl Redirector {
    async fn bind(key: &FleetKey) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        Self { socket, key: key.clone(), boot: rand::random(), acks: 0 }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    fn target(&self) -> Target {
        let key = SendKey::Fleet { key: self.key.clone(), weak: false };
        Target::at(self.address(), key)
    }

    async fn hear(&self) -> Heard {
        let mut buffer = [0; 2_048];
        let (len, from) = timeout(PATIENCE, self.socket.recv_from(&mut buffer))
            .await
            .expect("a heartbeat in time")
            .expect("received");
        let datagram = parse(&buffer[..len]).expect("well formed");
        let header = datagram.header;
        let key = self.key.edge_key(header.edge_id()).heartbeat_key(header.session);
        let payload = key.open(&datagram).expect("authentic");
        Heard { header, heartbeat: Heartbeat::decode(&payload).expect("within bounds"), from }
    }

    /// The first of the next hundred heartbeats for which `holds`.
    async fn hear_until(&self, holds: impl Fn(&Heard) -> bool) -> Heard {
        for _ in 0..100 {
            let heard = self.hear().await;
            if holds(&heard) {
                return heard;
            }
        }
        panic!("a hundred heartbeats and none is the expected one");
    }

    fn ack(&mut self, key: &FleetKey, heard: &Heard, sequence: u64, order: Order) -> Vec<u8> {
        self.acks += 1;
        let key = key.edge_key(heard.header.edge_id()).ack_key(heard.header.session, self.boot);
        let header = Header {
            kind: Kind::Ack,
            want_ack: false,
            sender: self.boot,
            sequence: self.acks,
            salt: rand::random(),
            ..heard.header
        };
        let ack = Ack {
            sequence,
            sent_at_unix_ms: heard.header.sent_at_unix_ms,
            order,
            order_revision: 41,
            lease: Duration::from_secs(8),
            known_for: Duration::ZERO,
        };
        key.seal(&header, &ack.encode(), 1).expect("short")
    }

    async fn send(&self, bytes: &[u8], to: SocketAddr) {
        self.socket.send_to(bytes, to).await.expect("sent");
    }

    async fn acknowledge(&mut self, heard: &Heard, order: Order) -> Vec<u8> {
        let key = self.key.clone();
        let ack = self.ack(&key, heard, heard.header.sequence, order);
        self.send(&ack, heard.from).await;
        ack
    }
}

fn sender(name: &str) -> EdgeSender {
    EdgeSender::new(name.parse().expect("a name"))
        .interval(INTERVAL)
        .source(|| Ok(Measurement::of_viewers(12)))
}

#[tokio::test]
async fn figures_are_measured_for_the_heartbeat_that_carries_them() {
    const INTERVAL: Duration = Duration::from_secs(1);
    let redirector = Redirector::bind(&FleetKey::random()).await;
    let began = Instant::now();
    let edge = sender("edge-1")
        .interval(INTERVAL)
        .source(move || Ok(Measurement::of_viewers(began.elapsed().as_millis() as u32)))
        .target(redirector.target())
        .spawn()
        .expect("started");
    let mut ages = Vec::new();
    for _ in 0..6 {
        let viewers = redirector.hear().await.heartbeat.load.viewers;
        let measured_ms = u64::from(viewers.expect("measured"));
        ages.push(began.elapsed().saturating_sub(Duration::from_millis(measured_ms)));
    }
    // One that a busy machine holds up proves nothing; figures of another rhythm would all be old.
    ages.sort();
    assert!(ages[4] < INTERVAL / 4, "{ages:?}");
    edge.stop().await;
}

/// Hears heartbeats, so that time passes and the sender works, until its status holds.
async fn status_when(
    edge: &EdgeHandle,
    redirector: &Redirector,
    holds: impl Fn(&EdgeStatus) -> bool,
) -> EdgeStatus {
    for _ in 0..100 {
        let status = edge.status();
        if holds(&status) {
            return status;
        }
        redirector.hear().await;
    }
    panic!("the status never held: {:?}", edge.status());
}

#[tokio::test]
async fn the_first_heartbeat_comes_at_once_and_says_who_and_how_much() {
    let key = FleetKey::random();
    let redirector = Redirector::bind(&key).await;
    let edge = sender("edge-1")
        .interval(Duration::from_secs(60))
        .label("zone", "a")
        .target(redirector.target())
        .spawn()
        .expect("spawned");
    let heard = redirector.hear().await;
    assert_eq!(heard.header.edge_id(), edge.edge_id());
    assert_eq!((heard.header.kind, heard.header.sequence), (Kind::Heartbeat, 1));
    let heartbeat = heard.heartbeat;
    assert_eq!((heartbeat.status, heartbeat.load.viewers), (Status::Running, Some(12)));
    assert_eq!(heartbeat.redirect_address, Some("127.0.0.1".parse().expect("an address")));
    assert_eq!(heartbeat.labels["zone"], "a");
    assert_eq!(heartbeat.target_count, 1);
}

#[tokio::test]
async fn all_streams_are_told_within_a_few_heartbeats() {
    let key = FleetKey::random();
    let redirector = Redirector::bind(&key).await;
    let named: Vec<_> = (0..400).map(|n| (format!("live/{n}"), n)).collect();
    let all = Streams::of_names(named.iter().map(|(name, viewers)| (name.as_str(), *viewers)));
    let measured = Measurement::of_viewers(12).with_streams(named);
    let _edge = sender("edge-1")
        .source(move || Ok(measured.clone()))
        .target(redirector.target())
        .spawn()
        .expect("spawned");
    redirector.hear_until(|heard| heard.heartbeat.streams.is_some()).await;
    let mut told = Streams::default();
    for _ in 0..4 {
        let streams = redirector.hear().await.heartbeat.streams.expect("in each heartbeat");
        assert_eq!(streams.number().1, 4);
        told.replace(&streams);
    }
    assert_eq!(told, all);
}

#[tokio::test]
async fn an_ack_registers_and_a_bad_one_changes_nothing() {
    let key = FleetKey::random();
    let mut redirector = Redirector::bind(&key).await;
    let edge = sender("edge-1").target(redirector.target()).spawn().expect("spawned");

    let first = redirector.hear().await;
    let forged = redirector.ack(&FleetKey::random(), &first, first.header.sequence, Order::Drained);
    redirector.send(&forged, first.from).await;
    let unasked = redirector.ack(&key, &first, 1_000_000, Order::Drained);
    redirector.send(&unasked, first.from).await;
    let refused = |forged, unexpected, repeated| {
        move |status: &EdgeStatus| {
            let row = status.targets[0].acks_refused;
            (row.forged, row.unexpected, row.repeated) == (forged, unexpected, repeated)
        }
    };
    let status = status_when(&edge, &redirector, refused(1, 1, 0)).await;
    assert!(!status.targets[0].registered);
    assert_eq!((status.targets[0].order, status.targets[0].acks), ("unknown", 0));

    let heard = redirector.hear().await;
    let ack = redirector.acknowledge(&heard, Order::Draining).await;
    let status = status_when(&edge, &redirector, |s| s.targets[0].registered).await;
    let row = &status.targets[0];
    assert_eq!((row.order, row.order_revision, row.acks), ("draining", 41, 1));
    assert!(row.round_trip_ms.is_some() && row.last_ack_age_ms.is_some());

    redirector.send(&ack, heard.from).await;
    let status = status_when(&edge, &redirector, refused(1, 1, 1)).await;
    assert_eq!(status.targets[0].acks, 1);
}

#[tokio::test]
async fn each_redirector_gets_its_own_session_and_a_pause_at_once() {
    let key = FleetKey::random();
    let (a, b) = (Redirector::bind(&key).await, Redirector::bind(&key).await);
    let edge = sender("edge-1")
        .interval(Duration::from_secs(60))
        .target(a.target())
        .target(b.target())
        .spawn()
        .expect("spawned");
    let (first_a, first_b) = (a.hear().await, b.hear().await);
    assert_ne!(first_a.header.session, first_b.header.session);
    assert_eq!(first_a.header.sequence, first_b.header.sequence);

    edge.pause();
    assert!(edge.status().paused);
    for redirector in [&a, &b] {
        assert_eq!(redirector.hear().await.heartbeat.status, Status::Paused);
    }
    edge.unpause();
    assert_eq!(a.hear().await.heartbeat.status, Status::Running);
}

#[tokio::test]
async fn an_edge_at_its_viewer_limit_pauses_until_enough_have_left() {
    let redirector = Redirector::bind(&FleetKey::random()).await;
    let (viewers, told) = watch::channel(2);
    let limit = ViewerLimit::new(3.try_into().expect("above 0"), None).expect("a gap");
    let edge = sender("edge-1")
        .target(redirector.target())
        .viewer_limit(Some(limit))
        .source(move || Ok(Measurement::of_viewers(*told.borrow())))
        .spawn()
        .expect("spawned");
    let says = async |viewers, status| {
        let heard = redirector.hear_until(|heard| heard.heartbeat.status == status).await;
        assert_eq!(heard.heartbeat.load.viewers, Some(viewers));
    };
    says(2, Status::Running).await;
    viewers.send_replace(3);
    says(3, Status::Paused).await;
    let status = edge.status();
    assert!(status.full && !status.paused, "the operator paused nothing");
    edge.pause();
    edge.unpause();
    assert!(edge.status().full, "what the operator says changes no limit");
    viewers.send_replace(2);
    says(2, Status::Running).await;
}

#[tokio::test]
async fn stopping_says_goodbye_three_times() {
    let key = FleetKey::random();
    let redirector = Redirector::bind(&key).await;
    let edge = sender("edge-1").target(redirector.target()).spawn().expect("spawned");
    let last = redirector.hear().await;
    edge.stop().await;
    let first = redirector.hear_until(|heard| heard.header.kind == Kind::Goodbye).await;
    assert_eq!(first.heartbeat.status, Status::Stopped);
    assert_eq!(first.header.session, last.header.session);
    for after in 1..=2 {
        let next = redirector.hear().await;
        assert_eq!(next.header.kind, Kind::Goodbye);
        assert_eq!(next.header.sequence, first.header.sequence + after);
        assert!(next.header.want_ack);
    }
}

#[tokio::test]
async fn trouble_is_told_at_once_and_so_is_its_end() {
    let key = FleetKey::random();
    let redirector = Redirector::bind(&key).await;
    let (broken, is_broken) = watch::channel(false);
    let edge = sender("edge-1")
        .source(move || {
            if *is_broken.borrow() {
                return Err(Trouble { code: "source_missing".into(), text: "gone".into() });
            }
            Ok(Measurement::of_viewers(3))
        })
        .target(redirector.target())
        .spawn()
        .expect("spawned");
    assert_eq!(redirector.hear().await.heartbeat.trouble, None);
    broken.send_replace(true);
    let heard = redirector.hear_until(|heard| heard.heartbeat.trouble.is_some()).await;
    assert_eq!(heard.heartbeat.load, Load::default(), "trouble came with figures");
    broken.send_replace(false);
    let heard = redirector.hear_until(|heard| heard.heartbeat.trouble.is_none()).await;
    assert_eq!(heard.heartbeat.load.viewers, Some(3));
    edge.stop().await;
}

#[tokio::test]
async fn a_source_that_hangs_delays_no_heartbeat() {
    let key = FleetKey::random();
    let redirector = Redirector::bind(&key).await;
    let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
    let edge = sender("edge-1")
        .source(move || {
            // Hangs until the test lets go of the other end.
            let _ = released.recv();
            Ok(Measurement::of_viewers(1))
        })
        .target(redirector.target())
        .spawn()
        .expect("spawned");
    let slow = redirector.hear_until(|heard| heard.heartbeat.trouble.is_some()).await;
    assert_eq!(slow.heartbeat.trouble.map(|trouble| trouble.code).as_deref(), Some("source_slow"));
    assert_eq!(slow.heartbeat.load.viewers, None);
    drop(release);
    redirector.hear_until(|heard| heard.heartbeat.load.viewers == Some(1)).await;
    edge.stop().await;
}

#[tokio::test]
async fn a_source_that_panics_is_trouble_and_heartbeats_go_on() {
    let key = FleetKey::random();
    let redirector = Redirector::bind(&key).await;
    let edge = sender("edge-1")
        .source(|| panic!("a broken source, on purpose"))
        .target(redirector.target())
        .spawn()
        .expect("spawned");
    let failed = |heard: &Heard| {
        heard.heartbeat.trouble.as_ref().is_some_and(|trouble| trouble.code == "source_failed")
    };
    redirector.hear_until(failed).await;
    assert!(failed(&redirector.hear().await));
    edge.stop().await;
}

fn write_targets(path: &Path, text: &str) {
    let temporary = path.with_extension("new");
    fs::write(&temporary, text).expect("written");
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600)).expect("mode set");
    fs::rename(&temporary, path).expect("renamed");
}

#[tokio::test]
async fn a_changed_targets_file_is_followed_and_a_broken_one_is_not() {
    let key = FleetKey::random();
    let (kept, left, joined) =
        (Redirector::bind(&key).await, Redirector::bind(&key).await, Redirector::bind(&key).await);
    let line =
        |r: &Redirector| format!("127.0.0.1,{},{}\n", r.address().port(), *format_fleet_key(&key));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("targets");
    write_targets(&path, &(line(&kept) + &line(&left)));
    let mut file = TargetsFile::new(path.clone());
    let targets = file.read().expect("valid");
    let edge = sender("edge-1").targets_file(file, targets).spawn().expect("spawned");
    let session = kept.hear().await.header.session;
    left.hear().await;

    write_targets(&path, "nonsense\n");
    let status = status_when(&edge, &kept, |status| status.targets_fault.is_some()).await;
    assert_eq!(status.targets.len(), 2);
    left.hear().await;

    write_targets(&path, &(line(&joined) + &line(&kept)));
    let first = joined.hear().await;
    assert_eq!(first.header.sequence, 1);
    left.hear_until(|heard| heard.header.kind == Kind::Goodbye).await;
    let status = status_when(&edge, &kept, |status| status.targets_fault.is_none()).await;
    let shown: Vec<_> = status.targets.iter().map(|row| row.target.clone()).collect();
    assert_eq!(shown, [joined.address().to_string(), kept.address().to_string()]);
    assert_eq!(kept.hear().await.header.session, session, "an unchanged line lost its session");
    edge.stop().await;
}

#[tokio::test]
async fn a_key_file_that_goes_bad_leaves_the_session_and_a_new_key_takes_over() {
    let (old, new) = (FleetKey::random(), FleetKey::random());
    let redirector = Redirector::bind(&old).await;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (path, keys) = (dir.path().join("targets"), dir.path().join("keys"));
    write_targets(&keys, &format_fleet_key(&old));
    let port = redirector.address().port();
    write_targets(&path, &format!("127.0.0.1,{port},${{file:{}}}\n", keys.display()));
    let mut file = TargetsFile::new(path);
    let targets = file.read().expect("valid");
    let edge = sender("edge-1").targets_file(file, targets).spawn().expect("spawned");
    let session = redirector.hear().await.header.session;

    write_targets(&keys, "nonsense\n");
    let status = status_when(&edge, &redirector, |status| status.targets_fault.is_some()).await;
    let fault = status.targets_fault.expect("just seen");
    assert!(fault.contains("targets line 1") && fault.contains("keys line 1"), "{fault}");
    assert_eq!(redirector.hear().await.header.session, session);

    write_targets(&keys, &format!("{}\n", *format_fleet_key(&new)));
    let mut buffer = [0; 2_048];
    let mut header = None;
    for _ in 0..100 {
        let received = timeout(PATIENCE, redirector.socket.recv(&mut buffer)).await;
        let len = received.expect("in time").expect("received");
        header = Some(parse(&buffer[..len]).expect("well formed").header);
        if header.is_some_and(|header| header.key_id == new.id()) {
            break;
        }
    }
    let header = header.expect("a hundred heartbeats");
    assert!(header.key_id == new.id() && header.session != session);
    assert_eq!(edge.status().targets_fault, None);
    edge.stop().await;
}

#[tokio::test]
async fn a_new_key_for_the_same_redirector_takes_over_without_a_goodbye() {
    let (old, new) = (FleetKey::random(), FleetKey::random());
    let redirector = Redirector::bind(&old).await;
    let line =
        |key| format!("127.0.0.1,{},{}\n", redirector.address().port(), *format_fleet_key(key));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("targets");
    write_targets(&path, &line(&old));
    let mut file = TargetsFile::new(path.clone());
    let targets = file.read().expect("valid");
    let edge = sender("edge-1").targets_file(file, targets).spawn().expect("spawned");
    redirector.hear().await;

    write_targets(&path, &line(&new));
    let mut buffer = [0; 2_048];
    let mut with_new = 0;
    for _ in 0..100 {
        let received = timeout(PATIENCE, redirector.socket.recv(&mut buffer)).await;
        let len = received.expect("in time").expect("received");
        let header = parse(&buffer[..len]).expect("well formed").header;
        assert_eq!(header.kind, Kind::Heartbeat, "a goodbye would tear the new session down");
        with_new += u32::from(header.key_id == new.id());
        if with_new == 10 {
            break;
        }
        assert!(with_new == 0 || header.key_id == new.id(), "both sessions go on");
    }
    assert_eq!(with_new, 10);
    edge.stop().await;
}

#[tokio::test]
async fn a_per_edge_key_says_who_the_edge_is() {
    let (key, id) = (FleetKey::random(), EdgeId::random());
    let redirector = Redirector::bind(&key).await;
    let issued = || -> SendKey { format_edge_key(&key, id).parse().expect("the form is right") };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let edge = sender("edge-1")
        .state_dir(dir.path())
        .target(Target::at(redirector.address(), issued()))
        .spawn()
        .expect("spawned");
    assert_eq!(redirector.hear().await.header.edge_id(), id);
    edge.stop().await;

    let other = sender("edge-1")
        .edge_id(EdgeId::random())
        .target(Target::at(redirector.address(), issued()))
        .spawn();
    assert!(matches!(other, Err(StartError::ForeignKey { key, .. }) if key == id));
    assert!(matches!(sender("edge-1").spawn(), Err(StartError::NoTargets)));
}

#[tokio::test]
async fn a_name_is_resolved_and_its_other_address_tried_when_one_refuses() {
    let key = FleetKey::random();
    let redirector = Redirector::bind(&key).await;
    let send_key = SendKey::Fleet { key: key.clone(), weak: false };
    // Where localhost is ::1 first, nobody listens there, and 127.0.0.1 must be tried at once.
    let target = Target::new("localhost", redirector.address().port(), send_key).expect("a name");
    let edge =
        sender("edge-1").interval(Duration::from_secs(60)).target(target).spawn().expect("spawned");
    assert_eq!(redirector.hear().await.header.edge_id(), edge.edge_id());
    edge.stop().await;
}

#[tokio::test]
async fn an_address_that_moves_is_sent_at_once_and_an_unknown_one_never() {
    let host = |text: &str| text.parse::<Host>().expect("a host");
    let redirector = Redirector::bind(&FleetKey::random()).await;
    let (answers, answer) = watch::channel(Err("nobody knows".to_owned()));
    let edge = sender("edge-1")
        .interval(Duration::from_secs(60))
        .redirect_followed(host("203.0.113.1"), Duration::from_millis(5), move || {
            answer.borrow().clone()
        })
        .target(redirector.target())
        .spawn()
        .expect("spawned");
    let sent = redirector.hear().await.heartbeat.redirect_address;
    assert_eq!(sent, Some(host("203.0.113.1")));
    answers.send(Ok(host("203.0.113.2"))).expect("still asked");
    let sent = redirector.hear().await.heartbeat.redirect_address;
    assert_eq!(sent, Some(host("203.0.113.2")), "within the interval");
    answers.send(Err("gone again".to_owned())).expect("still asked");
    edge.pause();
    let paused = redirector.hear().await.heartbeat;
    assert_eq!(paused.status, Status::Paused);
    assert_eq!(paused.redirect_address, Some(host("203.0.113.2")));
}

#[tokio::test]
async fn the_speed_of_the_link_is_the_capacity_and_refuses_no_figures() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(dir.path().join("eth0")).expect("made");
    let speed = dir.path().join("eth0/speed");
    fs::write(&speed, "10\n").expect("written");
    let redirector = Redirector::bind(&FleetKey::random()).await;
    let sent = Load { bandwidth_out_bps: Some(99_000_000), ..Load::default() };
    let _edge = sender("edge-1")
        .source(move || Ok(Measurement::of_load(sent)))
        .capacity_of_link(Link::parse("eth0").expect("a name").told_in(dir.path()))
        .target(redirector.target())
        .spawn()
        .expect("spawned");
    let told = |bps| move |heard: &Heard| heard.heartbeat.capacity.bandwidth_bps == bps;
    let heard = redirector.hear_until(told(Some(10_000_000))).await;
    assert_eq!(heard.heartbeat.load, sent);
    assert_eq!(heard.heartbeat.trouble, None);
}

#[tokio::test]
async fn a_profile_no_redirector_would_take_is_refused() {
    let key = FleetKey::random();
    let redirector = Redirector::bind(&key).await;
    let labelled = sender("edge-1").label("", "x").target(redirector.target());
    assert!(matches!(labelled.spawn(), Err(StartError::Profile(_))));
}
