//! Who comes, what they want to see, and how long they take: the same for every policy, by the seed.

use std::{f64::consts::TAU, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::Plan;

/// No client arrives faster.
const LANDS_AFTER_MIN: Duration = Duration::from_millis(300);
/// What it takes longer is log-normal with this mean in seconds and this sigma.
const FURTHER_MEAN_S: f64 = 1.0;
const FURTHER_SIGMA: f64 = 0.5;
/// So many of those redirected never arrive.
const NO_SHOWS: f64 = 0.05;
/// Streams, of which the n-th has 1/n of the first one's viewers.
const STREAMS: usize = 50;

/// One client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// The stream's number, from 0.
    pub(super) stream: usize,
    /// From its redirect until an edge counts it; `None`: it never comes.
    pub(super) lands_after: Option<Duration>,
}

/// The name of a stream, as `app/stream`.
pub(super) fn name_of(stream: usize) -> String {
    format!("live/cam-{stream}")
}

pub(super) fn arrivals(plan: &Plan) -> Vec<Arrival> {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let shares: Vec<f64> = (1..=STREAMS).map(|rank| 1.0 / rank as f64).collect();
    (0..plan.redirects)
        .map(|_| Arrival {
            stream: drawn_by(&shares, &mut random),
            lands_after: lands_after(&mut random),
        })
        .collect()
}

fn drawn_by(shares: &[f64], random: &mut StdRng) -> usize {
    let mut left = random.random_range(0.0..shares.iter().sum());
    let passed = |share: &f64| {
        left -= share;
        left < 0.0
    };
    shares.iter().position(passed).unwrap_or(0)
}

fn lands_after(random: &mut StdRng) -> Option<Duration> {
    // Both are always drawn, so that one more no-show does not move everybody else's fate.
    let (comes, further_s) = (random.random_range(0.0..1.0) >= NO_SHOWS, log_normal(random));
    comes.then(|| LANDS_AFTER_MIN + Duration::from_secs_f64(further_s))
}

/// By Box and Muller.
fn log_normal(random: &mut StdRng) -> f64 {
    let (a, b): (f64, f64) =
        (random.random_range(f64::EPSILON..1.0), random.random_range(0.0..TAU));
    let normal = (-2.0 * a.ln()).sqrt() * b.cos();
    FURTHER_MEAN_S * (FURTHER_SIGMA * normal - FURTHER_SIGMA.powi(2) / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_crowd_with_the_delays_and_no_shows_it_says() {
        let plan = Plan { redirects: 20_000, seed: 7, ..Plan::default() };
        let crowd = arrivals(&plan);
        let again = arrivals(&plan);
        assert!(crowd.iter().zip(&again).all(|(a, b)| a.lands_after == b.lands_after));
        let landing: Vec<f64> =
            crowd.iter().filter_map(|a| Some(a.lands_after?.as_secs_f64())).collect();
        let mean = landing.iter().sum::<f64>() / landing.len() as f64;
        assert!((mean - 1.3).abs() < 0.02, "{mean}");
        assert!((landing.len() as f64 / 20_000.0 - 0.95).abs() < 0.01, "{}", landing.len());
        let first = crowd.iter().filter(|a| a.stream == 0).count();
        let second = crowd.iter().filter(|a| a.stream == 1).count();
        assert!((first as f64 / second as f64 - 2.0).abs() < 0.2, "{first} and {second}");
    }
}
