//! What is simulated: a fleet, its redirectors, its viewers, and what happens to them.

use std::{fmt, str::FromStr, time::Duration};

use crate::selection::{Policy, Selection, UnknownPolicy};

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scenario {
    /// Ten minutes of coming and going at 70 % of the fleet's capacity.
    Steady,
    /// The same at 20 %.
    Low,
    /// As many as take 75 % of the fleet ask for an edge within 30 s while it is empty; after them
    /// viewers come as they do to a standing audience.
    Flash,
    /// The same, all for one stream.
    Hot,
    /// Ten batches of 10 % of the edges, one a minute, restart: each drains over 20 s and is back,
    /// empty, after 35 s.
    Rolling,
    /// One empty edge of twice the smallest's capacity joins a fleet in service.
    Cold,
    /// One of the largest edges falls silent and loses its viewers.
    Death,
    /// One of the largest edges goes on reporting health but admits nobody, for three minutes.
    Sink,
}

impl Scenario {
    /// Every scenario, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Steady,
        Self::Low,
        Self::Flash,
        Self::Hot,
        Self::Rolling,
        Self::Cold,
        Self::Death,
        Self::Sink,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Low => "low",
            Self::Flash => "flash",
            Self::Hot => "hot",
            Self::Rolling => "rolling",
            Self::Cold => "cold",
            Self::Death => "death",
            Self::Sink => "sink",
        }
    }

    /// Whether the fleet is empty at first.
    pub(super) fn begins_empty(self) -> bool {
        matches!(self, Self::Flash | Self::Hot)
    }

    /// The share of the fleet's capacity that the viewers take.
    pub(super) fn fill(self) -> f64 {
        match self {
            Self::Low => 0.2,
            Self::Flash | Self::Hot => 0.75,
            _ => 0.7,
        }
    }

    /// How long is measured, in seconds.
    pub(super) fn duration_s(self) -> f64 {
        match self {
            Self::Steady | Self::Low => 600.0,
            Self::Flash | Self::Hot => 120.0,
            Self::Rolling => 630.0,
            Self::Cold => 240.0,
            Self::Death => 120.0,
            Self::Sink => 210.0,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no scenario of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scenario is steady, low, flash, hot, rolling, cold, death or sink")]
pub struct UnknownScenario;

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(text: &str) -> Result<Self, UnknownScenario> {
        Self::ALL.into_iter().find(|scenario| scenario.as_str() == text).ok_or(UnknownScenario)
    }
}

/// Who chooses the edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Steering {
    /// Redirectors, by a policy.
    By(Policy),
    /// Somebody who knows what every edge carries and who is on the way to it: what no redirector
    /// can do better.
    Oracle,
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(policy) => policy.fmt(f),
            Self::Oracle => f.write_str("oracle"),
        }
    }
}

/// There is no policy of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{UnknownPolicy}, or oracle")]
pub struct UnknownSteering;

impl FromStr for Steering {
    type Err = UnknownSteering;

    fn from_str(text: &str) -> Result<Self, UnknownSteering> {
        match text {
            "oracle" => Ok(Self::Oracle),
            _ => text.parse().map(Self::By).map_err(|UnknownPolicy| UnknownSteering),
        }
    }
}

/// One simulation.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What happens.
    pub scenario: Scenario,
    /// Who chooses.
    pub steering: Steering,
    /// What all that is random depends on.
    pub seed: u64,
    /// How many edges; their capacities are in the proportion 1 : 4 : 2 : 3, over and over.
    pub edges: usize,
    /// Each redirector's share of the clients. Their sum is 1.
    pub shares: Vec<f64>,
    /// How many viewers fill the fleet.
    pub viewers: u32,
    /// The time between two reports, give or take 10 %.
    pub interval: Duration,
    /// The shortest and the longest delay of a report.
    pub report_delay: (Duration, Duration),
    /// The share of reports lost on the way to each redirector.
    pub report_loss: f64,
    /// How many times as long clients take to reach their edge: at 1, about a second.
    pub landing_scale: f64,
    /// The share of redirected clients that never reach an edge.
    pub no_shows: f64,
    /// Whether edges report a change of state at once.
    pub push: bool,
    /// Whether a client that an edge has failed names it when it asks again.
    pub retries_name_edge: bool,
    /// Whether that counts against the edge.
    pub failure_evidence: bool,
    /// What the redirectors are set to; the policy is [`steering`](Self::steering)'s.
    pub selection: Selection,
}

impl Setup {
    /// A hundred edges, three redirectors, 50,000 viewers.
    #[must_use]
    pub fn new(scenario: Scenario, steering: Steering, seed: u64) -> Self {
        Self {
            scenario,
            steering,
            seed,
            edges: 100,
            shares: equal_shares(3),
            viewers: 50_000,
            interval: Duration::from_millis(2_500),
            report_delay: (Duration::from_millis(20), Duration::from_millis(80)),
            report_loss: 0.01,
            landing_scale: 1.0,
            no_shows: 0.05,
            push: false,
            retries_name_edge: false,
            failure_evidence: false,
            selection: Selection::default(),
        }
    }

    /// With so many redirectors, each as busy as the others.
    #[must_use]
    pub fn redirectors(mut self, count: usize) -> Self {
        self.shares = equal_shares(count);
        self
    }
}

fn equal_shares(count: usize) -> Vec<f64> {
    vec![1.0 / count.max(1) as f64; count.max(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.as_str().parse(), Ok(scenario));
            assert!(UnknownScenario.to_string().contains(scenario.as_str()));
        }
        assert_eq!("oracle".parse(), Ok(Steering::Oracle));
        assert_eq!("fill".parse(), Ok(Steering::By(Policy::Fill)));
        assert_eq!("best".parse::<Steering>(), Err(UnknownSteering));
    }
}
