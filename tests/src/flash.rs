//! A flash crowd against the real programs: thousands of clients within seconds, sent to edges whose
//! real agents report what has landed there. How level is the fleet, and how level was it at worst?

mod arrivals;
mod audience;
mod crowd;
mod table;

use std::{
    collections::BTreeMap,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use tidegate_control::selection::Policy;
use tidegate_proto::key::format_fleet_key;

use self::{
    arrivals::{Arrival, arrivals},
    audience::Audience,
};
pub use self::{
    audience::Level,
    table::{faults, print_table},
};
use crate::{
    programs::{Agent, AgentSetup, Redirector, target_line},
    wait::{SOON, eventually},
};

/// Nobody listens there: only the harness reads where it is sent.
const FIRST_PORT: u16 = 18_100;
/// The share of the fleet that the landed crowd fills.
const FILLS: f64 = 0.75;
/// Edges of one to four times the smallest one's capacity.
const SIZES: usize = 4;

/// How large a crowd, how fast, and what chance decides.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Edges, each with a real agent.
    pub edges: u16,
    /// Clients that ask.
    pub redirects: usize,
    /// The time within which they do, at an even pace.
    pub span: Duration,
    /// What landing delays, no-shows and streams are drawn from.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        let span = Duration::from_secs(10);
        Self { edges: 20, redirects: 20_000, span, seed: rand::random() }
    }
}

/// What came of it under one policy.
#[derive(Debug, Clone)]
pub struct Report {
    /// The policy.
    pub policy: Policy,
    /// When all have landed.
    pub end: Level,
    /// The highest load over mean there was once half of the fleet was filled.
    pub worst: f64,
    /// The highest load of any edge at any time, as a share of its capacity.
    pub peak: f64,
    /// Redirects made.
    pub redirects: usize,
    /// Redirects in a second.
    pub rate: f64,
    /// By how much the generator missed its own pace.
    pub late_max: Duration,
    /// Different pairs of an edge and a stream watched there.
    pub pulls: usize,
    /// Answers that were no redirects, by what they were.
    pub refused: BTreeMap<String, usize>,
}

/// Starts a redirector with the policy and a fleet of real agents, lets the crowd in, and measures.
#[must_use]
pub fn run(plan: Plan, policy: Policy) -> Report {
    let redirector = Redirector::start_with(&[("selection-policy", policy.as_str())]);
    let arrivals = arrivals(&plan);
    let landing = arrivals.iter().filter(|arrival| arrival.lands_after.is_some()).count();
    let capacities = capacities(plan.edges, landing);
    let agents = agents(&redirector, &capacities);
    let mut audience = Audience::new(&capacities, agents);
    let (sender, receiver) = sync_channel(arrivals.len());
    let crowd = thread::scope(|scope| {
        let watching = scope.spawn(|| audience.take(receiver));
        let crowd = crowd::run(&plan, &arrivals, redirector.ports().client, sender);
        watching.join().expect("the audience");
        crowd
    });
    Report {
        policy,
        end: audience.level(),
        worst: audience.worst(),
        peak: audience.peak(),
        redirects: crowd.redirects,
        rate: crowd.redirects as f64 / crowd.took.as_secs_f64(),
        late_max: crowd.late_max,
        pulls: audience.pulls(),
        refused: crowd.refused,
    }
}

/// Capacities in viewers, such that so many fill the fleet by [`FILLS`].
fn capacities(edges: u16, landing: usize) -> Vec<u32> {
    let sizes: Vec<usize> = (0..usize::from(edges)).map(|edge| 1 + edge % SIZES).collect();
    let unit = landing as f64 / FILLS / sizes.iter().sum::<usize>() as f64;
    sizes.iter().map(|size| (*size as f64 * unit).round().max(1.0) as u32).collect()
}

fn agents(redirector: &Redirector, capacities: &[u32]) -> Vec<Agent> {
    let target = target_line(redirector.ports().heartbeat, &format_fleet_key(redirector.key()));
    let start = |(edge, capacity): (usize, &u32)| {
        let port = FIRST_PORT + u16::try_from(edge).expect("few edges");
        let interval = Duration::from_millis(2_500);
        let setup = AgentSetup::new(&format!("edge-{edge}"), port);
        Agent::start_as(&AgentSetup { interval, capacity_viewers: *capacity, ..setup }, &target)
    };
    let agents: Vec<Agent> = capacities.iter().enumerate().map(start).collect();
    eventually(SOON, "every edge is UP", || {
        let up = redirector.metrics().sum("tidegate_edges", &[("liveness", "UP")]);
        if up == agents.len() as f64 { Ok(()) } else { Err(format!("{up} are")) }
    });
    agents
}

/// The place of the edge that a Location leads to.
fn edge_at(location: &str) -> Option<usize> {
    let authority = location.strip_prefix("http://127.0.0.1:")?;
    let port: u16 = authority.split('/').next()?.parse().ok()?;
    port.checked_sub(FIRST_PORT).map(usize::from)
}

/// One redirect as its client saw it.
#[derive(Debug, Clone, Copy)]
struct Sent {
    edge: usize,
    at: Instant,
    arrival: Arrival,
}
