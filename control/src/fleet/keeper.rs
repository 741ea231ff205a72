//! The thread that owns the store, so that no fsync ever holds up a worker of the runtime.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Instant,
};

use tidegate_proto::edge::EdgeId;
use tokio::sync::{mpsc, oneshot};

use super::Figures;
use crate::store::{AuditRow, BeatRow, Commit, EdgeRow, Store, StoreError};

/// The writer has at most a commit, a batch of rows, a few audits and a close on their way.
const JOBS_MAX: usize = 64;

pub(super) enum Job {
    Commit(Commit, oneshot::Sender<Result<(), StoreError>>),
    Rows { edges: Vec<EdgeRow>, beats: Vec<BeatRow>, done: oneshot::Sender<()> },
    Audit(Vec<AuditRow>),
    Forget(Vec<EdgeId>),
}

/// The way to the store's thread. It closes the store when every sender is gone.
pub(super) struct Keeper {
    pub(super) jobs: mpsc::Sender<Job>,
    thread: thread::JoinHandle<()>,
}

impl Keeper {
    pub(super) fn start(store: Box<dyn Store>, figures: Arc<Figures>) -> Self {
        let (jobs, inbox) = mpsc::channel(JOBS_MAX);
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || keep(store, inbox, &figures))
            .expect("the system can start one thread");
        Self { jobs, thread }
    }

    /// Lets the store finish its jobs and close.
    pub(super) async fn stop(self) {
        drop(self.jobs);
        let joined = tokio::task::spawn_blocking(|| self.thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the store's thread ended badly; the last heartbeats may be lost");
        }
    }
}

fn keep(mut store: Box<dyn Store>, mut inbox: mpsc::Receiver<Job>, figures: &Figures) {
    while let Some(job) = inbox.blocking_recv() {
        let result = match job {
            Job::Commit(commit, answer) => {
                let result = timed(figures, || store.commit(&commit));
                let _ = answer.send(result.clone());
                result
            }
            Job::Rows { edges, beats, done } => {
                let rows = edges.len() + beats.len();
                let result = store.write_rows(&edges, &beats);
                figures.store_rows.fetch_add(rows as u64, Ordering::Relaxed);
                let _ = done.send(());
                result
            }
            Job::Audit(audit) => store.write_audit(&audit),
            Job::Forget(edges) => store.forget(&edges),
        };
        note(figures, result);
    }
    note(figures, store.close());
}

fn timed(
    figures: &Figures,
    commit: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let begun = Instant::now();
    let result = commit();
    let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    figures.store_commit_us.fetch_add(took_us, Ordering::Relaxed);
    figures.store_commits.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
    result
}

/// The first failure is logged; what follows from it only shows in the gauge.
fn note(figures: &Figures, result: Result<(), StoreError>) {
    if let Err(error) = result
        && !figures.store_failed.swap(true, Ordering::Relaxed)
    {
        tracing::error!(
            %error,
            "the store failed: redirects go on, drains hold until this process ends, other orders \
             are refused; mend the disk and restart"
        );
    }
}
