//! A fleet's key is replaced while edges report and clients ask: how many heartbeats are lost.

mod agents;
mod report;
mod witness;

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;
use tidegate_proto::{key::format_fleet_key, seal::FleetKey};

pub use self::report::Report;
use self::{
    agents::Agents,
    report::Row,
    witness::{Clients, Watch},
};
use crate::{
    programs::{Redirector, write_secret},
    wait::{SOON, eventually},
};

/// How large and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Redirectors.
    pub redirectors: usize,
    /// Edges, each with an agent of its own.
    pub edges: usize,
    /// Between two heartbeats of an edge.
    pub interval: Duration,
}

/// A shared keys file, as operators copy it to each redirector.
struct Keys {
    old: FleetKey,
    new: FleetKey,
    file: PathBuf,
    _home: TempDir,
}

impl Keys {
    fn create() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (old, new) = (FleetKey::random(), FleetKey::random());
        let keys = Self { old, new, file: home.path().join("keys"), _home: home };
        keys.write(&[&keys.old]);
        keys
    }

    fn write(&self, accepted: &[&FleetKey]) {
        let lines = accepted.iter().map(|key| format!("{}\n", *format_fleet_key(key)));
        write_secret(&self.file, &lines.collect::<String>());
    }
}

/// Starts redirectors and agents, replaces their key the way docs/operations.md says, and counts.
#[must_use]
pub fn run(plan: Plan) -> Report {
    let keys = Keys::create();
    let mut redirectors = start_redirectors(plan.redirectors, &keys.file);
    let ports: Vec<_> = redirectors.iter().map(Redirector::ports).collect();
    let agents = Agents::start(plan, &ports, &keys.old);
    for redirector in &redirectors {
        all_up(redirector, plan.edges);
    }
    let watches: Vec<_> = ports.iter().map(|ports| Watch::begin(ports.admin, plan.edges)).collect();
    let clients: Vec<_> = ports.iter().map(|ports| Clients::begin(ports.client)).collect();
    thread::sleep(2 * plan.interval);

    accept(&keys, &[&keys.old, &keys.new], &mut redirectors);
    agents.send_with(&keys.new);
    agents.until_registered_with(&keys.new);
    let old_stood_still = stands_still(&keys.old, &redirectors, plan.interval);
    accept(&keys, &[&keys.new], &mut redirectors);
    thread::sleep(4 * plan.interval);

    let left_up: Vec<_> = watches.into_iter().map(Watch::end).collect();
    let redirects: Vec<_> = clients.into_iter().map(Clients::end).collect();
    let sent = agents.stop();
    let rows = redirectors
        .iter()
        .enumerate()
        .map(|(at, redirector)| Row::new(redirector, sent[at], left_up[at].clone(), redirects[at]));
    Report { plan, old_stood_still, rows: rows.collect() }
}

fn start_redirectors(count: usize, keys_file: &Path) -> Vec<Redirector> {
    let file = keys_file.display().to_string();
    (0..count).map(|_| Redirector::start_with(&[("heartbeat-keys-file", &file)])).collect()
}

fn all_up(redirector: &Redirector, edges: usize) {
    eventually(SOON, "every edge is UP", || {
        let up = redirector.metrics().sum("tidegate_edges", &[("liveness", "UP")]);
        if up == edges as f64 { Ok(()) } else { Err(format!("{up} of {edges}")) }
    });
}

/// Makes every redirector accept these keys and no others.
fn accept(keys: &Keys, accepted: &[&FleetKey], redirectors: &mut [Redirector]) {
    keys.write(accepted);
    let mut wanted: Vec<_> = accepted.iter().map(|key| key.id().to_string()).collect();
    wanted.sort();
    for redirector in redirectors {
        redirector.process().signal(Signal::HUP);
        eventually(SOON, "the redirector goes by the changed keys file", || {
            let by_key = redirector.metrics().by("tidegate_heartbeats_total", "key_id");
            let known: Vec<_> = by_key.into_keys().collect();
            if known == wanted { Ok(()) } else { Err(format!("{known:?}")) }
        });
    }
}

/// Whether no redirector counts the old key any more: the sign by which operators remove it.
fn stands_still(old: &FleetKey, redirectors: &[Redirector], interval: Duration) -> bool {
    let id = old.id().to_string();
    let counts = || -> Vec<f64> {
        let count =
            |r: &Redirector| r.metrics().sum("tidegate_heartbeats_total", &[("key_id", &id)]);
        redirectors.iter().map(count).collect()
    };
    let before = counts();
    thread::sleep(3 * interval);
    counts() == before
}
