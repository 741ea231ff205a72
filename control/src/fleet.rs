//! The one task that changes the fleet, and the handle everybody else has of it.
//!
//! Orders are taken before reports. A full queue drops a heartbeat, which the next one makes good;
//! an order waits for its turn and is told if there is none.

mod answers;
mod keeper;
mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tidegate_proto::admin;
use tokio::sync::{mpsc, oneshot, watch};

use self::answers::Answers;
pub use self::writer::Running;
use crate::{
    clock::{Clock, Now},
    order::{Refused, Request},
    publish::{Published, Retired},
    registry::{Patience, Registry, Report},
    selection::{Planner, Selection},
    store::{AuditRow, Memory, Store},
};

/// Heartbeats that may wait: what 100,000 edges send in 1.6 s.
const REPORTS_MAX: usize = 65_536;
/// Orders that may wait.
const CALLS_MAX: usize = 256;
/// Records of refused attempts that may wait.
const AUDITS_MAX: usize = 1_024;

/// What the writer counts, for metrics. Every counter only grows.
#[derive(Debug, Default)]
pub struct Figures {
    /// Orders that changed something or found it so already.
    pub orders_accepted: AtomicU64,
    /// Orders refused, for whatever reason.
    pub orders_refused: AtomicU64,
    /// Tables made for picks to draw from.
    pub plans: AtomicU64,
    /// Time spent on them, in microseconds.
    pub plan_us: AtomicU64,
    /// Commits made durable.
    pub store_commits: AtomicU64,
    /// Time spent on them, in microseconds.
    pub store_commit_us: AtomicU64,
    /// Rows of edges written.
    pub store_rows: AtomicU64,
    /// Audit records lost because too many waited.
    pub audit_dropped: AtomicU64,
    /// Whether the store has failed; orders that need it are refused then.
    pub store_failed: AtomicBool,
}

/// The report queue is full, so this heartbeat was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the report queue is full")]
pub struct QueueFull;

/// How an order went: the edge as the caller sees it, and the snapshots to wait for.
type Outcome = Result<(admin::Edge, Retired), Refused>;

/// An order on its way to the writer.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Outcome>,
}

/// The handle of the fleet. Cheap to clone.
#[derive(Clone)]
pub struct Fleet {
    pub(crate) published: Arc<Published>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) calls: mpsc::Sender<Call>,
    pub(crate) reports: mpsc::Sender<Report>,
    pub(crate) audits: mpsc::Sender<AuditRow>,
    pub(crate) changes: watch::Receiver<u64>,
    pub(crate) clock: Clock,
}

impl Fleet {
    /// Starts the writer on what `store` remembered. The first snapshot is published before this
    /// returns. `redirector` is this process's name in audit records.
    pub fn start(
        patience: Patience,
        selection: Selection,
        memory: &Memory,
        store: Box<dyn Store>,
        clock: Clock,
        redirector: &str,
    ) -> (Self, Running) {
        let published = Arc::new(Published::new());
        let figures = Arc::new(Figures::default());
        let (calls, calls_in) = mpsc::channel(CALLS_MAX);
        let (reports, reports_in) = mpsc::channel(REPORTS_MAX);
        let (audits, audits_in) = mpsc::channel(AUDITS_MAX);
        let (changed, changes) = watch::channel(0);
        let fleet = Self {
            published: Arc::clone(&published),
            figures: Arc::clone(&figures),
            calls,
            reports,
            audits,
            changes,
            clock,
        };
        let begin = writer::Beginning {
            registry: Registry::restore(patience, memory, clock.now()),
            planner: Planner::new(Arc::new(selection)),
            answers: Answers::restore(memory.requests.clone()),
        };
        let inbox = writer::Inbox { calls: calls_in, reports: reports_in, audits: audits_in };
        let outlets = writer::Outlets { published, figures, changed };
        let running = writer::start(begin, store, clock, redirector.to_owned(), inbox, outlets);
        (fleet, running)
    }

    /// Where picks load the snapshot.
    #[must_use]
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// The time by the fleet's own clock, which snapshots go by.
    #[must_use]
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// What the writer counts.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Wakes whoever waits on it after each publication; holds the publication's number.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Waits until the writer has ended, as it was told to or not.
    pub async fn ended(&self) {
        self.calls.closed().await;
    }

    /// Hands a heartbeat to the writer.
    pub fn report(&self, report: Report) -> Result<(), QueueFull> {
        self.reports.try_send(report).map_err(|_| QueueFull)
    }

    /// Hands over the record of an attempt that never became an order, for example a denied one.
    pub fn record(&self, audit: AuditRow) {
        if self.audits.try_send(audit).is_err() {
            self.figures.audit_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Gives an order and waits until it holds. On `Ok` it is durable, and every pick that could
    /// not know of it has ended.
    pub async fn order(&self, request: Request) -> Result<admin::Edge, Refused> {
        let (answer, answered) = oneshot::channel();
        self.calls.try_send(Call { request, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Busy,
            mpsc::error::TrySendError::Closed(_) => Refused::Stopping,
        })?;
        let (edge, retired) = answered.await.map_err(|_| Refused::Stopping)??;
        while !retired.are_released() {
            // A pick lasts microseconds, so giving way once is nearly always enough.
            tokio::task::yield_now().await;
        }
        Ok(edge)
    }
}
