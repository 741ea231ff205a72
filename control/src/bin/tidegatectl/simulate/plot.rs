//! Draws the most loaded edge over time, one line a policy, as SVG written by hand.

use std::fmt::Write as _;

use tidegate_control::simulate::Sample;

use super::Outcome;

const WIDTH: f64 = 760.0;
/// One scenario's chart, and what its axes leave of it.
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 110.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 44.0;
/// More points than this are thinned, keeping the highest of each part.
const POINTS_MAX: usize = 300;
/// Loads above this leave the chart: nobody needs to tell 500 % from 700 %.
const LOAD_MAX: f64 = 1.5;

/// Colours that show on white and on black and that the colour-blind can tell apart (Okabe and Ito,
/// <https://jfly.uni-koeln.de/color/>).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"];

const STYLE: &str = "<style>\
text{font:13px system-ui,sans-serif;fill:#222}.t{font-weight:600}.g{stroke:#8886;stroke-width:1}\
.b{fill:#fff}.l{fill:none;stroke-width:1.8;stroke-linejoin:round}.f{stroke:#c00;stroke-dasharray:5 4}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.b{fill:#16181c}}</style>";

/// A chart for each scenario, one below the other, of the first seed.
pub(super) fn drawn(outcomes: &[Outcome]) -> String {
    let mut scenarios: Vec<_> = outcomes.iter().map(|outcome| outcome.scenario).collect();
    scenarios.dedup();
    let height = HEIGHT * scenarios.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Load of the most loaded edge over time\">{STYLE}\
         <rect class=\"b\" width=\"{WIDTH}\" height=\"{height}\"/>"
    );
    for (at, scenario) in scenarios.iter().enumerate() {
        let of_it: Vec<_> = outcomes.iter().filter(|one| one.scenario == *scenario).collect();
        // Writing to a string cannot fail.
        let _ = write!(svg, "<g transform=\"translate(0 {})\">", at as f64 * HEIGHT);
        svg.push_str(&chart(scenario.as_str(), &of_it));
        svg.push_str("</g>");
    }
    svg.push_str("</svg>\n");
    svg
}

/// What a chart spans.
struct Frame {
    seconds: f64,
    load: f64,
}

impl Frame {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + seconds / self.seconds * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, load: f64) -> f64 {
        HEIGHT - BOTTOM - (load / self.load).min(1.0) * (HEIGHT - TOP - BOTTOM)
    }
}

fn chart(title: &str, outcomes: &[&Outcome]) -> String {
    let lines: Vec<_> = outcomes.iter().map(|outcome| (outcome, first_samples(outcome))).collect();
    let all = || lines.iter().flat_map(|(_, samples)| samples.iter());
    let seconds = all().map(|sample| sample.at_s).fold(1.0, f64::max);
    let highest = all().map(|sample| sample.peak).fold(0.5, f64::max);
    let frame = Frame { seconds, load: (highest * 1.05).min(LOAD_MAX) };
    let mut svg = format!(
        "<text class=\"t\" x=\"{LEFT}\" y=\"24\">{title}: load of the most loaded edge</text>{}",
        axes(&frame)
    );
    for (at, (outcome, samples)) in lines.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let points =
            thinned(samples).map(|s| format!("{:.1},{:.1}", frame.x(s.at_s), frame.y(s.peak)));
        let points = points.collect::<Vec<_>>().join(" ");
        let (x, y) = (WIDTH - RIGHT + 12.0, TOP + 12.0 + 20.0 * at as f64);
        // Writing to a string cannot fail.
        let _ = write!(
            svg,
            "<polyline class=\"l\" stroke=\"{colour}\" points=\"{points}\"/>\
             <line x1=\"{x}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"3\"/>\
             <text x=\"{}\" y=\"{}\">{}</text>",
            x + 16.0,
            x + 22.0,
            y + 4.0,
            outcome.steering
        );
    }
    svg
}

fn axes(frame: &Frame) -> String {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut svg = String::new();
    for percent in (0..=150).step_by(25) {
        let load = f64::from(percent) / 100.0;
        if load > frame.load {
            break;
        }
        let y = frame.y(load);
        let class = if percent == 100 { "g f" } else { "g" };
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{percent} %</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    let step = if frame.seconds > 120.0 { 60.0 } else { 10.0 };
    let mut at_s = 0.0;
    while at_s <= frame.seconds {
        let x = frame.x(at_s);
        let y = bottom + 20.0;
        let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{at_s} s</text>");
        at_s += step;
    }
    svg
}

fn first_samples(outcome: &Outcome) -> &[Sample] {
    outcome.runs.first().map_or(&[], |(_, measures)| measures.samples.as_slice())
}

fn thinned(samples: &[Sample]) -> impl Iterator<Item = &Sample> {
    let part = samples.len().div_ceil(POINTS_MAX).max(1);
    samples.chunks(part).filter_map(|part| part.iter().max_by(|a, b| a.peak.total_cmp(&b.peak)))
}

#[cfg(test)]
mod tests {
    use tidegate_control::simulate::{Measures, Scenario, Steering};

    use super::*;

    fn outcome(scenario: Scenario, peak: f64) -> Outcome {
        let samples = (0..1_000).map(|at| Sample { at_s: at as f64 / 10.0, mean: 0.5, peak });
        let measures = Measures { samples: samples.collect(), ..Measures::default() };
        Outcome { scenario, steering: Steering::Oracle, runs: vec![(1, measures)] }
    }

    #[test]
    fn every_policy_has_a_line_that_stays_on_the_chart() {
        let svg = drawn(&[
            outcome(Scenario::Steady, 0.7),
            outcome(Scenario::Steady, 9.0),
            outcome(Scenario::Flash, 0.8),
        ]);
        assert_eq!(svg.matches("<polyline").count(), 3);
        assert_eq!(svg.matches("<g ").count(), 2);
        let points = svg.split("points=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for point in points.flat_map(str::split_whitespace) {
            let y: f64 = point.split(',').nth(1).and_then(|y| y.parse().ok()).expect("a number");
            assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{y}");
        }
    }
}
