//! The heartbeat port: receives, asks the [gate](crate::gate), hands reports to the fleet and sends
//! acks. It decides nothing itself, and writes no log line per datagram.

mod drops;
mod socket;
mod summary;

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tidegate_control::{
    clock::{Clock, Now},
    fleet::{Fleet, QueueFull},
    registry::Report,
    snapshot::{AdminState, FleetView},
};
use tidegate_proto::{heartbeat::Order, key::KeyRing};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};

use self::{
    socket::{Arrival, Reply, Socket},
    summary::Summary,
};
use crate::{
    figures::IngestFigures,
    gate::{AckDue, Gate, Reject, Told},
};

pub use self::{drops::kernel_drops, socket::BindError};

/// Batches received before other tasks get their turn.
const BATCHES_MAX: usize = 16;
/// How often the gate tidies up.
const TICK: Duration = Duration::from_secs(1);
/// The wait after a receive that failed for another reason than "nothing there".
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// What the heartbeat port needs of the fleet.
pub trait Listener {
    /// Takes a report.
    fn report(&self, report: Report) -> Result<(), QueueFull>;

    /// The fleet as last published, to tell edges of themselves.
    fn view(&self) -> Arc<FleetView>;
}

impl Listener for Fleet {
    fn report(&self, report: Report) -> Result<(), QueueFull> {
        Self::report(self, report)
    }

    fn view(&self) -> Arc<FleetView> {
        self.published().fleet()
    }
}

/// The bound heartbeat port.
#[derive(Debug)]
pub struct Ingest {
    socket: Socket,
    local_addr: SocketAddr,
}

impl Ingest {
    /// Binds the port. Needs a tokio runtime.
    pub fn bind(addr: SocketAddr) -> Result<Self, BindError> {
        let socket = Socket::bind(addr)?;
        let local_addr = socket.local_addr().map_err(|source| BindError { addr, source })?;
        Ok(Self { socket, local_addr })
    }

    /// Where heartbeats are received.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Receives until `shutdown` is done. Returns the gate as it is then.
    pub async fn run(
        self,
        gate: Gate,
        fleet: impl Listener,
        clock: Clock,
        figures: Arc<IngestFigures>,
        mut new_keys: mpsc::Receiver<KeyRing>,
        shutdown: impl Future<Output = ()>,
    ) -> Gate {
        let mut socket = self.socket;
        figures.set_keys(gate.keys());
        figures.receive_buffer_bytes.store(socket.receive_buffer_bytes() as u64, Relaxed);
        figures.socket_inode.store(socket.inode(), Relaxed);
        let summary = Summary::new(clock.now().monotonic);
        let mut desk = Desk { gate, fleet, figures, summary };
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return desk.gate,
                Some(keys) = new_keys.recv() => desk.set_keys(keys),
                _ = ticks.tick() => desk.tick(clock.now()),
                readable = socket.readable() => {
                    if readable.is_err() || !desk.drain(&mut socket, clock) {
                        desk.figures.receive_errors.fetch_add(1, Relaxed);
                        sleep(ERROR_PAUSE).await;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Where datagrams are dealt with.
struct Desk<F> {
    gate: Gate,
    fleet: F,
    figures: Arc<IngestFigures>,
    summary: Summary,
}

impl<F: Listener> Desk<F> {
    /// Accepts these keys from now on, and no others.
    fn set_keys(&mut self, keys: KeyRing) {
        self.figures.set_keys(&keys);
        self.gate.set_keys(keys);
    }

    fn tick(&mut self, now: Now) {
        let was_suspect = self.gate.is_clock_suspect();
        self.gate.tick(now);
        let is_suspect = self.gate.is_clock_suspect();
        self.figures.clock_suspect.store(is_suspect, Relaxed);
        self.figures.sessions.store(self.gate.session_count() as u64, Relaxed);
        match (was_suspect, is_suspect) {
            (false, true) => tracing::error!(
                "most edges' clocks differ from this machine's by the same amount; check its time \
                 synchronisation. Known edges are heard meanwhile, new ones are not"
            ),
            (true, false) => tracing::info!("this machine's clock agrees with the edges' again"),
            _ => {}
        }
        if let Some(reasons) = self.summary.line(&self.figures, now.monotonic) {
            tracing::warn!("datagrams refused since the last such line: {reasons}");
        }
    }

    /// Deals with what has come, up to a bound. Whether nothing went wrong.
    fn drain(&mut self, socket: &mut Socket, clock: Clock) -> bool {
        let (now, view) = (clock.now(), self.fleet.view());
        for _ in 0..BATCHES_MAX {
            let received =
                socket.receive(|reply, arrival| self.deal_with(&arrival, reply, &view, now));
            match received {
                Ok(()) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    fn deal_with(&mut self, arrival: &Arrival<'_>, reply: &Reply<'_>, view: &FleetView, now: Now) {
        self.figures.received.fetch_add(1, Relaxed);
        let verdict = self.gate.admit(arrival.bytes, arrival.source.ip(), now);
        if let Some(key) = verdict.opened_by {
            self.figures.count_key(key, now.unix_ms);
        }
        let taken = verdict
            .outcome
            .and_then(|report| self.fleet.report(report).map_err(|QueueFull| Reject::QueueFull));
        match taken {
            Ok(()) => {
                self.figures.accepted.fetch_add(1, Relaxed);
            }
            Err(reason) => self.figures.rejected.count(reason),
        }
        if let Some(due) = verdict.ack {
            let sealed = self.gate.ack(&due, &told(view, &due, now), now, rand::random());
            let sent = sealed.is_some_and(|ack| reply.send(arrival, &ack));
            let counter = if sent { &self.figures.acks_sent } else { &self.figures.acks_withheld };
            counter.fetch_add(1, Relaxed);
        }
    }
}

/// What an edge is told of itself.
fn told(view: &FleetView, due: &AckDue, now: Now) -> Told {
    let order_revision = view.order_revision;
    let Some(edge) = view.get(due.edge) else {
        let (lease, known_for) = (Duration::ZERO, Duration::ZERO);
        return Told { order: Order::Unknown, order_revision, lease, known_for };
    };
    let order = match edge.admin_state {
        // The cell knows of a drain before the next view does.
        AdminState::Active if edge.cell.is_drained() => Order::Draining,
        AdminState::Active => Order::Active,
        AdminState::Draining => Order::Draining,
        AdminState::Drained => Order::Drained,
    };
    let known_for = Duration::from_millis(now.unix_ms.saturating_sub(edge.first_heard_unix_ms));
    Told { order, order_revision, lease: edge.lease, known_for }
}

#[cfg(test)]
mod tests;
