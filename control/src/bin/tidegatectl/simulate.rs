//! Tries policies on a fleet that is not there: offline, by the code that redirectors run.
//!
//! [`runner`] spreads simulations over the cores, [`report`] shows what came out, [`plot`] draws it,
//! [`judge`] holds policies to the goals.

mod judge;
mod plot;
mod report;
mod runner;

use std::{fs, path::PathBuf, time::Duration};

use clap::Args as Group;
use tidegate_control::{
    selection::Policy,
    simulate::{Measures, Scenario, Setup, Steering},
};

use crate::{
    args::Output,
    failure::Failure,
    show::{say, tell},
};

/// What is simulated.
#[derive(Debug, Clone, Group)]
pub(crate) struct Simulate {
    /// What happens: steady, low, flash, hot, rolling, cold, death or sink; may be repeated
    /// [default: steady, flash and rolling].
    #[arg(long, value_name = "NAME")]
    scenario: Vec<Scenario>,
    /// Who chooses: fill, sticky, least, wowza, report, p2c, random, or oracle, who knows
    /// everything; may be repeated [default: fill, sticky, least, report and oracle].
    #[arg(long, value_name = "NAME")]
    policy: Vec<Steering>,
    /// How many edges.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    edges: u32,
    /// How many redirectors share the clients.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    redirectors: u32,
    /// How many viewers fill the fleet.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=2_000_000))]
    viewers: u32,
    /// The seeds, each a simulation of its own: one, or the first and the last
    /// [default: 101-103; the goals have up to ten, from 101].
    #[arg(long, value_name = "N|N-N", value_parser = seeds)]
    seeds: Option<Seeds>,
    /// The share of reports lost on the way.
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    report_loss: f64,
    /// Seconds between two reports.
    #[arg(long, default_value_t = 2.5, value_parser = seconds)]
    interval: f64,
    /// How many times as long clients take to reach their edge; at 1 it is about a second.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    landing_scale: f64,
    /// The share of clients that never reach theirs.
    #[arg(long, default_value_t = 0.05, value_parser = share)]
    no_shows: f64,
    /// Edges report a change of state at once.
    #[arg(long)]
    push: bool,
    /// Clients name the edge that has failed them when they ask again.
    #[arg(long)]
    name_failed: bool,
    /// They do, and their word counts against the edge.
    #[arg(long)]
    failure_evidence: bool,
    /// Shows a line for each simulation, its figures joined by commas.
    #[arg(long, conflicts_with = "goals")]
    csv: bool,
    /// Draws the load of the most loaded edge over time into this file (SVG).
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Holds the policies to the project's goals instead; exit code 1 where one is missed.
    #[arg(long, conflicts_with_all = ["scenario", "policy", "plot"])]
    goals: bool,
    /// A few seeds and looser limits, in seconds.
    #[arg(long, requires = "goals")]
    quick: bool,
}

/// Seeds that nothing was tuned on.
const SEEDS: Seeds = Seeds { first: 101, last: 103 };

/// Seeds from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seeds {
    first: u64,
    last: u64,
}

/// All simulations of one scenario under one policy.
struct Outcome {
    scenario: Scenario,
    steering: Steering,
    runs: Vec<(u64, Measures)>,
}

/// Simulates and shows what came out.
pub(crate) fn simulate(asked: &Simulate, output: Output) -> Result<(), Failure> {
    if asked.goals {
        return judge::judge(asked.quick, asked.seeds, output);
    }
    let outcomes = outcomes(asked);
    say(&match output {
        _ if asked.csv => report::csv(&outcomes),
        Output::Table => report::table(&outcomes),
        Output::Json => report::json(&outcomes)?,
    })?;
    let Some(file) = &asked.plot else { return Ok(()) };
    let drawn = plot::drawn(&outcomes);
    let failed = |error| Failure::Failed(format!("cannot write {}: {error}", file.display()));
    fs::write(file, drawn).map_err(failed)
}

fn outcomes(asked: &Simulate) -> Vec<Outcome> {
    let seeds = asked.seeds.unwrap_or(SEEDS);
    let scenarios = or(&asked.scenario, &[Scenario::Steady, Scenario::Flash, Scenario::Rolling]);
    let by = Steering::By;
    let known = [by(Policy::Fill), by(Policy::Sticky), by(Policy::Least), by(Policy::Report)];
    let policies = or(&asked.policy, &[known.as_slice(), &[Steering::Oracle]].concat());
    let mut setups = Vec::new();
    for scenario in &scenarios {
        for steering in &policies {
            setups.extend(seeds.all().map(|seed| setup(asked, *scenario, *steering, seed)));
        }
    }
    let mut runs = runner::run_all(&setups, |done| {
        if done % 10 == 0 || done == setups.len() {
            tell(&format!("{done} of {} simulations", setups.len()));
        }
    });
    let per_outcome = seeds.all().count();
    let mut outcomes = Vec::new();
    for chunk in setups.chunks(per_outcome) {
        let measured: Vec<_> = runs.drain(..chunk.len()).collect();
        let seeds = chunk.iter().map(|setup| setup.seed);
        let Some(first) = chunk.first() else { continue };
        outcomes.push(Outcome {
            scenario: first.scenario,
            steering: first.steering,
            runs: seeds.zip(measured).collect(),
        });
    }
    outcomes
}

fn setup(asked: &Simulate, scenario: Scenario, steering: Steering, seed: u64) -> Setup {
    Setup {
        edges: asked.edges as usize,
        viewers: asked.viewers,
        interval: Duration::from_secs_f64(asked.interval),
        report_loss: asked.report_loss,
        landing_scale: asked.landing_scale,
        no_shows: asked.no_shows,
        push: asked.push,
        retries_name_edge: asked.name_failed || asked.failure_evidence,
        failure_evidence: asked.failure_evidence,
        ..Setup::new(scenario, steering, seed).redirectors(asked.redirectors as usize)
    }
}

fn or<T: Clone>(asked: &[T], usual: &[T]) -> Vec<T> {
    if asked.is_empty() { usual.to_vec() } else { asked.to_vec() }
}

impl Seeds {
    fn all(self) -> impl Iterator<Item = u64> {
        self.first..=self.last
    }
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u64>().ok();
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last && last - first < 1_000 => {
            Ok(Seeds { first, last })
        }
        _ => Err("seeds are one number, or two joined by a hyphen; at most 1,000".into()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    read.ok_or_else(|| "a share is at least 0 and below 1".into())
}

fn seconds(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|seconds| (0.1..=60.0).contains(seconds));
    read.ok_or_else(|| "between 0.1 and 60".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_one_or_a_range() {
        assert_eq!(seeds("7"), Ok(Seeds { first: 7, last: 7 }));
        assert_eq!(seeds("101-110"), Ok(Seeds { first: 101, last: 110 }));
        for text in ["", "-", "3-1", "a", "1-5000", "1-2-3"] {
            assert!(seeds(text).is_err(), "{text:?}");
        }
    }
}
