//! The writer's task: takes reports and orders in, lets time pass, publishes, has things stored.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tidegate_proto::{admin, edge::EdgeId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};

use super::{
    CALLS_MAX, Call, Figures,
    answers::{self, Answers},
    keeper::{Job, Keeper},
    record,
};
use crate::{
    clock::{Clock, Now},
    order::{Refused, Request, Verb},
    publish::{Published, Retired, Snapshot},
    registry::{Plan, Registry, Report},
    selection::{Planner, Table},
    snapshot::{FleetView, Mode},
    store::{AuditRow, Commit, OrderRow, Store, StoreError},
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

/// Orders that the store is making durable.
struct Batch {
    entries: Vec<Entry>,
    inherited: Vec<OrderRow>,
    done: oneshot::Receiver<Result<(), StoreError>>,
}

struct Entry {
    call: Call,
    plan: Plan,
    answer: admin::Edge,
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

    /// Begins a batch with the orders that wait, as long as no two concern the same edge or
    /// request id: those see each other's outcome in the next batch.
    fn take_orders(&mut self) {
        if self.batch.is_some() || (self.waiting.is_empty() && !self.registry.has_inherited()) {
            return;
        }
        let now = self.clock.now();
        let inherited = self.registry.take_inherited();
        let mut commit = Commit {
            orders: inherited.clone(),
            audit: inherited
                .iter()
                .flat_map(|row| record::of_inherited(row, &self.redirector, now))
                .collect(),
            ..Commit::default()
        };
        let mut entries = Vec::new();
        let mut taken: HashSet<_> = inherited.iter().map(|row| row.id).collect();
        let mut request_ids = HashSet::new();
        while let Some(call) = self.waiting.pop_front() {
            let id = self.registry.resolve(&call.request.edge).ok();
            let request_id = call.request.request_id.clone();
            let repeats = !request_id.is_empty() && !request_ids.insert(request_id);
            if repeats || id.is_some_and(|id| !taken.insert(id)) {
                self.waiting.push_front(call);
                break;
            }
            entries.extend(self.take_order(call, &mut commit, now));
        }
        if !commit.orders.is_empty() || !entries.is_empty() {
            self.begin(entries, inherited, commit);
        }
    }

    /// Answers at once what changes nothing; adds the rest to the commit.
    fn take_order(&mut self, call: Call, commit: &mut Commit, now: Now) -> Option<Entry> {
        if let Some(earlier) = self.answers.find(&call.request) {
            self.reply(call, earlier);
            return None;
        }
        let plan = match self.registry.plan(&call.request, now) {
            Ok(plan) => plan,
            Err(refused) => {
                self.keep_audit(vec![self.audit(&call.request, &refused, now)]);
                self.reply(call, Err(refused));
                return None;
            }
        };
        let verb = call.request.verb;
        let before = record::before(verb, &*self.registry.edge(plan.edge(), now)?);
        let answer = self.registry.preview(&plan, now)?;
        let audit = AuditRow {
            before,
            after: record::after(verb, &answer),
            edge: format!("{} {}", answer.name, answer.edge_id),
            ..record::of_order(&call.request, "ok", &self.redirector, now)
        };
        let kept = answers::row(&call.request, plan.edge(), &answer, now.unix_ms);
        match &plan {
            Plan::Holds(_) if kept.is_none() => {
                self.keep_audit(vec![audit]);
                self.reply(call, Ok(answer));
                return None;
            }
            Plan::Holds(_) => {}
            Plan::Set(row) => commit.orders.push(row.clone()),
            Plan::Forget(id) => commit.forgotten.push(*id),
        }
        if verb == Verb::Drain {
            self.registry.block(plan.edge());
        }
        commit.audit.push(audit);
        commit.requests.extend(kept);
        Some(Entry { call, plan, answer })
    }

    fn begin(&mut self, entries: Vec<Entry>, inherited: Vec<OrderRow>, mut commit: Commit) {
        commit.revision = self.registry.revision();
        log_inherited(&inherited);
        let (done, finished) = oneshot::channel();
        // The commit's rows are kept to put the answers where repeats find them.
        for row in &commit.requests {
            self.answers.keep(row.clone());
        }
        let sent = self.keeper.jobs.try_send(Job::Commit(commit, done)).is_ok();
        self.batch = Some(Batch { entries, inherited, done: finished });
        if !sent {
            self.finish(Err(StoreError("the store does not keep up".into())));
        }
    }

    fn finish(&mut self, result: Result<(), StoreError>) {
        let Some(batch) = self.batch.take() else { return };
        if self.keeper.jobs.is_closed() {
            self.outlets.figures.store_failed.store(true, Ordering::Relaxed);
        }
        let now = self.clock.now();
        for entry in &batch.entries {
            match &result {
                Ok(()) => self.registry.apply(&entry.plan),
                Err(_) => {
                    self.answers.take_back(&entry.call.request.request_id);
                    self.registry.apply_unsaved(&entry.plan);
                }
            }
        }
        if result.is_ok() {
            self.forget_again(&batch.entries);
            batch.inherited.iter().for_each(|row| self.registry.inheritance_saved(row));
        }
        if !batch.entries.is_empty() || !batch.inherited.is_empty() {
            self.publish(now);
        }
        for entry in batch.entries {
            let outcome = match &result {
                Ok(()) => Ok(entry.answer),
                Err(error) => Err(unsaved(entry.call.request.verb, error)),
            };
            self.reply(entry.call, outcome);
        }
    }

    /// Rows of a forgotten edge may have been on their way behind the commit that removed them.
    fn forget_again(&self, entries: &[Entry]) {
        let forgotten = entries.iter().filter_map(|entry| match entry.plan {
            Plan::Forget(id) => Some(id),
            _ => None,
        });
        let forgotten: Vec<_> = forgotten.collect();
        if !forgotten.is_empty() {
            self.ask(Job::Forget(forgotten));
        }
    }

    fn reply(&self, call: Call, outcome: Result<admin::Edge, Refused>) {
        let figures = &self.outlets.figures;
        let counter = match &outcome {
            Ok(_) => &figures.orders_accepted,
            Err(_) => &figures.orders_refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        // A caller that has gone away has no use for the answer; the order stands all the same.
        let _ = call.answer.send(outcome.map(|edge| (edge, self.retired.clone())));
    }

    fn audit(&self, request: &Request, refused: &Refused, now: Now) -> AuditRow {
        record::of_order(request, &refused.to_string(), &self.redirector, now)
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

async fn finished(batch: &mut Option<Batch>) -> Result<(), StoreError> {
    match batch {
        Some(batch) => wait(&mut batch.done).await,
        None => std::future::pending().await,
    }
}

async fn wait(done: &mut oneshot::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
    done.await.unwrap_or_else(|_| Err(StoreError("the store's thread has ended".into())))
}

fn unsaved(verb: Verb, error: &StoreError) -> Refused {
    match verb {
        Verb::SetWeight(_) => Refused::WeightUnsaved(error.to_string()),
        _ => Refused::StoreFailed(error.to_string()),
    }
}

fn log_inherited(rows: &[OrderRow]) {
    for row in rows.iter().filter(|row| row.order.is_some() && row.drains_last()) {
        tracing::warn!(
            edge = %row.name,
            id = %row.id,
            "a new edge took over the name of a drained one and with it the drain; undrain it when \
             it may take viewers"
        );
    }
    for row in rows.iter().filter(|row| row.weighting.is_some() && row.weighs_last()) {
        tracing::warn!(
            edge = %row.name,
            id = %row.id,
            weight = row.weight().get(),
            "a new edge took over the name of another and with it the weight it was given"
        );
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
