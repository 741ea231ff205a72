//! Which redirects a report has in it, and which it cannot have yet.
//!
//! A redirected client needs a while until its edge counts it, so a report confirms the redirects
//! older than that. [`Ledger::hear`] is the one place that says what a report confirms.

use std::{collections::VecDeque, time::Duration};

use tidegate_proto::heartbeat::Load;

/// How many of those who are redirected come, as long as nothing is known of it.
const ARRIVING: f64 = 0.95;
/// A fifth each of those who come has done so after these shares of the landing delay: most sooner,
/// some much later. Counting all of them at the mean would be right in the sum, but noisier.
const LANDED_AFTER: [f64; 5] = [0.5, 0.7, 0.85, 1.1, 1.85];
const LANDED_AFTER_MAX: f64 = 1.85;
/// A source that reports the same figures again and again is not believed for this long.
const FROZEN_MAX: Duration = Duration::from_secs(30);
/// Samples within one landing delay.
const SAMPLES: u32 = 8;
/// Samples are at least this far apart, but for what a timer is late.
const SAMPLE_EVERY_MIN: Duration = Duration::from_millis(100);
const SLACK: Duration = Duration::from_millis(20);

/// One edge's redirects, as far as reports have confirmed them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ledger {
    /// Redirects since the process started that are confirmed.
    seen: f64,
    /// The figures of the last report.
    said: Option<(Option<u32>, Option<u64>)>,
    /// Since when reports have said the same although redirects were not confirmed.
    frozen_since: Option<Duration>,
}

impl Ledger {
    /// Takes in a report of `heard` that can have seen `seen` redirects.
    pub(super) fn hear(&mut self, load: &Load, seen: f64, heard: Duration) {
        let says = (load.viewers, load.bandwidth_out_bps);
        let repeats = self.said == Some(says) && seen > self.seen;
        self.said = Some(says);
        if repeats {
            let since = *self.frozen_since.get_or_insert(heard);
            if heard.saturating_sub(since) < FROZEN_MAX {
                return;
            }
        }
        self.frozen_since = None;
        self.seen = self.seen.max(seen);
    }

    /// Redirects that are expected to come and that no report has in it.
    pub(super) fn unconfirmed(&self, handed: u64) -> f64 {
        (handed as f64 - self.seen).max(0.0) * ARRIVING
    }

    /// What one redirect adds to [`unconfirmed`](Self::unconfirmed).
    pub(super) const STEP: f64 = ARRIVING;
}

/// What every edge had been handed at some moments of the last seconds. Places are those of the
/// fleet. Counts are the lower halves of those in the cells and may wrap around, so only their
/// differences mean something.
#[derive(Debug)]
pub(super) struct History {
    landing_delay: Duration,
    samples: VecDeque<(Duration, Vec<u32>)>,
}

impl History {
    pub(super) fn new(landing_delay: Duration) -> Self {
        Self { landing_delay, samples: VecDeque::new() }
    }

    /// Keeps the counts of this moment, if the last ones are old enough.
    pub(super) fn keep(&mut self, now: Duration, handed: &[u32]) {
        let every = SAMPLE_EVERY_MIN.max(self.landing_delay / SAMPLES);
        if self.samples.back().is_some_and(|(last, _)| now.saturating_sub(*last) + SLACK < every) {
            return;
        }
        let needed = now.saturating_sub(self.landing_delay.mul_f64(LANDED_AFTER_MAX));
        let mut spare = Vec::new();
        while self.samples.get(1).is_some_and(|(next, _)| *next <= needed) {
            spare = self.samples.pop_front().map(|(_, counts)| counts).unwrap_or_default();
        }
        spare.clear();
        spare.extend_from_slice(handed);
        self.samples.push_back((now, spare));
    }

    /// Moves every count to its edge's new place; `None`: an edge that had none.
    pub(super) fn remap(&mut self, old_places: &[Option<usize>]) {
        for (_, counts) in &mut self.samples {
            let old = std::mem::take(counts);
            let moved = old_places.iter().map(|place| place.and_then(|at| old.get(at)).copied());
            *counts = moved.map(Option::unwrap_or_default).collect();
        }
    }

    /// Redirects to an edge that a report of `heard` is expected to have seen. `handed` is what
    /// the edge's cell has counted `now`, in full and its lower half, `handed_then` what it had at
    /// the report.
    pub(super) fn seen(
        &self,
        place: usize,
        heard: Duration,
        handed_then: u64,
        (now, handed): (Duration, (u64, u32)),
    ) -> f64 {
        if self.landing_delay.is_zero() || self.samples.is_empty() {
            return handed_then as f64;
        }
        let landed = LANDED_AFTER.map(|share| {
            let at = heard.saturating_sub(self.landing_delay.mul_f64(share));
            self.handed_at(place, at, handed_then, (now, handed))
        });
        landed.iter().sum::<f64>() / landed.len() as f64
    }

    /// An edge's count at an earlier moment, and no more than `most`.
    fn handed_at(
        &self,
        place: usize,
        at: Duration,
        most: u64,
        (now, (handed, count)): (Duration, (u64, u32)),
    ) -> f64 {
        let since = |counts: &[u32]| {
            f64::from(count.wrapping_sub(counts.get(place).copied().unwrap_or_default()))
        };
        // The samples between that moment and now are not looked at: they are far apart in memory.
        let next = self.samples.partition_point(|(time, _)| *time <= at);
        let (later, after) = match self.samples.get(next) {
            Some((time, counts)) => (*time, since(counts)),
            None => (now, 0.0),
        };
        let newer = match next.checked_sub(1).and_then(|last| self.samples.get(last)) {
            Some((time, counts)) => {
                let span = later.saturating_sub(*time).as_secs_f64();
                let part = if span > 0.0 { (at - *time).as_secs_f64() / span } else { 0.0 };
                let until = since(counts);
                until + (after - until) * part
            }
            None => after,
        };
        (handed as f64 - newer).clamp(0.0, most as f64)
    }
}
