//! What came out, for people, for programs, for tables.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tidegate_control::simulate::Measures;

use super::Outcome;
use crate::failure::Failure;

/// One figure of a simulation: its name, and how it is read off.
type Figure = (&'static str, fn(&Measures) -> Option<f64>);

const FIGURES: [Figure; 14] = [
    ("peak_percent", |m| Some(m.peak * 100.0)),
    ("over_mean", |m| Some(m.over_mean)),
    ("over_mean_p999", |m| Some(m.over_mean_p999)),
    ("excess_percent", |m| Some(m.excess * 100.0)),
    ("overload_s", |m| Some(m.overload_s)),
    ("to_draining", |m| Some(m.to_draining as f64)),
    ("to_dead", |m| Some(m.to_dead as f64)),
    ("to_sink", |m| Some(m.to_sink as f64)),
    ("cold_s", |m| m.cold_s),
    ("cold_over_mean", |m| Some(m.cold_over_mean)),
    ("join_percent_per_s", |m| Some(m.join * 100.0)),
    ("pulls", |m| Some(m.pulls as f64)),
    ("redirects", |m| Some(m.redirects as f64)),
    ("refused", |m| Some(m.refused as f64)),
];

const HEAD: &str = "\
SCENARIO  POLICY   PEAK%        XMEAN        P99.9        EXCESS%  OVERLOAD-S  DRAINING  DEAD    SINK    COLD-S  JOIN%/S  PULLS";

/// A line for each scenario and policy.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!("Means over the seeds, in brackets the worst.\n\n{HEAD}");
    for outcome in outcomes {
        let mean = |read: fn(&Measures) -> f64| mean(outcome, read);
        let both = |read: fn(&Measures) -> f64, digits: usize| {
            format!("{:.digits$} ({:.digits$})", mean(read), worst(outcome, read))
        };
        let cold = match outcome.runs.iter().filter_map(|(_, m)| m.cold_s).collect::<Vec<_>>() {
            times if times.is_empty() => "-".to_owned(),
            times => format!("{:.1}", times.iter().sum::<f64>() / times.len() as f64),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{:<10}{:<9}{:<13}{:<13}{:<15}{:<9.1}{:<10.0}{:<10.1}{:<8.0}{:<8.0}{:<8}{:<9.1}{:.0}",
            outcome.scenario.as_str(),
            outcome.steering.to_string(),
            both(|m| m.peak * 100.0, 1),
            both(|m| m.over_mean, 2),
            both(|m| m.over_mean_p999, 3),
            mean(|m| m.excess * 100.0),
            mean(|m| m.overload_s),
            mean(|m| m.to_draining as f64),
            mean(|m| m.to_dead as f64),
            mean(|m| m.to_sink as f64),
            cold,
            mean(|m| m.join * 100.0),
            mean(|m| m.pulls as f64),
        );
    }
    text
}

fn mean(outcome: &Outcome, read: fn(&Measures) -> f64) -> f64 {
    let sum: f64 = outcome.runs.iter().map(|(_, measures)| read(measures)).sum();
    sum / outcome.runs.len().max(1) as f64
}

fn worst(outcome: &Outcome, read: fn(&Measures) -> f64) -> f64 {
    outcome.runs.iter().map(|(_, measures)| read(measures)).fold(f64::MIN, f64::max)
}

/// A line for each simulation.
pub(super) fn csv(outcomes: &[Outcome]) -> String {
    let names: Vec<_> = FIGURES.iter().map(|(name, _)| *name).collect();
    let mut lines = vec![format!("scenario,policy,seed,{}", names.join(","))];
    for outcome in outcomes {
        for (seed, measures) in &outcome.runs {
            let figure =
                |(_, read): &Figure| read(measures).map_or(String::new(), |f| format!("{f:.4}"));
            let figures: Vec<_> = FIGURES.iter().map(figure).collect();
            let figures = figures.join(",");
            lines.push(format!("{},{},{seed},{figures}", outcome.scenario, outcome.steering));
        }
    }
    lines.join("\n")
}

/// An object for each simulation.
pub(super) fn json(outcomes: &[Outcome]) -> Result<String, Failure> {
    let one = |outcome: &Outcome, seed: u64, measures: &Measures| {
        let mut document = json!({
            "scenario": outcome.scenario.as_str(),
            "policy": outcome.steering.to_string(),
            "seed": seed,
        });
        for (name, read) in FIGURES {
            document[name] = json!(read(measures));
        }
        document
    };
    let all = outcomes.iter().flat_map(|outcome| {
        outcome.runs.iter().map(move |(seed, measures)| one(outcome, *seed, measures))
    });
    serde_json::to_string_pretty(&all.collect::<Value>())
        .map_err(|error| Failure::Failed(format!("cannot write JSON: {error}")))
}
