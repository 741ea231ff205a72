//! The goals one by one.

use std::time::Duration;

use super::{
    Measures, Scenario, Setup,
    audience::STREAMS,
    goals::{Goals, Limit, Need, Situation},
};
use crate::selection::Policy::{self, Fill, Sticky};

/// Seeds that nothing was tuned on.
const SEEDS: (u64, u64) = (101, 110);
const SEEDS_FEW: (u64, u64) = (101, 103);
const SEEDS_ONE: (u64, u64) = (101, 101);

/// A figure, its name, and whether what perfect knowledge gives is taken off.
type Figure = (&'static str, fn(&Measures) -> f64, bool);

const PEAK: Figure = ("peak, %", |m| m.peak * 100.0, false);
const PEAK_ABOVE: Figure = ("peak, points above perfect", |m| m.peak * 100.0, true);
const OVER_MEAN: Figure = ("peak over mean", |m| m.over_mean, false);
const P999: Figure = ("p99.9 of peak over mean", |m| m.over_mean_p999, false);
const EXCESS: Figure = ("traffic above capacity, %", |m| m.excess * 100.0, false);
const OVERLOAD: Figure = ("overload, edge-seconds", |m| m.overload_s, false);
const DRAINING: Figure = ("redirects to draining edges", |m| m.to_draining as f64, false);
const DRAINING_KNOWN: Figure =
    ("the same, once it was known", |m| m.to_draining_known as f64, false);
const DEAD: Figure = ("redirects to the dead edge", |m| m.to_dead as f64, false);
const SINK: Figure = ("redirects to the sink", |m| m.to_sink as f64, false);
const COLD: Figure = ("s to 75 % of the mean", |m| m.cold_s.unwrap_or(f64::INFINITY), false);
const COLD_OVER: Figure = ("new edge over mean", |m| m.cold_over_mean, false);
const JOIN: Figure = ("joins in 1 s, % of capacity", |m| m.join * 100.0, false);
const PULLS: Figure = ("origin pulls", |m| m.pulls as f64, false);

/// Gathers goals.
#[derive(Default)]
struct List(Goals);

/// A situation's place, to hang limits on.
struct At<'a> {
    list: &'a mut List,
    goal: u8,
    place: usize,
}

impl List {
    fn at(&mut self, goal: u8, situation: Situation) -> At<'_> {
        self.0.situations.push(situation);
        let place = self.0.situations.len() - 1;
        At { list: self, goal, place }
    }
}

impl At<'_> {
    fn goal(&mut self, goal: u8) -> &mut Self {
        self.goal = goal;
        self
    }

    fn limit(&mut self, policy: Policy, figure: Figure, mean: f64, worst: f64) -> &mut Self {
        let (figure, read, above_oracle) = figure;
        self.list.0.limits.push(Limit {
            goal: self.goal,
            situation: self.place,
            policy,
            figure,
            read,
            above_oracle,
            mean,
            worst,
            need: None,
        });
        self
    }

    /// The limit just given needs more than reports.
    fn needs(&mut self, need: Need) -> &mut Self {
        if let Some(limit) = self.list.0.limits.last_mut() {
            limit.need = Some(need);
        }
        self
    }
}

pub(super) fn full() -> Goals {
    let mut list = List::default();
    balance(&mut list, SEEDS);
    crowd(&mut list);
    let eight = Situation {
        setup: Setup::redirectors(of(Scenario::Steady, SEEDS).setup, 8),
        ..named("steady, 8 redirectors", Scenario::Steady, SEEDS)
    };
    list.at(3, eight).limit(Fill, P999, 1.03, 1.035);
    rolling(&mut list, SEEDS);
    list.at(5, of(Scenario::Cold, SEEDS))
        .limit(Fill, COLD, 20.0, 30.0)
        .limit(Fill, COLD_OVER, 1.03, 1.03)
        .limit(Fill, JOIN, 10.0, 10.0);
    list.at(6, ten("death, 10 edges", Scenario::Death))
        .limit(Fill, DEAD, 25.0, 60.0)
        .needs(Need::Evidence);
    list.at(6, naming("death, retries name the edge", Scenario::Death))
        .limit(Fill, DEAD, 25.0, 60.0);
    list.at(6, believed("death, with failure evidence", Scenario::Death))
        .limit(Fill, DEAD, 25.0, 60.0);
    list.at(7, naming("sink, retries name the edge", Scenario::Sink))
        .limit(Fill, SINK, 1_000.0, 1_200.0)
        .needs(Need::Echoes);
    list.at(7, believed("sink, with failure evidence", Scenario::Sink))
        .limit(Fill, SINK, 1_000.0, 1_200.0)
        .needs(Need::Echoes);
    list.at(7, ten("sink, 10 edges", Scenario::Sink))
        .limit(Fill, SINK, 1_000.0, 1_200.0)
        .needs(Need::Echoes)
        .limit(Sticky, SINK, 1_000.0, 1_200.0)
        .needs(Need::Echoes);
    list.at(8, of(Scenario::Low, SEEDS)).limit(Sticky, PULLS, 1.1 * hosts(100), 1.2 * hosts(100));
    adversity(&mut list);
    list.0.limits.sort_by_key(|limit| limit.goal);
    list.0
}

pub(super) fn quick() -> Goals {
    let mut list = List::default();
    list.at(1, of(Scenario::Flash, (101, 102)))
        .limit(Fill, PEAK_ABOVE, 1.5, 2.0)
        .limit(Fill, OVER_MEAN, 1.14, 1.16)
        .limit(Fill, EXCESS, 0.0, 0.0);
    list.at(3, of(Scenario::Steady, SEEDS_ONE))
        .limit(Fill, P999, 1.03, 1.03)
        .goal(8)
        .limit(Sticky, PULLS, 1.8 * hosts(100), 1.8 * hosts(100))
        .limit(Sticky, P999, 1.07, 1.07);
    let pushed = named("rolling, push", Scenario::Rolling, SEEDS_ONE);
    list.at(4, Situation { setup: Setup { push: true, ..pushed.setup }, ..pushed })
        .limit(Fill, PEAK_ABOVE, 2.0, 2.0)
        .limit(Fill, OVERLOAD, 0.0, 0.0)
        .limit(Fill, DRAINING, 5.0, 5.0);
    list.0
}

fn balance(list: &mut List, seeds: (u64, u64)) {
    list.at(1, of(Scenario::Flash, seeds))
        .limit(Fill, PEAK_ABOVE, 1.0, 1.5)
        .limit(Fill, OVER_MEAN, 1.10, 1.13)
        .limit(Fill, EXCESS, 0.0, 0.0)
        .goal(8)
        .limit(Sticky, PULLS, 2.0 * hosts(100), 2.1 * hosts(100));
    list.at(3, of(Scenario::Steady, seeds))
        .limit(Fill, P999, 1.02, 1.025)
        .goal(8)
        .limit(Sticky, PULLS, 1.6 * hosts(100), 1.7 * hosts(100))
        .limit(Sticky, P999, 1.05, 1.06);
}

fn crowd(list: &mut List) {
    let million = named("flash, 1 M, 1,000 edges", Scenario::Flash, SEEDS_ONE);
    let setup = Setup { edges: 1_000, viewers: 1_000_000, ..million.setup };
    list.at(2, Situation { setup, with_report: false, ..million })
        .limit(Fill, PEAK, 77.0, 77.0)
        .limit(Fill, OVER_MEAN, 1.10, 1.10);
}

fn rolling(list: &mut List, seeds: (u64, u64)) {
    list.at(4, of(Scenario::Rolling, seeds))
        .limit(Fill, PEAK_ABOVE, 1.0, 1.5)
        .limit(Fill, OVERLOAD, 0.0, 0.0);
    let pushed = named("rolling, push", Scenario::Rolling, seeds);
    list.at(4, Situation { setup: Setup { push: true, ..pushed.setup }, ..pushed })
        .limit(Fill, DRAINING, 1.0, 5.0)
        // Fifty joins a second, a tenth of the edges, and 50 ms on the way, ten times over, make 2.5.
        .needs(Need::FasterNews)
        .limit(Fill, DRAINING_KNOWN, 0.0, 0.0);
}

/// Goals 1, 3 and 4 where less is known.
fn adversity(list: &mut List) {
    type Change = (&'static str, fn(Setup) -> Setup);
    const CHANGES: [Change; 8] = [
        ("30 % of reports lost", |setup| Setup { report_loss: 0.3, ..setup }),
        ("reports every 5 s", |setup| Setup { interval: Duration::from_secs(5), ..setup }),
        ("landing delay x 3", |setup| Setup { landing_scale: 3.0, ..setup }),
        ("shares 80/15/5", |setup| Setup { shares: vec![0.8, 0.15, 0.05], ..setup }),
        ("30 % no-shows", |setup| Setup { no_shows: 0.3, ..setup }),
        ("1 redirector", |setup| setup.redirectors(1)),
        ("2 redirectors", |setup| setup.redirectors(2)),
        ("8 redirectors", |setup| setup.redirectors(8)),
    ];
    for (name, change) in CHANGES {
        let mut at = |scenario: Scenario, figures: &[(Figure, f64, f64)]| {
            let situation = named(&format!("{scenario}, {name}"), scenario, SEEDS_FEW);
            let setup = change(situation.setup);
            let mut at = list.at(9, Situation { setup, with_report: false, ..situation });
            for (figure, mean, worst) in figures {
                at.limit(Fill, *figure, *mean, *worst);
                // Only echoes tell how long landing takes; a guess is a second.
                if setup_is_slow(&at) {
                    at.needs(Need::Echoes);
                }
            }
        };
        at(Scenario::Flash, &[(OVER_MEAN, 1.13, 1.16), (PEAK_ABOVE, 1.0, 1.5)]);
        at(Scenario::Steady, &[(P999, 1.03, 1.035)]);
        at(Scenario::Rolling, &[(PEAK_ABOVE, 2.0, 2.5), (OVERLOAD, 0.0, 0.0)]);
    }
}

fn setup_is_slow(at: &At<'_>) -> bool {
    at.list.0.situations.get(at.place).is_some_and(|one| one.setup.landing_scale > 1.0)
}

fn of(scenario: Scenario, seeds: (u64, u64)) -> Situation {
    named(scenario.as_str(), scenario, seeds)
}

fn named(name: &str, scenario: Scenario, seeds: (u64, u64)) -> Situation {
    Situation::new(name, scenario, seeds)
}

fn ten(name: &str, scenario: Scenario) -> Situation {
    let situation = named(name, scenario, SEEDS);
    Situation { setup: Setup { edges: 10, ..situation.setup }, ..situation }
}

/// Ten edges, and clients that say which one has failed them.
fn naming(name: &str, scenario: Scenario) -> Situation {
    let situation = ten(name, scenario);
    Situation { setup: Setup { retries_name_edge: true, ..situation.setup }, ..situation }
}

/// The same, where their word counts.
fn believed(name: &str, scenario: Scenario) -> Situation {
    let situation = naming(name, scenario);
    Situation { setup: Setup { failure_evidence: true, ..situation.setup }, ..situation }
}

/// The fewest pairs of an edge and a stream that a perfectly level fleet can do with: fill edges
/// one after the other.
fn hosts(edges: usize) -> f64 {
    (STREAMS + edges - 1) as f64
}
