//! The links of one edge: follows the targets file and the first target's interface.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, timeout},
};

use super::{
    Shared,
    link::{End, Link},
    route::local_address_towards,
};
use crate::{
    report::Redirect,
    status::TargetStatus,
    targets::{Target, TargetsFile, edge_of, is_weak},
};

/// How often the targets file and the interfaces are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A session with a new key waits this long for the old one's end, which a slow resolver may delay.
const HANDOVER_MAX: Duration = Duration::from_secs(1);
/// The first heartbeat waits this long for the first figures.
const FIRST_FIGURES: Duration = Duration::from_millis(200);

/// Every link, and what they are made from.
pub(super) struct Fleet {
    shared: Arc<Shared>,
    wanted: Vec<Target>,
    file: Option<TargetsFile>,
    links: Vec<Running>,
    tasks: JoinSet<()>,
}

struct Running {
    target: Target,
    end: watch::Sender<Option<End>>,
    status: watch::Receiver<TargetStatus>,
}

impl Running {
    /// Ends without a goodbye and waits for that, so that nothing of this session reaches the
    /// redirector after the first heartbeat of the next: it would be refused as out of date.
    async fn end_silently(mut self) -> TargetStatus {
        self.end.send_replace(Some(End::Silent));
        let gone = async { while self.status.changed().await.is_ok() {} };
        if timeout(HANDOVER_MAX, gone).await.is_err() {
            tracing::debug!(target = %self.target, "the old session is not waited for any longer");
        }
        self.status.borrow().clone()
    }
}

impl Fleet {
    pub(super) fn new(shared: Arc<Shared>, wanted: Vec<Target>, file: Option<TargetsFile>) -> Self {
        Self { shared, wanted, file, links: Vec::new(), tasks: JoinSet::new() }
    }

    /// Reports to every target until `stopped` closes, then says goodbye to each.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<()>) {
        let mut state = self.shared.state.subscribe();
        let _ = timeout(FIRST_FIGURES, state.wait_for(|state| state.measured)).await;
        self.follow();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.changed() => break,
                _ = looks.tick() => self.look().await,
            }
            while self.tasks.try_join_next().is_some() {}
        }
        for link in &self.links {
            link.end.send_replace(Some(End::Goodbye));
        }
        while self.tasks.join_next().await.is_some() {}
    }

    async fn look(&mut self) {
        self.follow_interface();
        let Some(mut file) = self.file.take() else { return };
        let read = spawn_blocking(move || {
            let read = file.has_changed().then(|| file.read());
            (file, read)
        });
        let Ok((file, read)) = read.await else {
            tracing::error!("reading the targets file broke down; it is no longer followed");
            return;
        };
        self.file = Some(file);
        match read {
            None => {}
            Some(Ok(targets)) => self.take(targets),
            Some(Err(error)) => self.refuse(&error),
        }
    }

    fn take(&mut self, targets: Vec<Target>) {
        if let Ok(Some(edge)) = edge_of(&targets)
            && edge != self.shared.id
        {
            return self.refuse(&format!(
                "targets_file: its keys are for edge {edge}, but this agent runs as edge {}; restart it",
                self.shared.id
            ));
        }
        self.shared.state.send_modify(|state| state.targets_fault = None);
        for target in targets.iter().filter(|target| is_weak(target.key())) {
            tracing::warn!(%target, "a text key can be guessed");
        }
        tracing::info!(targets = targets.len(), "the targets file was read again");
        self.wanted = targets;
        self.follow();
    }

    /// The old targets stay; each change of the file is told about once.
    fn refuse(&mut self, why: &impl ToString) {
        let fault = why.to_string();
        tracing::warn!(fault, "the changed targets file is not taken, the old targets stay");
        self.shared.state.send_modify(|state| state.targets_fault = Some(fault));
    }

    /// Starts, keeps and ends links so that there is one for each wanted target.
    fn follow(&mut self) {
        let mut before = std::mem::take(&mut self.links);
        for target in self.wanted.clone() {
            // No two targets of a file share an address.
            let old = before.iter().position(|link| link.target.same_address(&target));
            let link = match old.map(|at| before.swap_remove(at)) {
                Some(link) if link.target.same_session(&target) => link,
                old => self.start(target, old),
            };
            self.links.push(link);
        }
        for old in before {
            old.end.send_replace(Some(End::Goodbye));
        }
        let count = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        self.shared.state.send_modify(|state| state.target_count = count);
        self.shared.board.send_replace(self.links.iter().map(|link| link.status.clone()).collect());
    }

    /// Starts a link, after the one whose redirector it takes over.
    fn start(&mut self, target: Target, before: Option<Running>) -> Running {
        let row = TargetStatus::new(target.to_string(), target.key().key_id());
        let (row, status) = watch::channel(row);
        let (end, ended) = watch::channel(None);
        let (shared, own) = (self.shared.clone(), target.clone());
        self.tasks.spawn(async move {
            if let Some(before) = before {
                let counts = before.end_silently().await;
                row.send_modify(|row| row.go_on_from(&counts));
            }
            Link::new(shared, &own, row).run(ended).await;
        });
        Running { target, end, status }
    }

    fn follow_interface(&self) {
        if self.shared.profile.redirect != Redirect::Automatic {
            return;
        }
        let first = self.links.first().and_then(|link| link.status.borrow().address);
        let Some(local) = first.and_then(local_address_towards) else { return };
        self.shared.state.send_if_modified(|state| {
            let changed = state.local_address != Some(local);
            state.local_address = Some(local);
            changed
        });
    }
}
