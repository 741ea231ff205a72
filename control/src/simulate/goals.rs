//! The figures that policies are held to.

use super::{Measures, Scenario, Setup, Steering, list};
use crate::selection::Policy;

/// What a policy is going to need before it can meet a limit, beyond what edges report of their
/// load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Clients that say which edge has failed them.
    Evidence,
    /// Edges that echo which redirects have arrived.
    Echoes,
    /// News that travel faster than the network: what is over the limit was decided before they
    /// could arrive.
    FasterNews,
}

/// Something that happens, over some seeds.
#[derive(Debug, Clone)]
pub struct Situation {
    /// What it is called.
    pub name: String,
    /// What happens; seed and steering are put in.
    pub(super) setup: Setup,
    /// The first and the last seed.
    pub(super) seeds: (u64, u64),
    /// Whether the rule of the last report is shown too.
    pub(super) with_report: bool,
}

/// One figure that must not be exceeded.
#[derive(Debug, Clone)]
pub struct Limit {
    /// The goal it belongs to.
    pub goal: u8,
    /// The place of its situation.
    pub(super) situation: usize,
    /// The policy.
    pub policy: Policy,
    /// What is measured.
    pub figure: &'static str,
    pub(super) read: fn(&Measures) -> f64,
    /// Whether what perfect knowledge achieves is taken off.
    pub(super) above_oracle: bool,
    /// The most that the mean over the seeds may be.
    pub mean: f64,
    /// The most that the worst seed may be.
    pub worst: f64,
    /// What it takes to meet it.
    pub need: Option<Need>,
}

/// How a limit was kept. Figures are means over the seeds, those with `worst` the highest.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The policy's mean.
    pub mean: f64,
    /// And its worst.
    pub worst: f64,
    /// What perfect knowledge gives.
    pub oracle: f64,
    /// What going by the last report gives, where that was simulated.
    pub report: Option<f64>,
    /// Whether the limit is kept.
    pub is_met: bool,
}

/// All limits and the situations they are about.
#[derive(Debug, Clone, Default)]
pub struct Goals {
    /// What happens.
    pub situations: Vec<Situation>,
    /// What must not be exceeded then.
    pub limits: Vec<Limit>,
}

impl Goals {
    /// The project's goals. Minutes.
    #[must_use]
    pub fn full() -> Self {
        list::full()
    }

    /// A few of them, with looser limits, for every change of the code. Seconds.
    #[must_use]
    pub fn quick() -> Self {
        list::quick()
    }

    /// The same on other seeds: each situation has as many as before, but for what the range has
    /// less.
    #[must_use]
    pub fn on_seeds(mut self, first: u64, last: u64) -> Self {
        for Situation { seeds, .. } in &mut self.situations {
            *seeds = (first, last.min(first + (seeds.1 - seeds.0)));
        }
        self
    }

    /// Every simulation that [`judge`](Self::judge) needs, in its order.
    #[must_use]
    pub fn setups(&self) -> Vec<Setup> {
        let mut setups = Vec::new();
        for (place, situation) in self.situations.iter().enumerate() {
            for steering in self.steerings(place) {
                let one = |seed| Setup { seed, steering, ..situation.setup.clone() };
                setups.extend((situation.seeds.0..=situation.seeds.1).map(one));
            }
        }
        setups
    }

    /// What the simulations of [`setups`](Self::setups) say about each limit.
    #[must_use]
    pub fn judge(&self, measured: &[Measures]) -> Vec<Verdict> {
        self.limits.iter().map(|limit| self.judge_one(limit, measured)).collect()
    }

    /// The situation a limit is about.
    #[must_use]
    pub fn situation(&self, limit: &Limit) -> &str {
        self.situations.get(limit.situation).map_or("", |situation| &situation.name)
    }

    fn judge_one(&self, limit: &Limit, measured: &[Measures]) -> Verdict {
        let figures = |steering| -> Vec<f64> {
            let runs = self.runs_of(limit.situation, steering, measured);
            runs.iter().map(limit.read).collect()
        };
        let oracle = figures(Steering::Oracle);
        let mut own = figures(Steering::By(limit.policy));
        if limit.above_oracle {
            own.iter_mut().zip(&oracle).for_each(|(own, oracle)| *own -= oracle);
        }
        let report = figures(Steering::By(Policy::Report));
        let worst = own.iter().copied().fold(f64::MIN, f64::max);
        let mean = mean_of(&own);
        Verdict {
            mean,
            worst,
            oracle: mean_of(&oracle),
            report: (!report.is_empty()).then(|| mean_of(&report)),
            is_met: mean <= limit.mean && worst <= limit.worst,
        }
    }

    fn steerings(&self, place: usize) -> Vec<Steering> {
        let mut steerings = vec![Steering::Oracle];
        if self.situations.get(place).is_some_and(|situation| situation.with_report) {
            steerings.push(Steering::By(Policy::Report));
        }
        for limit in self.limits.iter().filter(|limit| limit.situation == place) {
            let by = Steering::By(limit.policy);
            if !steerings.contains(&by) {
                steerings.push(by);
            }
        }
        steerings
    }

    fn runs_of<'a>(
        &self,
        wanted: usize,
        steering: Steering,
        measured: &'a [Measures],
    ) -> &'a [Measures] {
        let mut at = 0;
        for (place, situation) in self.situations.iter().enumerate() {
            let seeds = (situation.seeds.1 - situation.seeds.0 + 1) as usize;
            for one in self.steerings(place) {
                if place == wanted && one == steering {
                    return measured.get(at..at + seeds).unwrap_or_default();
                }
                at += seeds;
            }
        }
        &[]
    }
}

fn mean_of(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len().max(1) as f64
}

impl Situation {
    pub(super) fn new(name: &str, scenario: Scenario, seeds: (u64, u64)) -> Self {
        let setup = Setup::new(scenario, Steering::Oracle, 0);
        Self { name: name.into(), setup, seeds, with_report: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goals() -> Goals {
        let situation = |name: &str| Situation::new(name, Scenario::Flash, (1, 2));
        let limit = |situation, policy, above_oracle| Limit {
            goal: 1,
            situation,
            policy,
            figure: "peak",
            read: |measures| measures.peak,
            above_oracle,
            mean: 2.0,
            worst: 3.0,
            need: None,
        };
        Goals {
            situations: vec![situation("a"), situation("b")],
            limits: vec![limit(0, Policy::Fill, true), limit(1, Policy::Least, false)],
        }
    }

    #[test]
    fn each_limit_is_judged_by_its_own_simulations() {
        let goals = goals();
        let setups = goals.setups();
        let measured = setups.iter().map(|setup| Measures {
            peak: match setup.steering {
                Steering::Oracle => 1.0,
                Steering::By(Policy::Fill) => 2.0 + setup.seed as f64,
                Steering::By(Policy::Least) => 2.0 * setup.seed as f64,
                Steering::By(_) => 9.0,
            },
            ..Measures::default()
        });
        let verdicts = goals.judge(&measured.collect::<Vec<_>>());
        let [above, absolute] = verdicts.as_slice() else { panic!("two limits") };
        assert_eq!((above.mean, above.worst, above.is_met), (2.5, 3.0, false));
        assert_eq!((above.oracle, above.report), (1.0, Some(9.0)));
        assert_eq!((absolute.mean, absolute.worst, absolute.is_met), (3.0, 4.0, false));
    }

    #[test]
    fn every_limit_has_a_situation() {
        for goals in [Goals::full(), Goals::quick()] {
            assert!(goals.limits.iter().all(|limit| !goals.situation(limit).is_empty()));
        }
    }
}
