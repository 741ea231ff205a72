//! How an edge and its targets are doing, for status pages and metrics.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::Serialize;
use tidegate_proto::{
    edge::EdgeId,
    heartbeat::{Load, Order, Trouble},
    key::KeyId,
};

use crate::{
    report::{Profile, State},
    source::Server,
};

/// One target as its link sees it.
#[derive(Debug, Clone)]
pub struct TargetStatus {
    /// `host:port` as configured.
    pub target: String,
    /// Where heartbeats go now.
    pub address: Option<SocketAddr>,
    /// Whether acks come: key, address and way are right.
    pub registered: bool,
    /// What the operator wants of this edge, as this redirector tells it.
    pub order: Order,
    /// The revision of that order.
    pub order_revision: u64,
    /// The share of asked acks that did not come.
    pub loss: Option<f64>,
    /// Of the last ack.
    pub round_trip: Option<Duration>,
    /// When the last ack came.
    pub last_ack: Option<Instant>,
    /// The key's fingerprint.
    pub key_id: KeyId,
    /// What the system last said, until an ack comes.
    pub error: Option<String>,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Acks taken.
    pub acks: u64,
    /// Heartbeats the system did not take.
    pub send_errors: u64,
    /// Datagrams that answer nothing this session asked.
    pub acks_unexpected: u64,
    /// Datagrams not sealed with this edge's key.
    pub acks_forged: u64,
    /// Acks that came before.
    pub acks_repeated: u64,
}

impl TargetStatus {
    pub(crate) fn new(target: String, key_id: KeyId) -> Self {
        Self {
            target,
            address: None,
            registered: false,
            order: Order::Unknown,
            order_revision: 0,
            loss: None,
            round_trip: None,
            last_ack: None,
            key_id,
            error: None,
            heartbeats: 0,
            acks: 0,
            send_errors: 0,
            acks_unexpected: 0,
            acks_forged: 0,
            acks_repeated: 0,
        }
    }

    /// Counts on from what another session with the same redirector counted.
    pub(crate) fn go_on_from(&mut self, before: &Self) {
        self.heartbeats = before.heartbeats;
        self.acks = before.acks;
        self.send_errors = before.send_errors;
        self.acks_unexpected = before.acks_unexpected;
        self.acks_forged = before.acks_forged;
        self.acks_repeated = before.acks_repeated;
    }
}

/// An edge and its targets at one instant; the answer of `/status`.
#[derive(Debug, Clone, Serialize)]
pub struct EdgeStatus {
    /// What operators call the edge.
    pub name: String,
    /// Its UUID.
    pub edge_id: String,
    /// The sender's version.
    pub version: &'static str,
    /// Whether it was paused here.
    pub paused: bool,
    /// Whether it reached its viewer limit.
    pub full: bool,
    /// Why it doubts its figures.
    pub trouble: Option<Trouble>,
    /// Its figures.
    pub load: Load,
    /// What its media server says of itself.
    pub server: Server,
    /// Why the targets file was not taken when it changed.
    pub targets_fault: Option<String>,
    /// A row a redirector, in the file's order.
    pub targets: Vec<TargetRow>,
}

/// A [`TargetStatus`] as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct TargetRow {
    /// `host:port` as configured.
    pub target: String,
    /// `address:port` heartbeats go to; null until the name resolves.
    pub address: Option<SocketAddr>,
    /// Whether acks come.
    pub registered: bool,
    /// unknown, active, draining or drained.
    pub order: &'static str,
    /// The revision of that order.
    pub order_revision: u64,
    /// 0 to 1.
    pub loss: Option<f64>,
    /// Milliseconds, with fractions.
    pub round_trip_ms: Option<f64>,
    /// Milliseconds since the last ack.
    pub last_ack_age_ms: Option<u64>,
    /// The key's fingerprint.
    pub key_id: String,
    /// What the system last said.
    pub error: Option<String>,
    /// Heartbeats sent.
    pub heartbeats: u64,
    /// Acks taken.
    pub acks: u64,
    /// Heartbeats the system did not take.
    pub send_errors: u64,
    /// Datagrams that were no acceptable ack.
    pub acks_refused: RefusedAcks,
}

/// Acks that changed nothing, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RefusedAcks {
    /// Answer nothing this session asked.
    pub unexpected: u64,
    /// Not sealed with this edge's key.
    pub forged: u64,
    /// Came before.
    pub repeated: u64,
}

impl TargetRow {
    fn new(status: TargetStatus, now: Instant) -> Self {
        let age = status.last_ack.map(|at| now.saturating_duration_since(at).as_millis());
        Self {
            target: status.target,
            address: status.address,
            registered: status.registered,
            order: status.order.as_str(),
            order_revision: status.order_revision,
            loss: status.loss,
            round_trip_ms: status.round_trip.map(|time| time.as_secs_f64() * 1_000.0),
            last_ack_age_ms: age.map(|age| u64::try_from(age).unwrap_or(u64::MAX)),
            key_id: status.key_id.to_string(),
            error: status.error,
            heartbeats: status.heartbeats,
            acks: status.acks,
            send_errors: status.send_errors,
            acks_refused: RefusedAcks {
                unexpected: status.acks_unexpected,
                forged: status.acks_forged,
                repeated: status.acks_repeated,
            },
        }
    }
}

impl EdgeStatus {
    pub(crate) fn new(
        id: EdgeId,
        profile: &Profile,
        state: State,
        targets: Vec<TargetStatus>,
        now: Instant,
    ) -> Self {
        Self {
            name: profile.name.to_string(),
            edge_id: id.to_string(),
            version: crate::VERSION,
            paused: state.paused,
            full: state.full,
            trouble: state.trouble,
            load: state.load,
            server: state.server,
            targets_fault: state.targets_fault,
            targets: targets.into_iter().map(|target| TargetRow::new(target, now)).collect(),
        }
    }

    /// Whether a heartbeat was sent to anybody yet.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.targets.iter().any(|target| target.heartbeats > 0)
    }
}
