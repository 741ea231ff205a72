//! The fleet as readers see it: immutable, shown whole. What changes faster than it is shown stands
//! in a [`Cell`] for each edge, which outlives its views.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tidegate_proto::{
    edge::{Capacity, EdgeId, EdgeName, Endpoint, Host, Labels},
    heartbeat::Load,
    stream::Streams,
};

use crate::{cell::Cell, order::Order};

/// The operator's intent for an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AdminState {
    /// No order.
    Active,
    /// An order; viewers are left or their number is unknown.
    Draining,
    /// An order; no viewers in two reports.
    Drained,
}

/// The observed health of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Liveness {
    /// Heard once.
    New,
    /// Heard lately.
    Up,
    /// Silent for a while, or doubts itself.
    Suspect,
    /// Silent for long.
    Down,
    /// Said goodbye.
    Gone,
    /// Remembered from before a restart, not heard since.
    Unconfirmed,
}

impl Liveness {
    /// Every state, in the order of the enum.
    pub const ALL: [Self; 6] =
        [Self::New, Self::Up, Self::Suspect, Self::Down, Self::Gone, Self::Unconfirmed];

    /// The state's name as operators know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Up => "UP",
            Self::Suspect => "SUSPECT",
            Self::Down => "DOWN",
            Self::Gone => "GONE",
            Self::Unconfirmed => "UNCONFIRMED",
        }
    }
}

impl AdminState {
    /// The state's name as operators know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Drained => "DRAINED",
        }
    }
}

/// Why an edge's liveness is what it is, or why an UP edge gets no viewers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A short machine-readable word, for example `silent` or `duplicate_name`.
    pub code: String,
    /// One sentence for people. Hostile text is possible: escape it.
    pub text: String,
}

/// One edge at one moment.
#[derive(Debug, Clone)]
pub struct EdgeView {
    /// Its UUID.
    pub id: EdgeId,
    /// What operators call it.
    pub name: EdgeName,
    /// Where clients are sent.
    pub redirect_address: Host,
    /// What they may be sent to; empty: any scheme, on the client's own port.
    pub endpoints: Vec<Endpoint>,
    /// The operator's labels.
    pub labels: Labels,
    /// What it can carry.
    pub capacity: Capacity,
    /// Its share beside an edge of weight 1; 0.01 to 100.
    pub weight: f64,
    /// Who gave it that weight; none: it is 1.
    pub weighting: Option<Order>,
    /// The operator's intent.
    pub admin_state: AdminState,
    /// The observed health.
    pub liveness: Liveness,
    /// Why it is so, or why the edge gets no viewers although it is UP.
    pub reason: Option<Reason>,
    /// The edge asked for no new viewers.
    pub paused: bool,
    /// Whether the next client may be sent here.
    pub eligible: bool,
    /// What it carries, by its last report.
    pub load: Load,
    /// Redirects to it before that report, see [`pending`](Self::pending).
    pub handed_at_report: u64,
    /// When it was last heard, in Unix milliseconds; 0: never.
    pub last_heartbeat_unix_ms: u64,
    /// When its last report was taken in, on the monotonic clock; for a remembered edge, when it was
    /// remembered.
    pub heard: Duration,
    /// Reports taken in from the agent's present session, before a restart of ours too; 0: none yet.
    pub session_reports: u32,
    /// How many redirectors its agent reports to; 0: unknown.
    pub redirectors: u32,
    /// The streams it carries, shared between views while they are the same; `None`: it does not say.
    pub streams: Option<Arc<Streams>>,
    /// When it was first heard, in Unix milliseconds.
    pub first_heard_unix_ms: u64,
    /// Past this monotonic time it counts as silent, whatever the writer is doing.
    pub fresh_until: Duration,
    /// How often it means to report.
    pub interval: Duration,
    /// The silence it is allowed before it gets no new viewers.
    pub lease: Duration,
    /// The standing order.
    pub order: Option<Order>,
    /// The revision of the last order for this edge; 0: never any.
    pub order_revision: u64,
    /// The agent's version.
    pub agent_version: String,
    /// The media server's name and version; empty: unknown.
    pub server_version: String,
    /// What outlives this view.
    pub cell: Arc<Cell>,
}

impl EdgeView {
    /// Redirects handed out that no heartbeat can have seen yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.cell.handed().saturating_sub(self.handed_at_report)
    }

    /// Changes with every order for this edge and with nothing else.
    #[must_use]
    pub fn etag(&self) -> String {
        self.order_revision.to_string()
    }
}

/// How far the silence of edges is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// An edge that is silent is taken out.
    #[default]
    Normal,
    /// Many fell silent at once: none is declared DOWN, those heard are used.
    Preserve,
    /// Most are silent: the fault is presumed here, silence is forgiven.
    Panic,
}

impl Mode {
    /// The mode's name as operators know it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Preserve => "preserve",
            Self::Panic => "panic",
        }
    }
}

/// What stands in for figures that an edge does not give.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimates {
    /// The fleet's median known capacity in viewers.
    pub viewers: Option<f64>,
    /// The fleet's median known capacity in bits per second.
    pub bandwidth_bps: Option<f64>,
    /// Bits per second of one viewer, over all edges that report both.
    pub viewer_bps: Option<f64>,
    /// The median load, for edges whose own is out of date.
    pub load: Load,
}

/// The whole fleet at one moment.
#[derive(Debug, Default, Clone)]
pub struct FleetView {
    /// Every edge, by name, then id.
    pub edges: Vec<Arc<EdgeView>>,
    /// The place in `edges` of each id.
    pub by_id: Arc<HashMap<EdgeId, usize>>,
    /// The places of the edges that may be chosen.
    pub eligible: Vec<usize>,
    /// The places of those that may be chosen when none of the former can be.
    pub fallback: Vec<usize>,
    /// How far silence is believed.
    pub mode: Mode,
    /// Stand-ins for unknown figures.
    pub estimates: Estimates,
    /// The revision of the last order.
    pub order_revision: u64,
    /// Counts publications.
    pub publication: u64,
}

impl FleetView {
    /// The edge of an id.
    #[must_use]
    pub fn get(&self, id: EdgeId) -> Option<&Arc<EdgeView>> {
        self.by_id.get(&id).and_then(|place| self.edges.get(*place))
    }

    /// How many edges are in each state of health.
    #[must_use]
    pub fn count_by_liveness(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<_, _> =
            Liveness::ALL.into_iter().map(|state| (state.as_str(), 0)).collect();
        for edge in &self.edges {
            *counts.entry(edge.liveness.as_str()).or_default() += 1;
        }
        counts
    }
}
