//! Holds the policies to the goals.

use serde_json::{Value, json};
use tidegate_control::simulate::{Goals, Limit, Need, Verdict};

use super::runner;
use crate::{
    args::Output,
    failure::Failure,
    show::{say, tell},
};

/// Simulates what the goals are about and says which are met. A goal that is missed fails, unless
/// it needs what redirectors are not told yet.
pub(super) fn judge(quick: bool, output: Output) -> Result<(), Failure> {
    let goals = if quick { Goals::quick() } else { Goals::full() };
    let setups = goals.setups();
    let measured = runner::run_all(&setups, |done| {
        if done % 20 == 0 || done == setups.len() {
            tell(&format!("{done} of {} simulations", setups.len()));
        }
    });
    let verdicts = goals.judge(&measured);
    let rows: Vec<_> = goals.limits.iter().zip(&verdicts).collect();
    say(&match output {
        Output::Table => table(&goals, &rows),
        Output::Json => rows.iter().map(|row| document(&goals, row)).collect::<Value>().to_string(),
    })?;
    let missed = rows.iter().filter(|(limit, verdict)| outcome(limit, verdict) == MISSED).count();
    if missed > 0 {
        return Err(Failure::Failed(format!("{missed} of {} limits are missed", rows.len())));
    }
    Ok(())
}

const MET: &str = "met";
const MISSED: &str = "MISSED";

fn outcome(limit: &Limit, verdict: &Verdict) -> &'static str {
    match limit.need {
        _ if verdict.is_met => MET,
        None => MISSED,
        Some(Need::Evidence) => "needs evidence",
        Some(Need::Echoes) => "needs echoes",
    }
}

fn table(goals: &Goals, rows: &[(&Limit, &Verdict)]) -> String {
    let head = line(&[
        "GOAL",
        "SITUATION",
        "POLICY",
        "FIGURE",
        "LIMIT",
        "LAST REPORT",
        "PERFECT",
        "MEASURED",
        "",
    ]);
    let lines = rows.iter().map(|(limit, verdict)| {
        line(&[
            &limit.goal.to_string(),
            goals.situation(limit),
            limit.policy.as_str(),
            limit.figure,
            &format!("{} ({})", figure(limit.mean), figure(limit.worst)),
            &verdict.report.map_or("-".into(), figure),
            &figure(verdict.oracle),
            &format!("{} ({})", figure(verdict.mean), figure(verdict.worst)),
            outcome(limit, verdict),
        ])
    });
    let about = "Means over the seeds, in brackets the worst.\n";
    std::iter::once(about.to_owned()).chain([head]).chain(lines).collect::<Vec<_>>().join("\n")
}

fn line(cells: &[&str; 9]) -> String {
    const WIDTHS: [usize; 9] = [6, 30, 8, 28, 18, 13, 9, 20, 0];
    let padded = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}"));
    padded.collect::<String>().trim_end().to_owned()
}

/// Three decimals where they tell something.
fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 3.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn document(goals: &Goals, (limit, verdict): &(&Limit, &Verdict)) -> Value {
    json!({
        "goal": limit.goal,
        "situation": goals.situation(limit),
        "policy": limit.policy.as_str(),
        "figure": limit.figure,
        "limit_mean": limit.mean,
        "limit_worst": limit.worst,
        "last_report": verdict.report,
        "perfect": verdict.oracle,
        "mean": verdict.mean,
        "worst": verdict.worst,
        "outcome": outcome(limit, verdict),
    })
}
