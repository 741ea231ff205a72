//! The heartbeat port over loopback, with a fleet made by hand.

use std::{net::Ipv4Addr, sync::Mutex};

use tidegate_proto::{
    datagram::{Header, Kind, SessionId, parse},
    edge::EdgeId,
    heartbeat::{Ack, Heartbeat},
    seal::FleetKey,
};
use tokio::{net::UdpSocket, sync::oneshot, task::JoinHandle, time::timeout};

use super::*;
use crate::gate::{Entropy, Rules};

const LIMIT: Duration = Duration::from_secs(10);
const EDGE: EdgeId = EdgeId([1; 16]);
const BOOT: [u8; 16] = [5; 16];

/// A fleet that keeps what it is told, up to `room` reports.
struct Notebook {
    reports: Arc<Mutex<Vec<Report>>>,
    room: usize,
}

impl Listener for Notebook {
    fn report(&self, report: Report) -> Result<(), QueueFull> {
        let mut reports = self.reports.lock().expect("no test panicked holding it");
        if reports.len() >= self.room {
            return Err(QueueFull);
        }
        reports.push(report);
        Ok(())
    }

    fn view(&self) -> Arc<FleetView> {
        Arc::new(FleetView { order_revision: 42, ..FleetView::default() })
    }
}

struct Port {
    addr: SocketAddr,
    figures: Arc<IngestFigures>,
    reports: Arc<Mutex<Vec<Report>>>,
    commands: mpsc::Sender<KeyRing>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Gate>,
}

fn key() -> FleetKey {
    FleetKey::from_bytes([7; 32])
}

fn ring(key: FleetKey) -> KeyRing {
    let mut ring = KeyRing::default();
    ring.insert(key).expect("no collision");
    ring
}

fn open(room: usize) -> Port {
    let ingest = Ingest::bind((Ipv4Addr::UNSPECIFIED, 0).into()).expect("a free port");
    let addr = ingest.local_addr();
    let (figures, reports) = (Arc::new(IngestFigures::default()), Arc::default());
    let (commands, from_tests) = mpsc::channel(4);
    let (stop, stopped) = oneshot::channel::<()>();
    let entropy = Entropy { boot: BOOT, ..Entropy::random() };
    let gate = Gate::new(ring(key()), Rules::default(), entropy);
    let fleet = Notebook { reports: Arc::clone(&reports), room };
    let shutdown = async move { stopped.await.unwrap_or(()) };
    let counted = Arc::clone(&figures);
    let task = tokio::spawn(ingest.run(gate, fleet, Clock::start(), counted, from_tests, shutdown));
    Port { addr, figures, reports, commands, stop, task }
}

impl Port {
    async fn close(self) -> (Arc<IngestFigures>, Vec<Report>, Gate) {
        self.stop.send(()).expect("it runs");
        let gate = timeout(LIMIT, self.task).await.expect("it stops").expect("no panic");
        let reports = std::mem::take(&mut *self.reports.lock().expect("not poisoned"));
        (self.figures, reports, gate)
    }
}

fn heartbeat(key: &FleetKey, sequence: u64) -> Vec<u8> {
    let now = Clock::start().now().unix_ms;
    let header = Header {
        kind: Kind::Heartbeat,
        want_ack: true,
        key_id: key.id(),
        sender: EDGE.0,
        session: SessionId::new(now, [0; 8]),
        sent_at_unix_ms: now,
        salt: [0; 4],
        sequence,
    };
    let sealing = key.edge_key(EDGE).heartbeat_key(header.session);
    sealing.seal(&header, &Heartbeat::default().encode(), 2).expect("it fits")
}

/// Sends and waits for the ack, which says that the datagram was dealt with.
async fn ask(edge: &UdpSocket, to: SocketAddr, key: &FleetKey, sequence: u64) -> (Ack, SocketAddr) {
    edge.send_to(&heartbeat(key, sequence), to).await.expect("loopback takes it");
    let mut buffer = [0; 2_048];
    let (len, from) =
        timeout(LIMIT, edge.recv_from(&mut buffer)).await.expect("in time").expect("an ack");
    let sealed = parse(&buffer[..len]).expect("well formed");
    let opened = key.edge_key(EDGE).ack_key(sealed.header.session, BOOT).open(&sealed);
    (Ack::decode(&opened.expect("authentic")).expect("an ack"), from)
}

async fn edge() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port")
}

#[tokio::test]
async fn a_heartbeat_reaches_the_fleet_and_its_ack_comes_from_the_address_hit() {
    let (port, edge) = (open(9), edge().await);
    let hit = SocketAddr::from(([127, 0, 0, 2], port.addr.port()));
    for _ in 0..20 {
        edge.send_to(b"junk", hit).await.expect("loopback takes it");
    }
    let (ack, from) = ask(&edge, hit, &key(), 3).await;
    assert_eq!(from, hit);
    assert_eq!((ack.sequence, ack.order, ack.order_revision), (3, Order::Unknown, 42));

    let (figures, reports, gate) = port.close().await;
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].edge, reports[0].sequence), (EDGE, 3));
    assert_eq!(reports[0].source, Ipv4Addr::LOCALHOST);
    assert_eq!(figures.received.load(Relaxed), 21);
    assert_eq!(figures.accepted.load(Relaxed), 1);
    assert_eq!(figures.rejected.get(Reject::BadLength), 20);
    assert_eq!(figures.acks_sent.load(Relaxed), 1);
    assert_eq!(figures.keys()[0].opened.load(Relaxed), 1);
    assert!(figures.receive_buffer_bytes.load(Relaxed) > 0);
    assert!(kernel_drops(figures.socket_inode.load(Relaxed)).is_none(), "it is closed");
    assert_eq!(gate.session_count(), 1);
}

#[tokio::test]
async fn a_full_queue_is_counted_and_the_edge_still_gets_its_ack() {
    let (port, edge) = (open(0), edge().await);
    ask(&edge, (Ipv4Addr::LOCALHOST, port.addr.port()).into(), &key(), 1).await;
    let (figures, reports, _) = port.close().await;
    assert!(reports.is_empty());
    assert_eq!(figures.rejected.get(Reject::QueueFull), 1);
    assert_eq!(figures.accepted.load(Relaxed), 0);
}

#[tokio::test]
async fn exchanged_keys_hold_at_once() {
    let (port, edge) = (open(9), edge().await);
    let to = (Ipv4Addr::LOCALHOST, port.addr.port()).into();
    ask(&edge, to, &key(), 1).await;
    let other = FleetKey::from_bytes([8; 32]);
    let change = ring(other.clone());
    port.commands.send(change).await.expect("it runs");
    edge.send_to(&heartbeat(&key(), 2), to).await.expect("loopback takes it");
    ask(&edge, to, &other, 3).await;
    let (figures, reports, _) = port.close().await;
    assert_eq!(reports.iter().map(|report| report.sequence).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(figures.rejected.get(Reject::UnknownKey), 1);
    assert_eq!(figures.keys().iter().map(|key| key.id).collect::<Vec<_>>(), [other.id()]);
}
