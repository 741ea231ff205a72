//! A fleet's heartbeats at full size against one redirector, and what they cost it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fmt, fs,
    net::{SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use rand::RngExt;
use tidegate_proto::{
    datagram::Kind,
    edge::{Capacity, Endpoint, Scheme},
    heartbeat::{Heartbeat, INTERVAL_DEFAULT, Load},
    seal::FleetKey,
};

use crate::{
    edge::SimulatedEdge,
    metrics::Metrics,
    process::{cpu_time, resident_bytes},
    programs::Redirector,
    wait::{SOON, eventually},
};

/// Agents send up to so much earlier or later, so that edges never align.
const JITTER: f64 = 0.1;
/// Agents ask for an ack with their first three heartbeats, then with one in four.
const FIRST_ASKS: u64 = 3;
const ASK_EVERY: u64 = 4;
const SOCKETS: usize = 4;
/// Memory may grow by so much after the middle of the run.
const GROWTH_MAX: f64 = 0.10;

/// How large and how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Edges.
    pub edges: usize,
    /// How long they send.
    pub span: Duration,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    plan: Plan,
    sent: u64,
    asked: u64,
    acked: u64,
    accepted: u64,
    rejected: BTreeMap<String, f64>,
    kernel_drops: u64,
    socket_drops: u64,
    up: u64,
    resident_start: u64,
    resident_middle: u64,
    resident_end: u64,
    cpu_share: f64,
    generator_late: Duration,
}

/// Starts a redirector, lets the fleet report to it, and counts.
#[must_use]
pub fn run(plan: Plan) -> Report {
    let mut redirector = Redirector::start();
    let pid = redirector.process().pid();
    let to = redirector.ports().heartbeat;
    let mut fleet = Fleet::new(redirector.key(), plan.edges);
    let (resident_start, cpu_start) = (resident_bytes(pid), cpu_time(pid));
    let began = Instant::now();
    fleet.send_until(began + plan.span / 2, to);
    let resident_middle = resident_bytes(pid);
    fleet.send_until(began + plan.span, to);
    let took = began.elapsed();
    let cpu = cpu_time(pid) - cpu_start;
    let resident_end = resident_bytes(pid);
    let metrics = settled(&redirector, fleet.sent);
    fleet.take_acks();
    let count = |name: &str| metrics.sum(name, &[]) as u64;
    Report {
        plan,
        sent: fleet.sent,
        asked: fleet.asked,
        acked: fleet.acked,
        accepted: count("tidegate_heartbeats_accepted_total"),
        rejected: of_reasons(&metrics),
        kernel_drops: count("tidegate_kernel_drops_total"),
        socket_drops: socket_drops(to),
        up: metrics.sum("tidegate_edges", &[("liveness", "UP")]) as u64,
        resident_start,
        resident_middle,
        resident_end,
        cpu_share: cpu.as_secs_f64() / took.as_secs_f64(),
        generator_late: fleet.late_max,
    }
}

/// The metrics once everything that was sent has been judged or is known to be lost.
fn settled(redirector: &Redirector, sent: u64) -> Metrics {
    eventually(SOON, "every heartbeat is accounted for", || {
        let metrics = redirector.metrics();
        let names = [
            "tidegate_heartbeats_accepted_total",
            "tidegate_datagrams_rejected_total",
            "tidegate_kernel_drops_total",
        ];
        let judged: f64 = names.iter().map(|name| metrics.sum(name, &[])).sum();
        if judged >= sent as f64 { Ok(metrics) } else { Err(format!("{judged} of {sent}")) }
    })
}

fn of_reasons(metrics: &Metrics) -> BTreeMap<String, f64> {
    let reasons = metrics.by("tidegate_datagrams_rejected_total", "reason");
    reasons.into_iter().filter(|(_, count)| *count > 0.0).collect()
}

/// What the kernel itself says it dropped at a UDP port: the last column of /proc/net/udp.
fn socket_drops(address: SocketAddr) -> u64 {
    let table = fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let port = format!(":{:04X}", address.port());
    let row = table
        .lines()
        .find(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)));
    row.and_then(|line| line.split_whitespace().last()?.parse().ok()).unwrap_or(0)
}

/// The generator.
struct Fleet {
    edges: Vec<SimulatedEdge>,
    beats: Vec<u64>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    sockets: Vec<UdpSocket>,
    sent: u64,
    asked: u64,
    acked: u64,
    late_max: Duration,
}

impl Fleet {
    fn new(key: &FleetKey, count: usize) -> Self {
        let now = Instant::now();
        let mut random = rand::rng();
        let first = |index| {
            let start = INTERVAL_DEFAULT.mul_f64(random.random_range(0.0..1.0));
            Reverse((now + start, index))
        };
        let due = (0..count).map(first).collect();
        let edges = (0..count).map(|index| edge(key, index)).collect();
        let sockets = (0..SOCKETS).map(|_| socket()).collect();
        let beats = vec![0; count];
        let late_max = Duration::ZERO;
        Self { edges, beats, due, sockets, sent: 0, asked: 0, acked: 0, late_max }
    }

    /// Sends each heartbeat when it is due, until `end`.
    fn send_until(&mut self, end: Instant, to: SocketAddr) {
        let mut random = rand::rng();
        while let Some(Reverse((due, index))) = self.due.pop() {
            if due >= end {
                self.due.push(Reverse((due, index)));
                thread::sleep(end.saturating_duration_since(Instant::now()));
                return;
            }
            let now = Instant::now();
            if due > now {
                self.take_acks();
                thread::sleep(due - now);
            } else {
                self.late_max = self.late_max.max(now - due);
            }
            self.send(index, to);
            let factor = random.random_range(1.0 - JITTER..1.0 + JITTER);
            self.due.push(Reverse((due + INTERVAL_DEFAULT.mul_f64(factor), index)));
        }
    }

    fn send(&mut self, index: usize, to: SocketAddr) {
        let (edge, beats) = (&mut self.edges[index], &mut self.beats[index]);
        *beats += 1;
        let mut header = edge.next_header(Kind::Heartbeat);
        header.want_ack = *beats <= FIRST_ASKS || beats.is_multiple_of(ASK_EVERY);
        self.asked += u64::from(header.want_ack);
        edge.heartbeat.load.viewers = Some((index as u64 * 7 + *beats) as u32 % 4_000);
        let datagram = edge.seal(&header, &edge.heartbeat.encode());
        self.sockets[index % SOCKETS].send_to(&datagram, to).expect("loopback takes datagrams");
        self.sent += 1;
    }

    fn take_acks(&mut self) {
        let mut buffer = [0; 2_048];
        for socket in &self.sockets {
            while socket.recv_from(&mut buffer).is_ok() {
                self.acked += 1;
            }
        }
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a UDP socket on loopback");
    socket.set_nonblocking(true).expect("a socket that does not block");
    socket
}

/// An edge that says as much of itself as a real one.
fn edge(key: &FleetKey, index: usize) -> SimulatedEdge {
    let mut edge = SimulatedEdge::new(key, &format!("edge-{index:05}"));
    let endpoint = |scheme, port: u16| Endpoint { scheme, port: port.try_into().expect("a port") };
    edge.heartbeat = Heartbeat {
        endpoints: vec![endpoint(Scheme::Http, 8080), endpoint(Scheme::Rtmp, 1935)],
        labels: [("zone".into(), "a".into()), ("rack".into(), index.to_string())].into(),
        capacity: Capacity { viewers: Some(4_000), bandwidth_bps: Some(10_000_000_000) },
        load: Load {
            viewers: Some(0),
            bandwidth_out_bps: Some(4_000_000_000),
            cpu_utilization: Some(0.31),
            ..Load::default()
        },
        interval: INTERVAL_DEFAULT,
        agent_version: "0.1.0".into(),
        target_count: 2,
        ..edge.heartbeat
    };
    edge
}

impl Report {
    /// Everything that must not happen and did.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let growth = self.resident_end as f64 / self.resident_middle as f64 - 1.0;
        let holds = [
            (self.rejected.is_empty(), format!("rejected: {:?}", self.rejected)),
            (self.accepted == self.sent, format!("{} of {} accepted", self.accepted, self.sent)),
            (self.kernel_drops + self.socket_drops == 0, "the kernel dropped some".to_owned()),
            (self.up == self.plan.edges as u64, format!("{} edges are UP", self.up)),
            (self.acked == self.asked, format!("{} of {} acks came", self.acked, self.asked)),
            (growth <= GROWTH_MAX, format!("memory grew by {:.1} %", growth * 100.0)),
        ];
        holds.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / 1_048_576.0);
        let rejected = if self.rejected.is_empty() {
            "none".to_owned()
        } else {
            let reasons = self.rejected.iter().map(|(reason, count)| format!("{count} {reason}"));
            reasons.collect::<Vec<_>>().join(", ")
        };
        let queue_drops = self.rejected.get("queue_full").copied().unwrap_or(0.0);
        let rows = [
            ("edges", self.plan.edges.to_string()),
            ("seconds", format!("{:.0}", self.plan.span.as_secs_f64())),
            ("heartbeats sent", self.sent.to_string()),
            ("accepted", self.accepted.to_string()),
            ("rejected", rejected),
            ("dropped by the kernel (metric)", self.kernel_drops.to_string()),
            ("dropped by the kernel (/proc/net/udp)", self.socket_drops.to_string()),
            ("dropped by the writer's queue", format!("{queue_drops}")),
            ("edges UP at the end", self.up.to_string()),
            ("acks asked for", self.asked.to_string()),
            ("acks received", self.acked.to_string()),
            ("resident before", mib(self.resident_start)),
            ("resident in the middle", mib(self.resident_middle)),
            ("resident at the end", mib(self.resident_end)),
            ("processor, share of one core", format!("{:.1} %", self.cpu_share * 100.0)),
            ("generator late by at most", format!("{:.1?}", self.generator_late)),
        ];
        rows.iter().try_for_each(|(name, value)| writeln!(f, "{name:<40}{value}"))
    }
}
