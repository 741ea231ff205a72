//! How it went.

use super::{edge::Edge, queue::Micros};

/// How often the fleet is looked at.
pub(super) const SAMPLE_EVERY: Micros = 100_000;
/// The same in seconds.
const SAMPLE_S: f64 = 0.1;
/// Samples of a second, for what joins an edge within one.
pub(super) const SAMPLES_OF_A_SECOND: usize = 10;
/// Below this mean load the peak is not compared with it: one viewer would be many times the mean.
const MEAN_MIN: f64 = 0.25;

/// The fleet at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When, in seconds since measuring began.
    pub at_s: f64,
    /// The fleet's traffic by the capacity of the edges that are there.
    pub mean: f64,
    /// The most loaded edge's traffic by its capacity.
    pub peak: f64,
}

/// What a simulation shows. Loads are shares of capacity.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measures {
    /// The most any edge carried.
    pub peak: f64,
    /// The most the peak was above the mean, as a factor, while the mean was at least 25 %.
    pub over_mean: f64,
    /// The factor that peak over mean exceeded during a thousandth of the time.
    pub over_mean_p999: f64,
    /// The share of all traffic that was above its edge's capacity.
    pub excess: f64,
    /// Seconds of edges above their capacity, summed up.
    pub overload_s: f64,
    /// Redirects to edges that had begun to drain.
    pub to_draining: u64,
    /// Those of them that were decided by a redirector that had heard of it.
    pub to_draining_known: u64,
    /// Redirects to an edge that had died.
    pub to_dead: u64,
    /// Redirects to an edge that admits nobody.
    pub to_sink: u64,
    /// Seconds until the new edge had three quarters of the mean load.
    pub cold_s: Option<f64>,
    /// The most the new edge was above the mean, as a factor.
    pub cold_over_mean: f64,
    /// The most traffic that joined one edge within a second, by its capacity.
    pub join: f64,
    /// Pairs of an edge and a stream it ever carried: what origins were asked for.
    pub pulls: u64,
    /// Redirects handed out.
    pub redirects: u64,
    /// Requests that no edge was found for.
    pub refused: u64,
    /// The fleet ten times a second.
    pub samples: Vec<Sample>,
}

impl Measures {
    /// Looks at the fleet. `cold` is the place of the edge that joined.
    pub(super) fn sample(
        &mut self,
        edges: &mut [Edge],
        cold: Option<usize>,
        at_s: f64,
        sums: &mut Sums,
    ) {
        let (mut traffic, mut capacity, mut peak) = (0.0, 0.0, 0.0_f64);
        for edge in edges.iter_mut() {
            let joined = edge.joined_in_a_second();
            if !edge.is_present() {
                continue;
            }
            self.join = self.join.max(joined / edge.capacity_bps);
            let load = edge.load();
            traffic += edge.traffic_bps as f64;
            capacity += edge.capacity_bps;
            peak = peak.max(load);
            if load > 1.0 {
                sums.excess += edge.traffic_bps as f64 - edge.capacity_bps;
                self.overload_s += SAMPLE_S;
            }
        }
        sums.traffic += traffic;
        let mean = if capacity > 0.0 { traffic / capacity } else { 0.0 };
        self.samples.push(Sample { at_s, mean, peak });
        if let Some(edge) = cold.and_then(|place| edges.get(place)) {
            self.look_at_cold(edge.load() / mean.max(f64::MIN_POSITIVE), at_s - sums.cold_from_s);
        }
    }

    fn look_at_cold(&mut self, over_mean: f64, age_s: f64) {
        self.cold_over_mean = self.cold_over_mean.max(over_mean);
        if self.cold_s.is_none() && over_mean >= 0.75 {
            self.cold_s = Some(age_s);
        }
    }

    /// Draws the sum.
    pub(super) fn finish(&mut self, sums: &Sums) {
        self.peak = self.samples.iter().map(|sample| sample.peak).fold(0.0, f64::max);
        self.excess = sums.excess / sums.traffic.max(1.0);
        let loaded = self.samples.iter().filter(|sample| sample.mean >= MEAN_MIN);
        let mut factors: Vec<_> = loaded.map(|sample| sample.peak / sample.mean).collect();
        if factors.is_empty() {
            let all = self.samples.iter().filter(|sample| sample.mean > 0.0);
            factors = all.map(|sample| sample.peak / sample.mean).collect();
        }
        factors.sort_unstable_by(f64::total_cmp);
        let at = (factors.len() as f64 * 0.999).ceil() as usize;
        self.over_mean = factors.last().copied().unwrap_or_default();
        self.over_mean_p999 = factors.get(at.saturating_sub(1)).copied().unwrap_or_default();
    }
}

/// What is summed up while it runs.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) excess: f64,
    pub(super) traffic: f64,
    pub(super) cold_from_s: f64,
}
