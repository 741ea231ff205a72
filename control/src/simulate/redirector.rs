//! A redirector as the fleet's writer and the clients' answers drive it, without tasks and sockets.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::SmallRng};
use tidegate_proto::{
    edge::{EdgeId, Scheme},
    heartbeat::Status,
};

use super::{
    chance::{Chance, Kind},
    edge::place_of,
    queue::Micros,
};
use crate::{
    clock::Now,
    pick::{Wanted, pick},
    publish::Snapshot,
    registry::{Patience, Registry, Report},
    selection::{Planner, Selection},
    snapshot::FleetView,
    store::Memory,
};

/// Where the simulated wall clock begins, in Unix milliseconds.
const EPOCH_UNIX_MS: u64 = 1_700_000_000_000;

/// A client that wants an edge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) path: &'a str,
    pub(super) address: IpAddr,
    /// The edge that has failed it, by its own word.
    pub(super) failed_by: Option<EdgeId>,
}

#[derive(Debug)]
pub(super) struct Redirector {
    registry: Registry,
    planner: Planner,
    fleet: Arc<FleetView>,
    snapshot: Snapshot,
    random: SmallRng,
    own: HashSet<(IpAddr, u16)>,
    /// Edges whose last report said that they take nobody any more.
    leaving: HashSet<EdgeId>,
}

impl Redirector {
    /// One that remembers nothing.
    pub(super) fn new(selection: Arc<Selection>, seed: u64, index: u64) -> Self {
        let begin = moment(0);
        let mut registry = Registry::restore(Patience::default(), &Memory::default(), begin);
        let mut planner = Planner::new(selection);
        let fleet = registry.view(begin);
        let table = Arc::new(planner.plan(&fleet, begin.monotonic));
        let seed = Chance::of(seed, Kind::Pick, index, 0).next();
        Self {
            registry,
            planner,
            snapshot: Snapshot { fleet: Arc::clone(&fleet), table },
            fleet,
            random: SmallRng::seed_from_u64(seed),
            own: HashSet::new(),
            leaving: HashSet::new(),
        }
    }

    pub(super) fn hear(&mut self, report: &Report, at: Micros) {
        self.registry.hear(report, moment(at));
        if report.heartbeat.status == Status::Paused {
            self.leaving.insert(report.edge);
        } else {
            self.leaving.remove(&report.edge);
        }
    }

    /// Whether the news that an edge takes nobody any more have come.
    pub(super) fn knows_leaving(&self, edge: EdgeId) -> bool {
        self.leaving.contains(&edge)
    }

    pub(super) fn judge(&mut self, at: Micros) {
        self.registry.tick(moment(at));
    }

    /// Shows the fleet, where it has changed, and plans anew.
    pub(super) fn publish(&mut self, at: Micros) {
        let now = moment(at);
        if self.registry.is_stale() {
            self.fleet = self.registry.view(now);
        }
        let table = Arc::new(self.planner.plan(&self.fleet, now.monotonic));
        self.snapshot = Snapshot { fleet: Arc::clone(&self.fleet), table };
    }

    /// The place of the edge that a client is sent to.
    pub(super) fn pick(&mut self, asker: &Asker<'_>, at: Micros) -> Option<usize> {
        let now = Duration::from_micros(at);
        let evidence = self.snapshot.table.selection().failure_evidence.as_deref();
        let failed = asker.failed_by.and_then(|id| self.fleet.get(id));
        if let (Some(evidence), Some(edge)) = (evidence, failed) {
            evidence.vote(asker.address, edge, now);
        }
        let mut wanted = Wanted::new(Some(Scheme::Http), 80, &self.own);
        wanted.path = asker.path;
        wanted.tried = asker.failed_by.as_slice();
        let picked = pick(&self.snapshot, &wanted, now, &mut self.random).ok()?;
        if let Some(evidence) = evidence {
            evidence.sent(asker.address, picked.edge.id, now);
        }
        Some(place_of(picked.edge.id))
    }
}

fn moment(at: Micros) -> Now {
    Now { monotonic: Duration::from_micros(at), unix_ms: EPOCH_UNIX_MS + at / 1_000 }
}
