//! What is remembered across restarts, and the one interface to whatever remembers it.
//!
//! Orders are durable before they are answered; heartbeats are hints that may be seconds old. The
//! writer's task never calls a store itself: [`crate::fleet`] gives it to a thread of its own.
//!
//! [`open`] gives the store on disk, [`MemoryStore`] stands in for it in tests.

mod aside;
mod embedded;
mod folder;
mod journal;
mod ladder;
mod memory;
mod merge;
mod record;
mod sidecar;
#[cfg(test)]
mod tests;
mod trees;

use std::fmt;

use tidegate_proto::{
    datagram::SessionId,
    edge::{Capacity, EdgeId, EdgeName, Endpoint, Host, Labels},
};

use crate::order::{Order, Weight, Weighting};

pub use ladder::{OnCorrupt, OpenError, Opened, open};
pub use memory::MemoryStore;

/// What an edge said of itself; written when it changes.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct EdgeRow {
    pub id: EdgeId,
    pub name: EdgeName,
    pub redirect_address: Host,
    pub endpoints: Vec<Endpoint>,
    pub labels: Labels,
    pub capacity: Capacity,
    pub interval_ms: u32,
    pub first_heard_unix_ms: u64,
}

/// How an edge was last seen, as far as a restart must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Heard, or silent for a moment.
    Alive,
    /// The same, but by its own word it takes no viewers.
    Withdrawn,
    /// Silent for long.
    Down,
    /// Said goodbye.
    Gone,
}

/// When an edge was last heard, and its session's mark; written often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeatRow {
    /// Whose it is.
    pub id: EdgeId,
    /// When it was last heard, in Unix milliseconds.
    pub last_heard_unix_ms: u64,
    /// The session it was heard in.
    pub session: SessionId,
    /// The highest sequence accepted in it.
    pub sequence: u64,
    /// How it was seen.
    pub seen: Seen,
    /// Reports in a row, up to 2, in which it had no viewers.
    pub empty_reports: u8,
}

/// The operator's record of an edge. It stays after an undrain, because the etag does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// Whose it is.
    pub id: EdgeId,
    /// What the edge was called then.
    pub name: EdgeName,
    /// The standing drain, if one stands.
    pub order: Option<Order>,
    /// The standing weight; none: 1.
    pub weighting: Option<Weighting>,
    /// The revision of the last order for this edge.
    pub revision: u64,
    /// The revision of the last drain or undrain; 0: never any.
    pub drain_revision: u64,
    /// The revision of the last weight; 0: never any.
    pub weight_revision: u64,
}

impl OrderRow {
    /// Whether it says anything but what holds for an edge without orders.
    #[must_use]
    pub fn is_standing(&self) -> bool {
        self.order.is_some() || self.weighting.is_some()
    }

    /// Takes back whatever stands.
    fn clear(&mut self, revision: u64) {
        if self.order.take().is_some() {
            self.drain_revision = revision;
        }
        if self.weighting.take().is_some() {
            self.weight_revision = revision;
        }
        self.revision = revision;
    }

    /// How large the edge's share of the viewers is.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.weighting.as_ref().map_or_else(Weight::default, |weighting| weighting.weight)
    }

    /// Whether its last order was a weight.
    #[must_use]
    pub fn weighs_last(&self) -> bool {
        self.weight_revision == self.revision
    }

    /// Whether its last order was a drain or an undrain.
    #[must_use]
    pub fn drains_last(&self) -> bool {
        self.drain_revision == self.revision
    }
}

/// One attempt to give an order, allowed or not. Every text may be hostile.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct AuditRow {
    pub time_unix_ms: u64,
    pub principal: String,
    pub role: String,
    pub peer: String,
    pub method: String,
    pub edge: String,
    pub before: String,
    pub after: String,
    pub reason: String,
    pub request_id: String,
    /// `ok`, or why not.
    pub result: String,
    pub redirector: String,
}

/// The answer that a repeated request id gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// The caller's id, at most 128 characters.
    pub request_id: String,
    /// The method and the edge's id, so that an id is not used for two orders.
    pub order: String,
    /// The encoded `tidegate.admin.v1.Edge` that was answered.
    pub answer: Vec<u8>,
    /// When, in Unix milliseconds; rows older than a day are dropped.
    pub time_unix_ms: u64,
}

/// Everything one order changes; it is written whole or not at all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Commit {
    /// The revision after it; higher than any before.
    pub revision: u64,
    /// Records that changed.
    pub orders: Vec<OrderRow>,
    /// Edges whose every row goes.
    pub forgotten: Vec<EdgeId>,
    /// What was attempted.
    pub audit: Vec<AuditRow>,
    /// Answers to keep.
    pub requests: Vec<RequestRow>,
}

/// Everything a store remembered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Memory {
    /// The revision of the last order.
    pub revision: u64,
    /// What edges said of themselves.
    pub edges: Vec<EdgeRow>,
    /// When they were last heard.
    pub beats: Vec<BeatRow>,
    /// The operator's records.
    pub orders: Vec<OrderRow>,
    /// Answers kept for repeated request ids.
    pub requests: Vec<RequestRow>,
}

/// Why a write failed. Whether it reached the disk is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

/// What remembers. One thread calls it; after an error it stays failed until it is opened anew.
pub trait Store: Send {
    /// Makes an order durable, power loss included, before it returns.
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError>;

    /// Writes rows of edges; on return they survive the end of the process, not a power loss.
    /// At most 1,000 rows a call.
    fn write_rows(&mut self, edges: &[EdgeRow], beats: &[BeatRow]) -> Result<(), StoreError>;

    /// Records attempts that changed nothing. As durable as [`write_rows`](Self::write_rows).
    fn write_audit(&mut self, audit: &[AuditRow]) -> Result<(), StoreError>;

    /// Drops rows of edges that aged out, in at most 1,000 a call.
    fn forget(&mut self, edges: &[EdgeId]) -> Result<(), StoreError>;

    /// Flushes everything and makes it durable.
    fn close(&mut self) -> Result<(), StoreError>;
}
