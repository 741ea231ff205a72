//! The one task that changes the fleet, and the handle everybody else has of it.
//!
//! Orders are taken before reports. A full queue drops a heartbeat, which the next one makes good;
//! an order waits for its turn and is told if there is none.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tidegate_proto::admin;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    order::{Refused, Request},
    registry::Report,
    snapshot::{Published, Retired},
    store::AuditRow,
};

/// What the writer counts, for metrics. Every counter only grows.
#[derive(Debug, Default)]
pub struct Figures {
    /// Orders that changed something or found it so already.
    pub orders_accepted: AtomicU64,
    /// Orders refused, for whatever reason.
    pub orders_refused: AtomicU64,
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

/// An order on its way to the writer.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Result<(admin::Edge, Retired), Refused>>,
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
}

impl Fleet {
    /// Where picks load the snapshot.
    #[must_use]
    pub fn published(&self) -> &Arc<Published> {
        &self.published
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
