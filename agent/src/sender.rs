//! Keeps one edge reporting: a measuring task, and for each target a link with its own session.
//!
//! `peer` decides what is said and what an ack means, without clocks or sockets; `link` carries it
//! out. The links follow the targets file; the edge's state reaches them through one channel.

mod fleet;
mod follow;
mod gauge;
mod ledger;
mod link;
mod peer;
mod route;
mod way;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use tidegate_proto::{
    edge::{Capacity, EdgeId, EdgeName, Endpoint, Host},
    heartbeat::{INTERVAL_MAX, INTERVAL_MIN, Unacceptable},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{
    identity::{self, IdentityError},
    limit::ViewerLimit,
    link_speed::Link,
    report::{Profile, Redirect, State},
    source::{Source, host::HostSource},
    status::{EdgeStatus, TargetStatus},
    targets::{self, Flaw, Target, TargetsError, TargetsFile, is_weak},
};

pub(crate) use route::local_address_towards;

/// Status rows of the targets, in the file's order.
type Board = watch::Sender<Vec<watch::Receiver<TargetStatus>>>;

/// An edge that is about to report. Set what it is, then [`spawn`](Self::spawn) it.
#[must_use = "nothing is sent before spawn"]
pub struct EdgeSender {
    profile: Profile,
    identity: Identity,
    targets: Vec<Target>,
    targets_file: Option<TargetsFile>,
    source: Box<dyn Source>,
    limit: Option<ViewerLimit>,
    redirect: Option<Followed>,
    link: Option<Link>,
}

/// Where clients are sent first, and how that is asked again.
struct Followed {
    first: Host,
    every: Duration,
    ask: follow::Ask,
}

enum Identity {
    Unset,
    Id(EdgeId),
    StateDir(PathBuf),
}

/// Why an edge cannot begin to report.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The UUID could not be read or kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The targets file was refused.
    #[error(transparent)]
    Targets(#[from] TargetsError),
    /// The targets do not go together.
    #[error("targets: {0}")]
    Flaw(#[from] Flaw),
    /// A per-edge key speaks for another edge than the one that was asked for.
    #[error("targets: the key is for edge {key}, but this is edge {own}; issue a key for it")]
    ForeignKey {
        /// Whom the key speaks for.
        key: EdgeId,
        /// Who this is.
        own: EdgeId,
    },
    /// Nobody to report to.
    #[error("targets: there is no redirector to report to")]
    NoTargets,
    /// Something the edge says of itself is out of bounds.
    #[error("the edge's profile: {0}")]
    Profile(#[from] Unacceptable),
    /// The measuring thread could not be started.
    #[error("cannot start the measuring thread: {0}")]
    Thread(io::Error),
}

impl EdgeSender {
    /// An edge of this name: no targets yet, the machine's own figures, a UUID per run.
    pub fn new(name: EdgeName) -> Self {
        Self::of_profile(Profile::new(name))
    }

    /// An edge that says all this of itself.
    pub fn of_profile(profile: Profile) -> Self {
        Self {
            profile,
            identity: Identity::Unset,
            targets: Vec::new(),
            targets_file: None,
            source: Box::new(HostSource::default()),
            limit: None,
            redirect: None,
            link: None,
        }
    }

    /// The edge's UUID. Per-edge keys bring their own and must agree with it.
    pub fn edge_id(mut self, id: EdgeId) -> Self {
        self.identity = Identity::Id(id);
        self
    }

    /// The folder that keeps the edge's UUID, created 0700 when absent. A per-edge key overrides
    /// it.
    pub fn state_dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.identity = Identity::StateDir(dir.as_ref().to_owned());
        self
    }

    /// One more redirector to report to.
    pub fn target(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// A targets file that was read, and is read again whenever it changes; it replaces targets
    /// given one by one.
    pub fn targets_file(mut self, file: TargetsFile, targets: Vec<Target>) -> Self {
        self.targets_file = Some(file);
        self.targets = targets;
        self
    }

    /// Where clients are sent. Without it: the address of the interface that reaches the first
    /// target.
    pub fn redirect_address(mut self, host: Host) -> Self {
        self.profile.redirect = Redirect::Fixed(host);
        self.redirect = None;
        self
    }

    /// Where clients are sent first, and again where `ask` says `every` so often; it may block. A
    /// change is sent at once, and without an answer the last one stands.
    pub fn redirect_followed(
        mut self,
        first: Host,
        every: Duration,
        ask: impl FnMut() -> Result<Host, String> + Send + 'static,
    ) -> Self {
        self.profile.redirect = Redirect::Followed;
        self.redirect = Some(Followed { first, every, ask: Box::new(ask) });
        self
    }

    /// One more endpoint; without any, any scheme on the client's own port.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.profile.endpoints.push(endpoint);
        self
    }

    /// One more label.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.profile.labels.insert(key.into(), value.into());
        self
    }

    /// What the edge can carry.
    pub fn capacity(mut self, capacity: Capacity) -> Self {
        self.profile.capacity = capacity;
        self
    }

    /// The interface whose speed is what the edge can send, unless its capacity says so.
    pub fn capacity_of_link(mut self, link: Link) -> Self {
        self.link = Some(link);
        self
    }

    /// The time between two heartbeats, 0.1 to 60 s; brought into these bounds.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.profile.interval = interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        self
    }

    /// What measures; a closure will do.
    pub fn source(mut self, source: impl Source) -> Self {
        self.source = Box::new(source);
        self
    }

    /// What measures, when its kind is known only at run time.
    pub fn boxed_source(mut self, source: Box<dyn Source>) -> Self {
        self.source = source;
        self
    }

    /// When the edge takes no more viewers of its own accord; `None`: never.
    pub fn viewer_limit(mut self, limit: Option<ViewerLimit>) -> Self {
        self.limit = limit;
        self
    }

    /// Begins to report. Must be called inside a Tokio runtime with time and I/O enabled.
    pub fn spawn(mut self) -> Result<EdgeHandle, StartError> {
        self.profile.check()?;
        let id = self.settle_identity()?;
        if self.profile.drop_labels_that_do_not_fit() {
            tracing::warn!(
                "the labels are too long for a heartbeat and are not sent; shorten them"
            );
        }
        for target in self.targets.iter().filter(|target| is_weak(target.key())) {
            tracing::warn!(%target, "a text key can be guessed; `tidegatectl key generate` makes a strong one");
        }
        let (state, _) = watch::channel(State {
            target_count: u32::try_from(self.targets.len()).unwrap_or(u32::MAX),
            redirect: self.redirect.as_ref().map(|followed| followed.first.clone()),
            ..State::default()
        });
        let shared = Arc::new(Shared {
            id,
            profile: self.profile,
            state,
            wanted: Notify::new(),
            board: watch::channel(Vec::new()).0,
        });
        let (stop, stopped) = watch::channel(());
        let thread = gauge::start_thread(self.source, shared.profile.capacity)
            .map_err(StartError::Thread)?;
        tokio::spawn(gauge::run(shared.clone(), thread, self.limit, stopped.clone()));
        if let Some(Followed { every, ask, .. }) = self.redirect {
            tokio::spawn(follow::redirect(shared.clone(), ask, every, stopped.clone()));
        }
        if let Some(link) = self.link {
            tokio::spawn(follow::link(shared.clone(), link, stopped.clone()));
        }
        let fleet = fleet::Fleet::new(shared.clone(), self.targets, self.targets_file);
        let task = tokio::spawn(fleet.run(stopped));
        Ok(EdgeHandle { controls: Controls { shared }, stop, task })
    }

    fn settle_identity(&self) -> Result<EdgeId, StartError> {
        if self.targets.is_empty() {
            return Err(StartError::NoTargets);
        }
        let of_key = targets::edge_of(&self.targets)?;
        match (&self.identity, of_key) {
            (Identity::Id(own), Some(key)) if *own != key => {
                Err(StartError::ForeignKey { key, own: *own })
            }
            (_, Some(key)) => Ok(key),
            (Identity::Id(own), None) => Ok(*own),
            (Identity::StateDir(dir), None) => Ok(identity::load_or_create(dir)?),
            (Identity::Unset, None) => Ok(EdgeId::random()),
        }
    }
}

/// What the tasks of one edge share. Each field of the state has one writer: the handle pauses,
/// the gauge measures, the fleet of links knows addresses and targets, the followers the rest.
struct Shared {
    id: EdgeId,
    profile: Profile,
    state: watch::Sender<State>,
    /// A heartbeat is about to be sent and wants new figures.
    wanted: Notify,
    board: Board,
}

/// Pauses and shows an edge; cheap to clone, and useless once the edge stopped.
#[derive(Clone)]
pub struct Controls {
    shared: Arc<Shared>,
}

impl Controls {
    /// The edge asks for no new viewers, at once.
    pub fn pause(&self) {
        self.set_paused(true);
    }

    /// The edge takes viewers again, at once.
    pub fn unpause(&self) {
        self.set_paused(false);
    }

    fn set_paused(&self, paused: bool) {
        self.shared.state.send_if_modified(|state| {
            let changed = state.paused != paused;
            state.paused = paused;
            changed
        });
    }

    /// How things are now.
    #[must_use]
    pub fn status(&self) -> EdgeStatus {
        let rows: Vec<_> = self.shared.board.borrow().clone();
        let rows: Vec<TargetStatus> = rows.iter().map(|row| row.borrow().clone()).collect();
        let state = self.shared.state.borrow().clone();
        EdgeStatus::new(self.shared.id, &self.shared.profile, state, rows, Instant::now())
    }
}

/// A reporting edge. Dropping it says goodbye as well, but nobody then waits for that.
pub struct EdgeHandle {
    controls: Controls,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl EdgeHandle {
    /// The edge's UUID.
    #[must_use]
    pub fn edge_id(&self) -> EdgeId {
        self.controls.shared.id
    }

    /// The edge asks for no new viewers, at once.
    pub fn pause(&self) {
        self.controls.pause();
    }

    /// The edge takes viewers again, at once.
    pub fn unpause(&self) {
        self.controls.unpause();
    }

    /// How things are now.
    #[must_use]
    pub fn status(&self) -> EdgeStatus {
        self.controls.status()
    }

    /// To pause and show the edge from elsewhere.
    #[must_use]
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    /// Says goodbye to every target, three times within 300 ms, and stops.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the reporting task failed");
        }
    }
}
