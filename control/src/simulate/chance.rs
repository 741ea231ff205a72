//! Randomness that belongs to a thing, not to the order in which things are asked: every policy
//! meets the same viewers.

use std::f64::consts::TAU;

/// Draws that depend on a seed and on what they are for, and on nothing else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    state: u64,
}

impl Chance {
    /// The draws of one thing: the `index`th of its kind, at its `attempt`th try.
    pub(super) fn of(seed: u64, kind: Kind, index: u64, attempt: u64) -> Self {
        let mut chance = Self { state: seed ^ 0x5851_f42d_4c95_7f2d };
        for part in [kind as u64, index, attempt] {
            chance.state = chance.next().wrapping_add(part.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        chance
    }

    /// The next 64 bits (SplitMix64, Steele, Lea and Flood 2014).
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between two bounds.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Exponential with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Log-normal of a median and a sigma (Box and Muller 1958 for the normal part).
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        let angle = TAU * self.unit();
        median * (sigma * radius * angle.cos()).exp()
    }
}

/// What draws are for; each kind has a stream of its own.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Stream,
    Viewer,
    Arrival,
    Attempt,
    Move,
    Report,
    Network,
    Pick,
}
