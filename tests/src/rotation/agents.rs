//! Real senders in this process, each with a targets file of its own.

use std::{num::NonZeroU16, path::PathBuf};

use tempfile::TempDir;
use tidegate_agent::{EdgeHandle, EdgeSender, Measurement, targets::TargetsFile};
use tidegate_proto::{
    edge::{EdgeId, Endpoint, Scheme},
    key::{format_edge_key, format_fleet_key},
    seal::FleetKey,
};
use tokio::runtime::Runtime;

use super::Plan;
use crate::{
    programs::{Ports, target_line, write_secret},
    wait::{SOON, eventually},
};

/// Goodbyes that a sender says to each target; its counters are of heartbeats alone.
const GOODBYES: u64 = 3;
/// Where nobody listens: no client follows its redirect.
const HTTP_PORT: NonZeroU16 = NonZeroU16::new(8_080).expect("not 0");

/// What all agents together did towards one redirector.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) datagrams: u64,
    pub(super) failed: u64,
    pub(super) acks: u64,
    pub(super) acks_refused: u64,
}

pub(super) struct Agents {
    edges: Vec<EdgeHandle>,
    ids: Vec<EdgeId>,
    ports: Vec<Ports>,
    home: TempDir,
    runtime: Runtime,
}

impl Agents {
    /// One for each edge; they report to every redirector.
    pub(super) fn start(plan: Plan, ports: &[Ports], key: &FleetKey) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let ids = (0..plan.edges).map(|_| EdgeId::random()).collect();
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut agents = Self { edges: Vec::new(), ids, ports: ports.to_vec(), home, runtime };
        agents.send_with(key);
        agents.edges = (0..plan.edges).map(|at| agents.spawn(at, plan)).collect();
        agents
    }

    fn spawn(&self, at: usize, plan: Plan) -> EdgeHandle {
        let _context = self.runtime.enter();
        let mut file = TargetsFile::new(self.targets_file(at));
        let targets = file.read().expect("a targets file");
        EdgeSender::new(format!("edge-{at}").parse().expect("a name"))
            .edge_id(self.ids[at])
            .redirect_address("127.0.0.1".parse().expect("a host"))
            .endpoint(Endpoint { scheme: Scheme::Http, port: HTTP_PORT })
            .interval(plan.interval)
            .source(|| Ok(Measurement::of_viewers(1)))
            .targets_file(file, targets)
            .spawn()
            .expect("an agent that starts")
    }

    fn targets_file(&self, at: usize) -> PathBuf {
        self.home.path().join(format!("targets-{at}"))
    }

    /// Rewrites every targets file: one half with the fleet's key, the other with keys of the edges.
    pub(super) fn send_with(&self, key: &FleetKey) {
        for (at, id) in self.ids.iter().enumerate() {
            let key = if at % 2 == 0 { format_fleet_key(key) } else { format_edge_key(key, *id) };
            let lines = self.ports.iter().map(|ports| target_line(ports.heartbeat, &key));
            write_secret(&self.targets_file(at), &lines.collect::<String>());
        }
    }

    /// Waits until every redirector has acknowledged every edge under this key.
    pub(super) fn until_registered_with(&self, key: &FleetKey) {
        let id = key.id().to_string();
        eventually(SOON, "every agent is registered under the new key", || {
            let rows = self.edges.iter().flat_map(|edge| edge.status().targets);
            let missing = rows.filter(|row| row.key_id != id || !row.registered).count();
            if missing == 0 { Ok(()) } else { Err(format!("{missing} are not")) }
        });
    }

    /// Says goodbye for all and returns what each redirector must have got.
    pub(super) fn stop(self) -> Vec<Sent> {
        let controls: Vec<_> = self.edges.iter().map(EdgeHandle::controls).collect();
        let stops: Vec<_> =
            self.edges.into_iter().map(|edge| self.runtime.spawn(edge.stop())).collect();
        for stop in stops {
            self.runtime.block_on(stop).expect("an agent that stops");
        }
        let mut sent = vec![Sent::default(); self.ports.len()];
        for controls in controls {
            for (row, sum) in controls.status().targets.iter().zip(&mut sent) {
                let refused = row.acks_refused;
                sum.datagrams += row.heartbeats + GOODBYES;
                sum.failed += row.send_errors;
                sum.acks += row.acks;
                sum.acks_refused += refused.unexpected + refused.forged + refused.repeated;
            }
        }
        sent
    }
}
