//! A redirector is replaced by another one at the same address, while something on the way goes on
//! sending what it knows to the old one.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate_proto::key::format_fleet_key;
use tidegate_tests::{
    edge::loopback_socket,
    programs::{Agent, AgentSetup, Redirector, target_line},
    wait::{SOON, eventually},
};

/// Short, but longer than an ack is waited for.
const INTERVAL: Duration = Duration::from_millis(1_200);
/// Five for a heartbeat that arrives, one more because UP is heard twice, and a share of each for
/// jitter. The one on top is for a machine that does much else.
const PROMISED: Duration = INTERVAL.saturating_mul(7);
/// How soon a tracker sees what came back.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What tracks connections between edges and the redirector behind one address, as kube-proxy and
/// other translators do: each source port stays with the redirector that was there when it was
/// first seen, and what is sent to one that is gone is lost without a word.
struct Tracker {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    redirector: Mutex<SocketAddr>,
    source_ports: AtomicUsize,
    ended: AtomicBool,
}

struct Flow {
    redirector: SocketAddr,
    outside: UdpSocket,
}

impl Tracker {
    fn start(redirector: SocketAddr) -> Self {
        let inside = loopback_socket();
        inside.set_read_timeout(Some(LOOK_EVERY)).expect("a socket that can wait");
        let address = inside.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            redirector: Mutex::new(redirector),
            source_ports: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let seen = shared.clone();
        thread::spawn(move || {
            let mut flows = HashMap::new();
            while !seen.ended.load(Ordering::Relaxed) {
                carry(&inside, &seen, &mut flows);
            }
        });
        Self { shared, address }
    }

    fn replace(&self, redirector: SocketAddr) {
        *self.shared.redirector.lock().expect("no thread panics with it") = redirector;
    }

    fn source_ports(&self) -> usize {
        self.shared.source_ports.load(Ordering::Relaxed)
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

fn carry(inside: &UdpSocket, shared: &Shared, flows: &mut HashMap<SocketAddr, Flow>) {
    let mut buffer = [0; 2_048];
    let received = inside.recv_from(&mut buffer);
    let current = *shared.redirector.lock().expect("no thread panics with it");
    if let Ok((len, edge)) = received {
        let flow = flows.entry(edge).or_insert_with(|| Flow::to(current));
        if flow.redirector == current {
            // What a full queue drops, a network would have dropped.
            let _ = flow.outside.send_to(&buffer[..len], current);
        }
    }
    for (edge, flow) in flows.iter().filter(|(_, flow)| flow.redirector == current) {
        while let Ok((len, _)) = flow.outside.recv_from(&mut buffer) {
            let _: io::Result<usize> = inside.send_to(&buffer[..len], edge);
        }
    }
    shared.source_ports.store(flows.len(), Ordering::Relaxed);
}

impl Flow {
    fn to(redirector: SocketAddr) -> Self {
        let outside = loopback_socket();
        outside.set_nonblocking(true).expect("a socket that does not wait");
        Self { redirector, outside }
    }
}

#[test]
fn an_edge_is_up_at_a_replaced_redirector_although_its_old_flow_leads_nowhere() {
    let mut old = Redirector::start();
    let keys = old.home().join("keys").display().to_string();
    let new = Redirector::start_with(&[("heartbeat-keys-file", &keys)]);
    let tracker = Tracker::start(old.ports().heartbeat);
    let setup = AgentSetup { interval: INTERVAL, ..AgentSetup::new("edge-1", 18_085) };
    let line = target_line(tracker.address, &format_fleet_key(old.key()));
    let agent = Agent::start_as(&setup, &line);
    old.until_liveness("edge-1", "UP");
    let acks = || agent.status()["targets"][0]["acks"].as_u64().expect("a number");
    let until_asked_again = || {
        let before = acks();
        eventually(SOON, "the next ack", || if acks() > before { Ok(()) } else { Err("no".into()) })
    };
    (0..4).for_each(|_| until_asked_again());
    assert_eq!(tracker.source_ports(), 1, "a way that works was left");

    // Right after an ack, so that as much time as possible passes until the next is missed.
    tracker.replace(new.ports().heartbeat);
    let began = Instant::now();
    old.kill();
    new.until_liveness("edge-1", "UP");
    let took = began.elapsed();
    eprintln!("UP at the new one after {:.1} intervals", took.div_duration_f64(INTERVAL));
    assert!(took < PROMISED, "{took:?}, promised were {PROMISED:?}");
    assert_eq!(tracker.source_ports(), 2);
    let status = agent.status();
    assert_eq!(status["targets"][0]["registered"], true, "{status}");
    assert!(status["targets"][0]["error"].is_null(), "{status}");
}
