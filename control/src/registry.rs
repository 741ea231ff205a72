//! What reports, silence and orders mean for the fleet. Pure: it is told the time and does no I/O.
//!
//! Three facts about an edge stay apart, and none overwrites another: what the operator ordered,
//! what the edge says of itself, and how long it has been silent.

mod edge;
mod names;
mod orders;
mod silence;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use tidegate_proto::{
    datagram::SessionId,
    edge::{EdgeId, EdgeName},
    heartbeat::Heartbeat,
};

pub use self::orders::Plan;
use self::{edge::Edge, silence::Silence};
use crate::{
    cell::Slabs,
    clock::Now,
    snapshot::{FleetView, Liveness},
    store::{BeatRow, EdgeRow, Memory},
};

/// One authenticated, fresh, unrepeated heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Who sent it.
    pub edge: EdgeId,
    /// In which session.
    pub session: SessionId,
    /// The sequence within the session.
    pub sequence: u64,
    /// The edge says goodbye.
    pub goodbye: bool,
    /// What it says.
    pub heartbeat: Heartbeat,
    /// Where the datagram came from; stands in for a redirect address the edge does not give.
    pub source: IpAddr,
}

/// How silence is judged. Every duration runs on the receiver's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// An edge is SUSPECT after this many of its intervals.
    pub suspect_intervals: f64,
    /// And DOWN after this many.
    pub down_intervals: f64,
    /// A DOWN or GONE edge without an order is forgotten after this long.
    pub forget_after: Duration,
    /// After a restart, remembered edges are served for this long without being heard.
    pub restart_grace: Duration,
    /// PRESERVE begins when this share of the expected edges falls silent within
    /// [`preserve_window`](Self::preserve_window), but never for fewer than three.
    pub preserve_share: f64,
    /// See [`preserve_share`](Self::preserve_share).
    pub preserve_window: Duration,
    /// PANIC begins when less than this share of the edges in service is fresh.
    pub panic_share: f64,
    /// Both end when this share has been fresh for [`recovery`](Self::recovery).
    pub recovery_share: f64,
    /// See [`recovery_share`](Self::recovery_share).
    pub recovery: Duration,
    /// After this long in either, edges are declared DOWN again, slowly.
    pub freeze_max: Duration,
    /// How slowly: this share of the fleet a minute.
    pub evicted_share_per_minute: f64,
    /// Fleets below this size know neither.
    pub fleet_min: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            suspect_intervals: 3.2,
            down_intervals: 12.0,
            forget_after: Duration::from_secs(24 * 3600),
            restart_grace: Duration::from_millis(7_500),
            preserve_share: 0.15,
            preserve_window: Duration::from_secs(10),
            panic_share: 0.5,
            recovery_share: 0.85,
            recovery: Duration::from_secs(30),
            freeze_max: Duration::from_secs(15 * 60),
            evicted_share_per_minute: 0.1,
            fleet_min: 4,
        }
    }
}

/// The most streams that are kept of all edges together, eight bytes each: whoever holds a key may
/// name as many as he likes.
const STREAMS_MAX: usize = 1 << 24;

/// Every edge that is known, and what is to be remembered of it.
#[derive(Debug)]
pub struct Registry {
    patience: Patience,
    edges: HashMap<EdgeId, Edge>,
    /// Where their cells lie.
    slabs: Slabs,
    names: HashMap<EdgeName, Vec<EdgeId>>,
    silence: Silence,
    revision: u64,
    started: Duration,
    /// Remembered edges are served unheard until this is over.
    in_grace: bool,
    /// Rows that must be stored soon: new or changed edges, goodbyes, sessions.
    changed: HashSet<EdgeId>,
    /// Orders that came to an edge through its name and are not stored yet.
    inherited: BTreeSet<EdgeId>,
    places: view::Places,
    /// Streams kept of all edges, and the most of them.
    streams: usize,
    streams_max: usize,
    publication: u64,
    /// Whether the published view is out of date.
    stale: bool,
}

impl Registry {
    /// A registry that remembers `memory`. Its edges are UNCONFIRMED until they are heard, however
    /// long the redirector was away: its downtime says nothing about theirs.
    #[must_use]
    pub fn restore(patience: Patience, memory: &Memory, now: Now) -> Self {
        let mut registry = Self {
            patience,
            edges: HashMap::new(),
            slabs: Slabs::default(),
            names: HashMap::new(),
            silence: Silence::default(),
            revision: memory.revision,
            started: now.monotonic,
            in_grace: !memory.edges.is_empty(),
            changed: HashSet::new(),
            inherited: BTreeSet::new(),
            places: view::Places::default(),
            streams: 0,
            streams_max: STREAMS_MAX,
            publication: 0,
            stale: true,
        };
        let beats: BTreeMap<_, _> = memory.beats.iter().map(|row| (row.id, row)).collect();
        for row in &memory.edges {
            let edge = Edge::remembered(row, beats.get(&row.id).copied(), now);
            registry.insert(edge);
        }
        for row in &memory.orders {
            registry.restore_order(row, now);
        }
        let names: Vec<_> = registry.names.keys().cloned().collect();
        for name in names {
            registry.settle_name(&name);
        }
        registry
    }

    /// Takes in one heartbeat.
    pub fn hear(&mut self, report: &Report, now: Now) {
        self.stale = true;
        let id = report.edge;
        if !self.edges.contains_key(&id) {
            if report.goodbye {
                return;
            }
            self.insert(Edge::introduced(report, now));
            self.count_streams(id, 0);
            self.changed.insert(id);
            return self.settle_name_of(id);
        }
        let flaps_count = self.silence.is_normal();
        let Some(edge) = self.edges.get_mut(&id) else { return };
        let name_before = edge.row.name.clone();
        let (before, streams_before) = (edge.liveness(), edge.stream_count());
        if edge.hear(report, flaps_count, now) {
            self.changed.insert(id);
        }
        let renamed = edge.row.name != name_before;
        let revived = edge.liveness() != before;
        self.count_streams(id, streams_before);
        if renamed {
            self.forget_name(&name_before, id);
            self.note_name(id);
            self.settle_name(&name_before);
        }
        if renamed || revived {
            self.settle_name_of(id);
        }
    }

    /// Lets time pass: judges silence and forgets what aged out. Returns the edges it forgot.
    /// To be called a few times a second.
    pub fn tick(&mut self, now: Now) -> Vec<EdgeId> {
        self.end_grace(now);
        let mut turned = Vec::new();
        for (id, edge) in &mut self.edges {
            if edge.judge_silence(&self.patience, self.in_grace, now) {
                turned.push(*id);
            }
        }
        let newly_silent =
            turned.iter().filter(|id| self.liveness(**id) == Some(Liveness::Suspect)).count();
        let counts = self.count();
        let mode_before = self.silence.mode();
        if !self.in_grace {
            self.silence.judge(&self.patience, newly_silent, counts, now.monotonic);
        }
        turned.extend(self.declare_down(counts.expected, now));
        self.stale |= !turned.is_empty() || self.silence.mode() != mode_before;
        for id in turned {
            self.changed.insert(id);
            self.settle_name_of(id);
        }
        self.forget_old(now)
    }

    /// The revision of the last order.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many edges are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.edges.len()
    }

    /// Whether no edge is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Every id, for a checkpoint.
    pub fn ids(&self) -> impl Iterator<Item = EdgeId> {
        self.edges.keys().copied()
    }

    /// Rows to store soon, at most `count` edges; they count as stored from here on.
    pub fn take_changed(&mut self, count: usize) -> (Vec<EdgeRow>, Vec<BeatRow>) {
        let ids: Vec<_> = self.changed.iter().take(count).copied().collect();
        for id in &ids {
            self.changed.remove(id);
        }
        let edges = ids.iter().filter_map(|id| self.edges.get(id));
        edges.map(|edge| (edge.row.clone(), edge.beat_row())).unzip()
    }

    /// Marks of these edges, for a checkpoint. Edges that were never heard have none.
    #[must_use]
    pub fn beat_rows(&self, ids: &[EdgeId]) -> Vec<BeatRow> {
        ids.iter().filter_map(|id| self.edges.get(id)).map(Edge::beat_row).collect()
    }

    /// Whether the last [`view`](Self::view) is out of date.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The fleet for readers.
    pub fn view(&mut self, now: Now) -> Arc<FleetView> {
        self.stale = false;
        self.publication += 1;
        view::build(self, now)
    }

    fn insert(&mut self, mut edge: Edge) {
        let id = edge.row.id;
        edge.cell = Arc::new(self.slabs.cell());
        edge.cell.set_paused(edge.paused);
        self.edges.insert(id, edge);
        self.note_name(id);
        self.places.invalidate();
    }

    /// Counts what an edge's streams have become. One that names more than there is room for is left
    /// with none.
    fn count_streams(&mut self, id: EdgeId, before: usize) {
        let Some(edge) = self.edges.get_mut(&id) else { return };
        let others = self.streams - before;
        self.streams = others + edge.stream_count();
        if self.streams > self.streams_max {
            edge.drop_streams();
            self.streams = others;
        }
    }

    fn remove(&mut self, id: EdgeId) {
        if let Some(edge) = self.edges.remove(&id) {
            self.streams -= edge.stream_count();
            self.changed.remove(&id);
            self.places.invalidate();
            self.forget_name(&edge.row.name, id);
            self.settle_name(&edge.row.name);
            self.stale = true;
        }
    }

    fn liveness(&self, id: EdgeId) -> Option<Liveness> {
        self.edges.get(&id).map(Edge::liveness)
    }

    fn end_grace(&mut self, now: Now) {
        if !self.in_grace {
            return;
        }
        let remembered = self.edges.values().filter(|edge| edge.was_remembered_alive());
        let (mut known, mut confirmed) = (0usize, 0usize);
        for edge in remembered {
            known += 1;
            confirmed += usize::from(edge.liveness() != Liveness::Unconfirmed);
        }
        let heard = confirmed as f64 >= known as f64 * self.patience.recovery_share;
        let over = now.monotonic.saturating_sub(self.started) >= self.patience.restart_grace;
        if heard || over {
            self.in_grace = false;
            self.stale = true;
        }
    }

    fn count(&self) -> silence::Counts {
        let mut counts = silence::Counts::default();
        for edge in self.edges.values() {
            counts.add(edge.liveness(), edge.order.is_some());
        }
        counts
    }

    /// SUSPECT edges become DOWN when they have been silent for long and silence is believed.
    fn declare_down(&mut self, expected: usize, now: Now) -> Vec<EdgeId> {
        let overdue = self
            .edges
            .iter()
            .filter(|(_, edge)| edge.is_overdue(&self.patience, now))
            .map(|(id, edge)| (edge.last_heard(), *id));
        let mut overdue: Vec<_> = overdue.collect();
        overdue.sort_unstable();
        let allowed = self.silence.evictions(&self.patience, expected, now.monotonic);
        overdue.truncate(allowed);
        for (_, id) in &overdue {
            if let Some(edge) = self.edges.get_mut(id) {
                edge.set_down();
            }
        }
        self.silence.evicted(overdue.len());
        overdue.into_iter().map(|(_, id)| id).collect()
    }

    fn forget_old(&mut self, now: Now) -> Vec<EdgeId> {
        let old: Vec<_> = self
            .edges
            .iter()
            .filter(|(_, edge)| edge.is_forgettable(&self.patience, now))
            .map(|(id, _)| *id)
            .collect();
        for id in &old {
            self.remove(*id);
        }
        old
    }
}
