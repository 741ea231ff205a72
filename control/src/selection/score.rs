//! What an edge carries, in one unit: the share of its capacity, and bits per second.
//!
//! The worst resource counts, never a sum: a sum would hide one that is used up.

use tidegate_proto::{edge::Capacity, heartbeat::Load};

use crate::snapshot::Estimates;

/// Stands in for a capacity that nobody in the fleet knows.
const NOMINAL_VIEWERS: f64 = 4_000.0;
const NOMINAL_BANDWIDTH_BPS: f64 = 10e9;
/// Stands in for one viewer's bandwidth where no edge reports both figures: HD video.
const NOMINAL_VIEWER_BPS: f64 = 4e6;
/// An edge's own viewers tell what the next one takes once they are more than this many.
const FEW_VIEWERS: f64 = 20.0;
/// An edge with this much of its processors or memory in use is full.
const CPU_FULL: f64 = 0.85;
const MEMORY_FULL: f64 = 0.95;

/// What a report says, as far as it matters for load.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) viewers: Option<f32>,
    bandwidth_bps: Option<f32>,
    /// The worse of processors and memory, as a share of what is full.
    pressure: Option<f32>,
    viewers_max: Option<f32>,
    bandwidth_max_bps: Option<f32>,
}

impl Figures {
    pub(super) fn of(load: &Load, capacity: &Capacity) -> Self {
        let cpu = load.cpu_utilization.map(|share| share / CPU_FULL);
        let memory = load.memory_utilization.map(|share| share / MEMORY_FULL);
        Self {
            viewers: load.viewers.map(|viewers| viewers as f32),
            bandwidth_bps: load.bandwidth_out_bps.map(|bps| bps as f32),
            pressure: cpu.into_iter().chain(memory).reduce(f64::max).map(|worst| worst as f32),
            // A limit of nothing would make every share infinite.
            viewers_max: capacity.viewers.map(|viewers| viewers.max(1) as f32),
            bandwidth_max_bps: capacity.bandwidth_bps.map(|bps| bps.max(1) as f32),
        }
    }

    /// These limits, with what another report says is carried.
    pub(super) fn with_load_of(self, other: &Self) -> Self {
        Self {
            viewers: other.viewers,
            bandwidth_bps: other.bandwidth_bps,
            pressure: other.pressure,
            ..self
        }
    }

    /// Whether it can be compared with others at all.
    pub(super) fn is_measured(&self) -> bool {
        self.viewers.is_some() || self.bandwidth_bps.is_some()
    }
}

/// The share of its capacity that an edge uses by a report of its own; `None`: the report says too
/// little to tell.
pub(crate) fn reported_load(load: &Load, capacity: &Capacity, known: &Estimates) -> Option<f64> {
    let figures = Figures::of(load, capacity);
    figures.is_measured().then(|| Scale::of(known).score(&figures).share)
}

/// What stands in for unknown figures, ready for use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    /// One viewer, in bits per second.
    pub(super) viewer_bps: f64,
    viewers_max: Option<f64>,
    bandwidth_max_bps: Option<f64>,
}

/// One edge's report in the common unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// The worst resource's share; 0 where nothing is measured.
    pub(super) share: f64,
    /// What it sends, in bits per second.
    pub(super) traffic_bps: f64,
}

impl Scale {
    pub(super) fn of(estimates: &Estimates) -> Self {
        let known = |figure: Option<f64>| figure.filter(|figure| *figure >= 1.0);
        Self {
            viewer_bps: known(estimates.viewer_bps).unwrap_or(NOMINAL_VIEWER_BPS),
            viewers_max: known(estimates.viewers),
            bandwidth_max_bps: known(estimates.bandwidth_bps),
        }
    }

    pub(super) fn score(&self, figures: &Figures) -> Score {
        let viewers = figures.viewers.map(f64::from);
        let bandwidth = figures.bandwidth_bps.map(f64::from);
        let (viewers_max, bandwidth_max) = self.limits(figures);
        let by_limits = worst(share(viewers, viewers_max), share(bandwidth, bandwidth_max))
            // A resource whose capacity nobody knows is compared only where there is no other.
            .or_else(|| share(viewers, Some(NOMINAL_VIEWERS)))
            .or_else(|| share(bandwidth, Some(NOMINAL_BANDWIDTH_BPS)));
        let carried = bandwidth.or(viewers.map(|viewers| viewers * self.viewer_bps));
        Score {
            share: worst(by_limits, figures.pressure.map(f64::from)).unwrap_or(0.0),
            traffic_bps: carried.unwrap_or(0.0),
        }
    }

    /// What the next viewer of an edge is expected to take, in bits per second: what its viewers
    /// take now, and the fleet's where it has few. Under affinity they share a few streams.
    pub(super) fn viewer_bps_of(&self, figures: &Figures) -> f64 {
        match (figures.viewers, figures.bandwidth_bps) {
            (Some(viewers), Some(bps)) if viewers > 0.0 && bps > 0.0 => {
                (f64::from(bps) + FEW_VIEWERS * self.viewer_bps)
                    / (f64::from(viewers) + FEW_VIEWERS)
            }
            _ => self.viewer_bps,
        }
    }

    /// What an edge's known limits allow it to send, in bits per second.
    pub(super) fn nominal_bps(&self, figures: &Figures) -> f64 {
        let (viewers_max, bandwidth_max_bps) = self.limits(figures);
        let by_viewers = viewers_max.map(|viewers| viewers * self.viewer_bps);
        let known = by_viewers.into_iter().chain(bandwidth_max_bps).reduce(f64::min);
        known.unwrap_or(NOMINAL_VIEWERS * self.viewer_bps).max(1.0)
    }

    /// The most viewers, and the most bits per second.
    fn limits(&self, figures: &Figures) -> (Option<f64>, Option<f64>) {
        let viewers_max = figures.viewers_max.map(f64::from).or(self.viewers_max);
        (viewers_max, figures.bandwidth_max_bps.map(f64::from).or(self.bandwidth_max_bps))
    }
}

fn share(used: Option<f64>, capacity: Option<f64>) -> Option<f64> {
    Some(used? / capacity?)
}

fn worst(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}
