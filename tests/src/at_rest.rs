//! What an agent costs an edge that does nothing but report: processor time and memory.

use std::{
    fmt,
    thread::sleep,
    time::{Duration, Instant},
};

use tidegate_proto::key::format_fleet_key;

use crate::{
    media::nginx::Nginx,
    process::{cpu_time, resident_bytes},
    programs::{Agent, AgentSetup, Redirector, target_line},
};

/// The share of one processor that an agent may take.
const CPU_SHARE_MAX: f64 = 0.002;
/// The memory it may take, in bytes.
const RESIDENT_MAX: u64 = 12 << 20;
/// What happens at a start is over by then.
const SETTLES: Duration = Duration::from_secs(5);

/// What one agent took while it was watched.
#[derive(Debug, Clone)]
pub struct Cost {
    /// What it measured its edge by.
    pub kind: &'static str,
    /// Share of one processor.
    pub cpu_share: f64,
    /// Resident memory at the end, in bytes.
    pub resident: u64,
}

/// Agents with different sources that were watched for the same time.
#[derive(Debug, Clone)]
pub struct Report {
    /// For so long.
    pub watched: Duration,
    /// A row an agent.
    pub costs: Vec<Cost>,
}

/// Lets an agent with each of some sources report every 2.5 s to a redirector, and watches them.
#[must_use]
pub fn watch(span: Duration) -> Report {
    let (redirector, nginx) = (Redirector::start(), Nginx::start());
    let target = target_line(redirector.ports().heartbeat, &format_fleet_key(redirector.key()));
    let start = |kind: &'static str, url: &str| {
        let setup =
            AgentSetup { interval: Duration::from_millis(2_500), ..AgentSetup::new(kind, 18_080) };
        let setup = if kind == "file" { setup } else { setup.asking(kind, url) };
        (kind, Agent::start_as(&setup, &target))
    };
    let mut agents = [
        start("file", ""),
        start("host", ""),
        start("nginx-stub-status", &nginx.page("/nginx_status")),
        start("nginx-rtmp", &nginx.page("/stat")),
    ];
    sleep(SETTLES);
    let (began, before) = (Instant::now(), agents.each_mut().map(|(_, agent)| cpu(agent)));
    sleep(span);
    let watched = began.elapsed();
    let costs = agents.iter_mut().zip(before).map(|((kind, agent), before)| Cost {
        kind,
        cpu_share: (cpu(agent) - before).as_secs_f64() / watched.as_secs_f64(),
        resident: resident_bytes(agent.process().pid()),
    });
    Report { watched, costs: costs.collect() }
}

fn cpu(agent: &mut Agent) -> Duration {
    cpu_time(agent.process().pid())
}

impl Report {
    /// Every agent that took more than it may.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let over = self
            .costs
            .iter()
            .filter(|cost| cost.cpu_share > CPU_SHARE_MAX || cost.resident > RESIDENT_MAX);
        over.map(|cost| format!("{} takes more than it may", cost.kind)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20}{:>14}{:>14}   over {:.0} s; goals: {:.2} % and {} MiB",
            "source",
            "of one core",
            "resident MiB",
            self.watched.as_secs_f64(),
            CPU_SHARE_MAX * 100.0,
            RESIDENT_MAX >> 20
        )?;
        for Cost { kind, cpu_share, resident } in &self.costs {
            let mib = *resident as f64 / f64::from(1 << 20);
            writeln!(f, "{kind:<20}{:>12.3} %{mib:>14.1}", cpu_share * 100.0)?;
        }
        Ok(())
    }
}
