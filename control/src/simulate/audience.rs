//! Who watches what, for how long, and how they come.

use super::{
    chance::{Chance, Kind},
    queue::{Micros, micros},
    setup::{Scenario, Setup},
};

/// Streams there are.
pub(super) const STREAMS: usize = 200;
/// The median session, in seconds, and its sigma.
const SESSION_S: f64 = 600.0;
const SESSION_SIGMA: f64 = 1.0;
/// The share of redirected clients that never arrive, when capacities are laid out.
const NO_SHOWS_NOMINAL: f64 = 0.05;
/// How long the crowd of a flash takes to come, in seconds.
const FLASH_S: f64 = 30.0;
/// The shortest way from a redirect to the edge, and the median and sigma of what comes on top: in
/// the mean about a second.
const LANDING_MIN_S: f64 = 0.3;
const LANDING_S: f64 = 0.55;
const LANDING_SIGMA: f64 = 0.7;

/// What one viewer is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// The stream.
    pub(super) stream: u16,
    /// What it takes of an edge, in bit/s.
    pub(super) bps: u32,
    /// How long it watches.
    pub(super) session: Micros,
}

/// The fate of one redirected request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// The redirector it goes to.
    pub(super) redirector: usize,
    /// How long until it reaches the edge; `None`: never.
    pub(super) landing: Option<Micros>,
}

/// Everybody there is.
#[derive(Debug)]
pub(super) struct Audience {
    seed: u64,
    /// Up to which part of the unit each stream reaches.
    popularity: Vec<f64>,
    bitrates: Vec<u32>,
    shares: Vec<f64>,
    landing_scale: f64,
    no_shows: f64,
    arrivals_per_s: f64,
    /// How many of the first come at the pace of a flash instead.
    flash: u64,
    flash_per_s: f64,
    standing: u32,
}

impl Audience {
    pub(super) fn of(setup: &Setup) -> Self {
        let streams = if setup.scenario == Scenario::Hot { 1 } else { STREAMS };
        let viewers = f64::from(setup.viewers);
        let begins_empty = setup.scenario.begins_empty();
        let session_mean_s = SESSION_S * (SESSION_SIGMA * SESSION_SIGMA / 2.0).exp();
        Self {
            seed: setup.seed,
            popularity: zipf(streams),
            bitrates: (0..streams).map(|stream| bitrate(setup.seed, stream)).collect(),
            shares: setup.shares.clone(),
            landing_scale: setup.landing_scale,
            no_shows: setup.no_shows,
            arrivals_per_s: viewers / (1.0 - NO_SHOWS_NOMINAL) / session_mean_s,
            flash: if begins_empty { setup.viewers.into() } else { 0 },
            flash_per_s: viewers / FLASH_S,
            standing: if begins_empty { 0 } else { setup.viewers },
        }
    }

    /// How many watch when the simulation begins.
    pub(super) fn standing(&self) -> u32 {
        self.standing
    }

    /// What a viewer takes in the mean, in bit/s.
    pub(super) fn viewer_bps(&self) -> f64 {
        let mut before = 0.0;
        let mut mean = 0.0;
        for (upto, bps) in self.popularity.iter().zip(&self.bitrates) {
            // A fifth of the viewers take half.
            mean += (upto - before) * f64::from(*bps) * 0.9;
            before = *upto;
        }
        mean
    }

    /// How long after the arrival before it the `index`th one comes.
    pub(super) fn gap(&self, index: u64) -> Micros {
        let per_s = if index < self.flash { self.flash_per_s } else { self.arrivals_per_s };
        let mut chance = Chance::of(self.seed, Kind::Arrival, index, 0);
        micros(chance.exponential() / per_s)
    }

    /// Viewer `index`; one who stands at the beginning has watched for a while already.
    pub(super) fn traits(&self, index: usize, is_standing: bool) -> Traits {
        let mut chance = Chance::of(self.seed, Kind::Viewer, index as u64, 0);
        let drawn = chance.unit();
        let stream = self.popularity.partition_point(|upto| *upto <= drawn);
        let stream = stream.min(self.popularity.len() - 1);
        let full = self.bitrates[stream];
        let bps = if chance.unit() < 0.2 { full / 2 } else { full };
        // Whoever is met at some moment has a session drawn in proportion to its length, and is
        // anywhere in it.
        let bias = (SESSION_SIGMA * SESSION_SIGMA).exp();
        let session_s = if is_standing {
            chance.log_normal(SESSION_S * bias, SESSION_SIGMA) * chance.unit()
        } else {
            chance.log_normal(SESSION_S, SESSION_SIGMA)
        };
        Traits { stream: stream as u16, bps, session: micros(session_s) }
    }

    /// What becomes of a viewer's `attempt`th request.
    pub(super) fn attempt(&self, viewer: usize, attempt: u32) -> Attempt {
        let mut chance = Chance::of(self.seed, Kind::Attempt, viewer as u64, attempt.into());
        let mut drawn = chance.unit();
        let mut redirector = 0;
        while redirector + 1 < self.shares.len() && drawn >= self.shares[redirector] {
            drawn -= self.shares[redirector];
            redirector += 1;
        }
        let delay_s = LANDING_MIN_S + chance.log_normal(LANDING_S, LANDING_SIGMA);
        let arrives = chance.unit() >= self.no_shows;
        Attempt { redirector, landing: arrives.then(|| micros(delay_s * self.landing_scale)) }
    }
}

/// Zipf's law with exponent 1, summed up.
fn zipf(streams: usize) -> Vec<f64> {
    let total: f64 = (1..=streams).map(|rank| 1.0 / rank as f64).sum();
    let mut upto = 0.0;
    let step = |rank: usize| {
        upto += 1.0 / rank as f64 / total;
        upto
    };
    (1..=streams).map(step).collect()
}

fn bitrate(seed: u64, stream: usize) -> u32 {
    Chance::of(seed, Kind::Stream, stream as u64, 0).between(2e6, 8e6) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{selection::Policy, simulate::setup::Steering};

    fn audience(scenario: Scenario) -> Audience {
        Audience::of(&Setup::new(scenario, Steering::By(Policy::Fill), 7))
    }

    #[test]
    fn viewers_take_in_the_mean_what_capacities_are_laid_out_for() {
        let audience = audience(Scenario::Steady);
        let all = (0..50_000).map(|index| f64::from(audience.traits(index, false).bps));
        let mean = all.sum::<f64>() / 50_000.0;
        assert!((mean / audience.viewer_bps() - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn landing_takes_a_second_and_some_never_land() {
        let audience = audience(Scenario::Flash);
        let attempts: Vec<_> = (0..50_000).map(|viewer| audience.attempt(viewer, 0)).collect();
        let landed: Vec<_> = attempts.iter().filter_map(|attempt| attempt.landing).collect();
        let mean = landed.iter().sum::<u64>() as f64 / landed.len() as f64;
        assert!((0.95e6..1.1e6).contains(&mean), "{mean}");
        assert!((47_000..48_000).contains(&landed.len()), "{}", landed.len());
        let first = attempts.iter().filter(|attempt| attempt.redirector == 0).count();
        assert!((16_000..17_400).contains(&first), "{first}");
    }

    #[test]
    fn a_flash_takes_half_a_minute_and_the_pace_of_a_standing_audience_follows() {
        let audience = audience(Scenario::Flash);
        let flash: u64 = (0..50_000).map(|index| audience.gap(index)).sum();
        assert!((29_500_000..30_500_000).contains(&flash), "{flash}");
        let after: u64 = (50_000..60_000).map(|index| audience.gap(index)).sum();
        assert!((180_000_000..195_000_000).contains(&after), "{after}");
    }
}
