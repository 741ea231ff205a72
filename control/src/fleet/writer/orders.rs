//! Orders on their way: planned together, made durable together, then applied and answered.

use std::{collections::HashSet, sync::atomic::Ordering};

use tidegate_proto::admin;
use tokio::sync::oneshot;

use super::{
    super::{Call, answers, keeper::Job, record},
    Writer,
};
use crate::{
    clock::Now,
    order::{Refused, Request, Verb},
    registry::Plan,
    store::{AuditRow, Commit, OrderRow, StoreError},
};

/// Orders that the store is making durable.
pub(super) struct Batch {
    entries: Vec<Entry>,
    inherited: Vec<OrderRow>,
    pub(super) done: oneshot::Receiver<Result<(), StoreError>>,
}

pub(super) struct Entry {
    call: Call,
    plan: Plan,
    answer: admin::Edge,
}

impl Writer {
    /// Begins a batch with the orders that wait, as long as no two concern the same edge or
    /// request id: those see each other's outcome in the next batch.
    pub(super) fn take_orders(&mut self) {
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

    pub(super) fn finish(&mut self, result: Result<(), StoreError>) {
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
}

pub(super) async fn finished(batch: &mut Option<Batch>) -> Result<(), StoreError> {
    match batch {
        Some(batch) => wait(&mut batch.done).await,
        None => std::future::pending().await,
    }
}

pub(super) async fn wait(
    done: &mut oneshot::Receiver<Result<(), StoreError>>,
) -> Result<(), StoreError> {
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
