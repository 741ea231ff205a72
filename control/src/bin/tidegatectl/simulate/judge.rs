//! Holds the policies to the goals.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_control::simulate::{Goals, Limit, Need, Verdict};

use super::{Seeds, runner};
use crate::{
    args::Output,
    failure::Failure,
    show::{say, tell},
};

/// Simulates what the goals are about and says which are met. A goal that is missed fails, unless
/// it needs what redirectors are not told yet.
pub(super) fn judge(quick: bool, seeds: Option<Seeds>, output: Output) -> Result<(), Failure> {
    let mut goals = if quick { Goals::quick() } else { Goals::full() };
    if let Some(Seeds { first, last }) = seeds {
        goals = goals.on_seeds(first, last);
    }
    let began = Instant::now();
    let setups = goals.setups();
    let measured = runner::run_all(&setups, |done| {
        if done % 20 == 0 || done == setups.len() {
            tell(&format!("{done} of {} simulations", setups.len()));
        }
    });
    let verdicts = goals.judge(&measured);
    let rows: Vec<_> = goals.limits.iter().zip(&verdicts).collect();
    say(&match output {
        Output::Table => {
            format!("{}\n\n{}", table(&goals, &rows), sum(&rows, began.elapsed()))
        }
        Output::Json => rows.iter().map(|row| document(&goals, row)).collect::<Value>().to_string(),
    })?;
    let missed = count(&rows, |outcome| outcome == MISSED);
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
        Some(Need::FasterNews) => "missed: decided before the news came",
    }
}

fn count(rows: &[(&Limit, &Verdict)], holds: fn(&str) -> bool) -> usize {
    rows.iter().filter(|(limit, verdict)| holds(outcome(limit, verdict))).count()
}

/// All of it in one line.
fn sum(rows: &[(&Limit, &Verdict)], took: Duration) -> String {
    let met = count(rows, |outcome| outcome == MET);
    let missed = count(rows, |outcome| outcome == MISSED);
    let rest = rows.len() - met - missed;
    format!(
        "{met} of {} limits met, {missed} missed, {rest} out of reach of what is reported, in {} s.",
        rows.len(),
        took.as_secs()
    )
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
            &format!(
                "{} ({})",
                beside(verdict.mean, limit.mean),
                beside(verdict.worst, limit.worst)
            ),
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

/// A figure that is judged unrounded, with as many digits as show on which side of its limit it is.
fn beside(value: f64, limit: f64) -> String {
    let is_over = value > limit;
    let shows = |text: &String| text.parse::<f64>().is_ok_and(|shown| (shown > limit) == is_over);
    let exact = (3..=9).map(|digits| format!("{value:.digits$}")).find(shows);
    Some(figure(value)).filter(shows).or(exact).unwrap_or_else(|| value.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_shows_on_which_side_of_its_limit_it_is() {
        assert_eq!(beside(1.0204, 1.02), "1.0204");
        assert_eq!(beside(1.02, 1.02), "1.020");
        assert_eq!(beside(1.0196, 1.02), "1.020");
        assert_eq!(beside(478.4, 478.0), "478.400");
        assert_eq!(beside(12_107.0, 478.0), "12107");
    }
}
