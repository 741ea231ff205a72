//! Strangers change nothing and learn nothing, and hostile text stays text.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    time::Instant,
};

use prost::Message;
use quick_xml::{Reader, events::Event};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tidegate_proto::{
    datagram::{HEADER_LEN, Header, Kind},
    heartbeat::{INTERVAL_MAX, Status},
    seal::FleetKey,
    wire,
};
use tidegate_tests::{
    edge::{LiveEdges, SimulatedEdge, loopback_socket, unix_ms},
    metrics::Metrics,
    process::resident_bytes,
    programs::{Redirector, tidegatectl},
    scene::{Scene, sent_to},
    wait::{SOON, eventually},
};

const REJECTED: &str = "tidegate_datagrams_rejected_total";
const FLOOD: usize = 200_000;
const WARM_UP: usize = 20_000;
const GROWTH_BYTES_MAX: u64 = 8 << 20;
/// Sent before the redirector is asked how far it is, so that its socket buffer never overflows.
const BURST: usize = 500;

/// The fleet without what may change by itself: times.
fn timeless(redirector: &Redirector) -> Value {
    let mut fleet = redirector.fleet();
    for edge in fleet["edges"].as_array_mut().expect("a list of edges") {
        let edge = edge.as_object_mut().expect("an edge");
        edge.remove("lastHeartbeatTime").expect("every edge was heard");
    }
    fleet
}

fn rejected(metrics: &Metrics) -> BTreeMap<String, f64> {
    metrics.by(REJECTED, "reason").into_iter().filter(|(_, count)| *count > 0.0).collect()
}

/// Waits until `count` datagrams more than `before` were received or lost, and says how many of
/// those were refused for which reason.
fn refused_since(redirector: &Redirector, before: &Metrics, count: usize) -> BTreeMap<String, f64> {
    eventually(SOON, "every datagram was judged", || {
        let now = redirector.metrics();
        let judged = |m: &Metrics| m.sum(REJECTED, &[]) + m.sum("tidegate_kernel_drops_total", &[]);
        let more = judged(&now) - judged(before);
        if more < count as f64 {
            return Err(format!("{more} of {count}: {:?}", rejected(&now)));
        }
        let earlier = rejected(before);
        let gained = rejected(&now).into_iter().map(|(reason, total)| {
            let known = earlier.get(&reason).copied().unwrap_or(0.0);
            (reason, total - known)
        });
        Ok(gained.filter(|(_, gained)| *gained > 0.0).collect())
    })
}

/// Whether anything came back to a socket.
fn is_silent(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).expect("a socket that does not block");
    let mut buffer = [0; 2_048];
    let came = socket.recv_from(&mut buffer);
    came.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Hostile datagrams of each sort, with the reasons they may be refused for.
struct Forger {
    real: SimulatedEdge,
    stranger: SimulatedEdge,
    used: Vec<Vec<u8>>,
    random: StdRng,
}

impl Forger {
    fn new(redirector: &Redirector, to: &UdpSocket, address: SocketAddr, seed: u64) -> Self {
        let mut real = SimulatedEdge::new(redirector.key(), "real");
        // It sends no more by itself: it must neither be chosen nor fall silent meanwhile.
        real.heartbeat.status = Status::Paused;
        real.heartbeat.interval = INTERVAL_MAX;
        let stranger = SimulatedEdge::new(&FleetKey::random(), "stranger");
        let mut used = Vec::new();
        for _ in 0..4 {
            let datagram = real.next_datagram();
            to.send_to(&datagram, address).expect("sent");
            used.push(datagram);
        }
        Self { real, stranger, used, random: StdRng::seed_from_u64(seed) }
    }

    fn next_real_header(&mut self) -> Header {
        let mut header = self.real.next_header(Kind::Heartbeat);
        header.want_ack = true;
        header
    }

    fn real_datagram(&mut self) -> Vec<u8> {
        let header = self.next_real_header();
        self.real.seal(&header, &self.real.heartbeat.encode())
    }

    fn random_bytes(&mut self) -> Vec<u8> {
        let len = self.random.random_range(0..1_400);
        (0..len).map(|_| self.random.random()).collect()
    }

    fn truncated(&mut self) -> Vec<u8> {
        let mut datagram = self.real_datagram();
        datagram.truncate(self.random.random_range(0..datagram.len()));
        datagram
    }

    fn flipped(&mut self) -> Vec<u8> {
        let mut datagram = self.real_datagram();
        let at = self.random.random_range(0..datagram.len());
        datagram[at] ^= 1 << self.random.random_range(0..8);
        datagram
    }

    fn flipped_in_the_seal(&mut self) -> Vec<u8> {
        let mut datagram = self.real_datagram();
        let at = self.random.random_range(HEADER_LEN..datagram.len());
        datagram[at] ^= 1 << self.random.random_range(0..8);
        datagram
    }

    fn of_wrong_key(&mut self) -> Vec<u8> {
        self.stranger.next_datagram()
    }

    fn of_wrong_key_under_the_right_id(&mut self) -> Vec<u8> {
        let mut header = self.next_real_header();
        header.sender = rand::random();
        self.stranger.seal(&header, &self.stranger.heartbeat.encode())
    }

    fn replayed(&mut self) -> Vec<u8> {
        let at = self.random.random_range(0..self.used.len());
        self.used[at].clone()
    }

    fn ack(&mut self) -> Vec<u8> {
        let header = self.real.next_header(Kind::Ack);
        self.real.seal(&header, &[])
    }

    fn sent_in_another_time(&mut self) -> Vec<u8> {
        let mut header = self.next_real_header();
        let off = 40_000 + self.random.random_range(0..1_000_000_000);
        let now = unix_ms();
        header.sent_at_unix_ms = if self.random.random() { now + off } else { now - off };
        self.real.seal(&header, &self.real.heartbeat.encode())
    }

    fn any(&mut self) -> Vec<u8> {
        match self.random.random_range(0..9) {
            0 | 1 => self.random_bytes(),
            2 => self.truncated(),
            3 => self.flipped(),
            4 => self.flipped_in_the_seal(),
            5 => self.of_wrong_key(),
            6 => self.of_wrong_key_under_the_right_id(),
            7 => self.replayed(),
            _ => self.ack(),
        }
    }
}

#[test]
fn every_sort_of_forgery_is_counted_by_its_reason_and_changes_nothing() {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let scene = Scene::of(&["edge-1"]);
    let (redirector, socket) = (&scene.redirector, loopback_socket());
    let address = redirector.ports().heartbeat;
    let mut forger = Forger::new(redirector, &socket, address, seed);
    redirector.until_liveness("real", "UP");
    let fleet = timeless(redirector);
    type Sort = (&'static str, fn(&mut Forger) -> Vec<u8>, &'static [&'static str]);
    let shape =
        &["bad_length", "bad_magic", "unknown_version", "unknown_type", "reserved_bits"][..];
    let any_bit = &[
        "bad_magic",
        "unknown_version",
        "unknown_type",
        "reserved_bits",
        "unexpected_type",
        "unknown_key",
        "stale_time",
        "rate_limited",
        "replayed",
        "too_old",
        "forged",
    ][..];
    let sorts: [Sort; 9] = [
        ("random bytes", Forger::random_bytes, shape),
        ("truncated", Forger::truncated, &["bad_length", "forged"]),
        ("one bit changed", Forger::flipped, any_bit),
        ("one bit changed behind the header", Forger::flipped_in_the_seal, &["forged"]),
        ("unknown key", Forger::of_wrong_key, &["unknown_key"]),
        ("wrong key", Forger::of_wrong_key_under_the_right_id, &["forged", "rate_limited"]),
        ("replayed", Forger::replayed, &["replayed"]),
        ("ack", Forger::ack, &["unexpected_type"]),
        ("another time", Forger::sent_in_another_time, &["stale_time"]),
    ];
    for (what, forge, reasons) in sorts {
        let before = redirector.metrics();
        for _ in 0..50 {
            socket.send_to(&forge(&mut forger), address).expect("sent");
        }
        let refused = refused_since(redirector, &before, 50);
        eprintln!("{what}: {refused:?}");
        assert!(refused.keys().all(|r| reasons.contains(&r.as_str())), "{what}: {refused:?}");
        assert_eq!(refused.values().sum::<f64>(), 50.0, "{what}: one count each: {refused:?}");
        assert_eq!(timeless(redirector), fleet, "{what}");
    }
    assert!(is_silent(&socket_of_strangers(&mut forger, address)), "a stranger got an answer");
    assert_eq!(redirector.edge("edge-1").expect("known")["liveness"], "LIVENESS_UP");
}

/// A socket that sent forgeries of every sort that ask for an ack.
fn socket_of_strangers(forger: &mut Forger, address: SocketAddr) -> UdpSocket {
    let socket = loopback_socket();
    for _ in 0..50 {
        for bytes in [
            forger.flipped_in_the_seal(),
            forger.of_wrong_key_under_the_right_id(),
            forger.sent_in_another_time(),
        ] {
            socket.send_to(&bytes, address).expect("sent");
        }
    }
    socket
}

#[test]
fn a_flood_of_forgeries_costs_no_memory_and_no_edge() {
    let seed = rand::random();
    eprintln!("seed {seed}");
    let mut scene = Scene::of(&["edge-1"]);
    let socket = loopback_socket();
    let address = scene.redirector.ports().heartbeat;
    let mut forger = Forger::new(&scene.redirector, &socket, address, seed);
    scene.redirector.until_liveness("real", "UP");
    let fleet = timeless(&scene.redirector);
    let start = scene.redirector.metrics();
    flood(&scene.redirector, &mut forger, &socket, WARM_UP);
    let pid = scene.redirector.process().pid();
    let (warm, began) = (resident_bytes(pid), Instant::now());
    flood(&scene.redirector, &mut forger, &socket, FLOOD);
    let (took, end) = (began.elapsed(), resident_bytes(pid));
    eprintln!(
        "{FLOOD} forgeries in {took:.1?} ({:.0}/s), resident {:.1} -> {:.1} MiB: {:?}",
        FLOOD as f64 / took.as_secs_f64(),
        warm as f64 / 1_048_576.0,
        end as f64 / 1_048_576.0,
        rejected(&scene.redirector.metrics()),
    );
    let metrics = scene.redirector.metrics();
    let lost = metrics.sum("tidegate_kernel_drops_total", &[]);
    let refused = metrics.sum(REJECTED, &[]) - start.sum(REJECTED, &[]);
    assert_eq!(refused + lost, (WARM_UP + FLOOD) as f64, "one count each");
    assert!(end < warm + GROWTH_BYTES_MAX, "grew by {} bytes", end.saturating_sub(warm));
    assert_eq!(timeless(&scene.redirector), fleet);
    assert_eq!(sent_to(&scene.redirector.get("/live/a")), "edge-1");
    assert!(is_silent(&socket), "a stranger got an answer");
    let edge = scene.redirector.edge("edge-1").expect("known");
    assert_eq!(edge["liveness"], "LIVENESS_UP", "{edge}");
}

/// Sends forgeries no faster than they are judged, while the real edge stays UP.
fn flood(redirector: &Redirector, forger: &mut Forger, socket: &UdpSocket, count: usize) {
    let address = redirector.ports().heartbeat;
    for burst in 1..=count / BURST {
        let before = redirector.metrics();
        for _ in 0..BURST {
            socket.send_to(&forger.any(), address).expect("sent");
        }
        refused_since(redirector, &before, BURST);
        if burst % 20 == 0 {
            let edge = redirector.edge("edge-1").expect("known");
            assert_eq!(edge["liveness"], "LIVENESS_UP", "{edge}");
        }
    }
}

/// Text that would break out of XML, JSON, HTML, a template, a terminal or a log line.
const HOSTILE: &str = "<&\"']]>\n\r\u{1b}[31mred\u{1b}]0;t\u{7} {{7*7}} ${x} %s \u{202e}\u{9b}1m";

#[test]
fn hostile_text_of_a_key_holder_stays_text_everywhere() {
    let redirector = Redirector::start();
    let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
    edge.heartbeat.labels = [("zone".to_owned(), HOSTILE.to_owned())].into();
    edge.heartbeat.labels.insert(HOSTILE.into(), "x".into());
    edge.heartbeat.agent_version = HOSTILE.into();
    edge.heartbeat.server_version = HOSTILE.into();
    edge.heartbeat.trouble =
        Some(tidegate_proto::heartbeat::Trouble { code: HOSTILE.into(), text: HOSTILE.into() });
    let _edges = LiveEdges::start(vec![edge], redirector.ports().heartbeat);
    let shown = redirector.until_liveness("edge-1", "SUSPECT");
    assert_eq!(shown["labels"]["zone"], HOSTILE);
    assert_eq!(shown["labels"][HOSTILE], "x");
    assert_eq!(shown["agentVersion"], HOSTILE);
    assert_eq!(shown["serverVersion"], HOSTILE);
    assert_eq!(shown["livenessReason"]["text"], HOSTILE);
    let order = json!({"edge": "edge-1", "reason": format!("{HOSTILE}\nFORGED LINE")});
    redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    redirector.grpcurl().fleet("DrainEdge", &json!({"edge": HOSTILE})).expect_err("unknown");

    check_xml(&redirector.get("/loadbalancer?serverInfoXML").text());
    redirector.metrics();
    check_tidegatectl(&redirector);
    let log = redirector.output();
    assert!(log.contains("{{7*7}}"), "the reason is in the audit log: {log:?}");
    assert!(!log.contains('\u{1b}') && !log.contains('\u{9b}'), "an escape in the log: {log:?}");
    let forged = log.lines().find(|line| line.starts_with("FORGED") || line.starts_with("red"));
    assert_eq!(forged, None, "a reason began a line of the log");
}

/// Well-formed, without a DTD, and without a control character.
fn check_xml(page: &str) {
    assert!(!page.contains("<!DOCTYPE") && !page.contains('\u{1b}'), "{page:?}");
    let mut reader = Reader::from_str(page);
    let mut elements = 0;
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error} in {page:?}")) {
            Event::Eof => break,
            Event::Start(_) | Event::Empty(_) => elements += 1,
            _ => {}
        }
    }
    assert!(elements > 5, "{page:?}");
}

fn check_tidegatectl(redirector: &Redirector) {
    let admin = redirector.ports().admin.to_string();
    for arguments in [vec!["edges"], vec!["edge", "edge-1"]] {
        let all: Vec<&str> = ["--admin", &admin].into_iter().chain(arguments).collect();
        let table = tidegatectl(&all).ok();
        assert!(table.contains("edge-1"), "{table:?}");
        let control = table.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "a control character in {table:?}");
        assert!(!table.lines().any(|line| line.starts_with("red")), "{table:?}");
    }
    let json = tidegatectl(&["--admin", &admin, "--output", "json", "edge", "edge-1"]).ok();
    assert!(!json.contains('\u{1b}'), "{json:?}");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert!(json.to_string().contains("{{7*7}}"), "{json}");
}

#[test]
fn hostile_names_and_hosts_are_refused_by_their_reason() {
    let redirector = Redirector::start();
    let socket = loopback_socket();
    let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
    let message = |name: &str, host: &str| wire::Heartbeat {
        status: wire::Status::Running.into(),
        name: name.into(),
        redirect_address: host.into(),
        ..Default::default()
    };
    for (name, host, reason) in [
        ("<script>", "a.example", "bad_name"),
        ("a\nb", "a.example", "bad_name"),
        ("7bf5ce94-c10f-45e8-bd47-a55698850ad3", "a.example", "bad_name"),
        ("a", "good.example@evil.example", "bad_host"),
        ("a", "evil.example/x", "bad_host"),
        ("a", "evil.example:80", "bad_host"),
        ("a", "a\r\nSet-Cookie: x=y", "bad_host"),
        ("a", "a\\b", "bad_host"),
        ("a", "0x7f.1", "bad_host"),
    ] {
        let before = redirector.metrics();
        let datagram = edge.next_datagram_of(&message(name, host).encode_to_vec());
        socket.send_to(&datagram, redirector.ports().heartbeat).expect("sent");
        let refused = refused_since(&redirector, &before, 1);
        assert_eq!(refused, [(reason.to_owned(), 1.0)].into(), "{name:?} {host:?}");
    }
    assert_eq!(redirector.fleet()["edges"], json!([]), "nobody was admitted");
}

#[test]
fn a_host_outside_the_allowed_ones_is_refused() {
    let flags = [("heartbeat-allowed-redirect-hosts", "cdn.example,10.0.0.0/8")];
    let redirector = Redirector::start_with(&flags);
    let socket = loopback_socket();
    for (name, host, fine) in [
        ("a", "edge.cdn.example", true),
        ("b", "10.1.2.3", true),
        ("c", "notcdn.example", false),
        ("d", "192.0.2.1", false),
    ] {
        let mut edge = SimulatedEdge::new(redirector.key(), name);
        edge.heartbeat.redirect_address = Some(host.parse().expect("a host"));
        if fine {
            edge.beat(&socket, redirector.ports().heartbeat);
            redirector.until_liveness(name, "NEW");
        } else {
            let before = redirector.metrics();
            edge.beat(&socket, redirector.ports().heartbeat);
            let refused = refused_since(&redirector, &before, 1);
            assert_eq!(refused, [("host_not_allowed".to_owned(), 1.0)].into(), "{host}");
        }
    }
}

#[test]
fn an_edge_that_sends_too_often_is_held_back_and_crowds_out_nobody() {
    let scene = Scene::of(&["edge-1"]);
    let socket = loopback_socket();
    let mut busy = SimulatedEdge::new(scene.redirector.key(), "busy");
    let before = scene.redirector.metrics();
    for _ in 0..500 {
        busy.beat(&socket, scene.redirector.ports().heartbeat);
    }
    let held = refused_since(&scene.redirector, &before, 200);
    assert_eq!(held.keys().collect::<Vec<_>>(), ["too_frequent"], "{held:?}");
    for name in ["edge-1", "busy"] {
        scene.redirector.until_liveness(name, "UP");
    }
}
