//! The writer's task: takes reports and orders in, lets time pass, publishes, has things stored.

mod orders;

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tidegate_proto::edge::EdgeId;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};

use self::orders::{Batch, finished, wait};
use super::{
    CALLS_MAX, Call, Figures,
    answers::Answers,
    keeper::{Job, Keeper},
};
use crate::{
    clock::{Clock, Now},
    publish::{Published, Retired, Snapshot},
    registry::{Registry, Report},
    selection::{Planner, Table},
    snapshot::{FleetView, Mode},
    store::{AuditRow, Store},
};

/// How often the writer looks whether there is something to publish or to store.
const PULSE: Duration = Duration::from_millis(50);
/// How often silence is judged.
const JUDGE_EVERY: Duration = Duration::from_millis(250);
/// Reports alone are not published more often than this; orders are published at once.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// And after each the writer does other things for this many times as long as it took: showing
/// 100,000 edges takes tens of milliseconds.
const PUBLISH_REST: u32 = 3;
/// Changes are stored this often, so that a new edge is stored well within a second.
const STORE_EVERY: Duration = Duration::from_millis(250);
/// How often every edge's mark is stored.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(15);
/// Rows of one write: larger batches make the store's memory grow without bound.
const ROWS_MAX: usize = 1_000;
/// Reports taken in before the writer looks at anything else.
const REPORTS_AT_ONCE: usize = 1_024;
/// Jobs that audit records may not take up, so that a commit always finds room.
const JOBS_RESERVED: usize = 8;

pub(super) struct Inbox {
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) reports: mpsc::Receiver<Report>,
    pub(super) audits: mpsc::Receiver<AuditRow>,
}

pub(super) struct Outlets {
    pub(super) published: Arc<Published>,
    pub(super) figures: Arc<Figures>,
    pub(super) changed: watch::Sender<u64>,
}

/// What the writer begins with.
pub(super) struct Beginning {
    pub(super) registry: Registry,
    pub(super) planner: Planner,
    pub(super) answers: Answers,
}

/// The running writer. Dropping it without [`stop`](Self::stop) loses up to 15 s of heartbeats,
/// never an order.
pub struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Keeper>,
}

impl Running {
    /// Stores everything, closes the store and returns.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        match self.task.await {
            Ok(keeper) => keeper.stop().await,
            Err(error) => tracing::error!(%error, "the fleet's writer ended badly"),
        }
    }
}

struct Writer {
    registry: Registry,
    planner: Planner,
    answers: Answers,
    clock: Clock,
    redirector: String,
    outlets: Outlets,
    keeper: Keeper,
    retired: Retired,
    waiting: VecDeque<Call>,
    batch: Option<Batch>,
    rows_done: Option<oneshot::Receiver<()>>,
    checkpoint: Vec<EdgeId>,
    fleet: Arc<FleetView>,
    mode: Mode,
    judged: Duration,
    publish_at: Duration,
    stored: Duration,
    checkpointed: Duration,
}

pub(super) fn start(
    begin: Beginning,
    store: Box<dyn Store>,
    clock: Clock,
    redirector: String,
    inbox: Inbox,
    outlets: Outlets,
) -> Running {
    let now = clock.now();
    let mut writer = Writer {
        registry: begin.registry,
        planner: begin.planner,
        answers: begin.answers,
        clock,
        redirector,
        keeper: Keeper::start(store, Arc::clone(&outlets.figures)),
        outlets,
        retired: Retired::default(),
        waiting: VecDeque::new(),
        batch: None,
        rows_done: None,
        checkpoint: Vec::new(),
        fleet: Arc::default(),
        mode: Mode::Normal,
        judged: now.monotonic,
        publish_at: now.monotonic,
        stored: now.monotonic,
        checkpointed: now.monotonic,
    };
    writer.publish(now);
    let (stop, stopped) = oneshot::channel();
    Running { stop, task: tokio::spawn(writer.run(inbox, stopped)) }
}

impl Writer {
    async fn run(mut self, mut inbox: Inbox, mut stopped: oneshot::Receiver<()>) -> Keeper {
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reports = Vec::with_capacity(REPORTS_AT_ONCE);
        loop {
            tokio::select! {
                biased;
                result = finished(&mut self.batch) => self.finish(result),
                _ = &mut stopped => break,
                // Before orders, so that no flood of them stops the clock.
                _ = pulse.tick() => self.beat(),
                Some(call) = inbox.calls.recv(), if self.waiting.len() < CALLS_MAX => {
                    self.waiting.push_back(call);
                }
                Some(audit) = inbox.audits.recv() => self.keep_audit(vec![audit]),
                count = inbox.reports.recv_many(&mut reports, REPORTS_AT_ONCE) => {
                    self.hear(&mut reports);
                    if count == 0 {
                        // Every handle is gone; only a stop can come now.
                        tokio::time::sleep(PULSE).await;
                    }
                }
            }
            self.take_orders();
        }
        self.close(inbox).await
    }

    fn hear(&mut self, reports: &mut Vec<Report>) {
        let now = self.clock.now();
        for report in reports.drain(..) {
            self.registry.hear(&report, now);
        }
    }

    /// Everything that goes by the clock.
    fn beat(&mut self) {
        let now = self.clock.now();
        if now.monotonic - self.judged >= JUDGE_EVERY {
            self.judged = now.monotonic;
            let forgotten = self.registry.tick(now);
            for some in forgotten.chunks(ROWS_MAX) {
                self.ask(Job::Forget(some.to_vec()));
            }
        }
        let is_due = self.registry.is_stale() || self.planner.is_due(now.monotonic);
        if is_due && now.monotonic >= self.publish_at {
            self.publish(now);
        }
        self.store_rows(now);
    }

    /// Publishes the fleet if it has changed, and a table of it in any case.
    fn publish(&mut self, now: Now) {
        if self.registry.is_stale() {
            self.fleet = self.registry.view(now);
            if self.fleet.mode != self.mode {
                self.mode = self.fleet.mode;
                announce(self.mode);
            }
        }
        let fleet = Arc::clone(&self.fleet);
        let publication = fleet.publication;
        let table = Arc::new(self.plan(&fleet, now));
        self.retired.push(self.outlets.published.publish(Snapshot { fleet, table }));
        self.outlets
            .changed
            .send_if_modified(|last| std::mem::replace(last, publication) != publication);
        let done = self.clock.now().monotonic;
        let rest = (done - now.monotonic) * PUBLISH_REST;
        self.publish_at = (now.monotonic + PUBLISH_EVERY).max(done + rest);
    }

    fn plan(&mut self, fleet: &Arc<FleetView>, now: Now) -> Table {
        let began = self.clock.now().monotonic;
        let table = self.planner.plan(fleet, now.monotonic);
        let took = self.clock.now().monotonic.saturating_sub(began);
        let figures = &self.outlets.figures;
        figures.plans.fetch_add(1, Ordering::Relaxed);
        figures.plan_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        table
    }

    /// Has at most one batch of rows on its way: what changed first, then the checkpoint.
    fn store_rows(&mut self, now: Now) {
        if let Some(done) = &mut self.rows_done {
            if done.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
                return;
            }
            self.rows_done = None;
        }
        if now.monotonic - self.checkpointed >= CHECKPOINT_EVERY && self.checkpoint.is_empty() {
            self.checkpointed = now.monotonic;
            self.checkpoint = self.registry.ids().collect();
        }
        let due = now.monotonic - self.stored >= STORE_EVERY;
        let (edges, mut beats) =
            if due { self.registry.take_changed(ROWS_MAX) } else { (Vec::new(), Vec::new()) };
        if edges.is_empty() {
            let from = self.checkpoint.len().saturating_sub(ROWS_MAX);
            beats = self.registry.beat_rows(&self.checkpoint.split_off(from));
        } else if edges.len() < ROWS_MAX {
            self.stored = now.monotonic;
        }
        if edges.is_empty() && beats.is_empty() {
            return;
        }
        let (done, finished) = oneshot::channel();
        if self.ask(Job::Rows { edges, beats, done }) {
            self.rows_done = Some(finished);
        }
    }

    fn keep_audit(&self, audit: Vec<AuditRow>) {
        let figures = &self.outlets.figures;
        let count = audit.len() as u64;
        if self.keeper.jobs.capacity() <= JOBS_RESERVED || !self.ask(Job::Audit(audit)) {
            figures.audit_dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Whether the store's thread took the job.
    fn ask(&self, job: Job) -> bool {
        self.keeper.jobs.try_send(job).is_ok()
    }

    /// Takes in what was reported and stores everything there is to store. Orders that still wait
    /// are told that this process stops.
    async fn close(mut self, inbox: Inbox) -> Keeper {
        let Inbox { calls, mut reports, mut audits } = inbox;
        drop((calls, std::mem::take(&mut self.waiting)));
        if let Some(batch) = &mut self.batch {
            let result = wait(&mut batch.done).await;
            self.finish(result);
        }
        // Their sequences are used up: without their marks a restart would admit them again.
        let mut heard = Vec::new();
        reports.close();
        while reports.recv_many(&mut heard, REPORTS_AT_ONCE).await > 0 {
            self.hear(&mut heard);
        }
        let mut attempts = Vec::new();
        audits.close();
        while audits.recv_many(&mut attempts, ROWS_MAX).await > 0 {
            self.put(Job::Audit(std::mem::take(&mut attempts))).await;
        }
        self.put_all_rows().await;
        self.keeper
    }

    async fn put_all_rows(&mut self) {
        loop {
            let (edges, beats) = self.registry.take_changed(ROWS_MAX);
            if edges.is_empty() {
                break;
            }
            self.put(Job::Rows { edges, beats, done: oneshot::channel().0 }).await;
        }
        let ids: Vec<_> = self.registry.ids().collect();
        for some in ids.chunks(ROWS_MAX) {
            let beats = self.registry.beat_rows(some);
            self.put(Job::Rows { edges: Vec::new(), beats, done: oneshot::channel().0 }).await;
        }
    }

    async fn put(&self, job: Job) {
        if self.keeper.jobs.send(job).await.is_err() {
            tracing::error!("the store's thread has ended; the last heartbeats are lost");
        }
    }
}

fn announce(mode: Mode) {
    match mode {
        Mode::Normal => tracing::info!("silence of edges is believed again"),
        Mode::Preserve => tracing::warn!(
            "many edges fell silent at once: none is declared DOWN until most are heard again"
        ),
        Mode::Panic => tracing::error!(
            "most edges are silent, so the fault is presumed to be here: clients are sent to all \
             edges that are not drained, paused or gone; check this redirector's network"
        ),
    }
}
