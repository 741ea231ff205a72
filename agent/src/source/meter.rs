//! Rates out of byte counters. Servers average their own rates over seconds; two readings of a counter
//! tell what flowed between two heartbeats.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tidegate_proto::heartbeat::BANDWIDTH_BPS_MAX;

/// Bytes since each thing began to count: the whole server under one name, or each stream or session.
pub(super) type Counters = BTreeMap<String, u64>;

/// Rates over less than this say more about the scheduler than about the server.
const WINDOW_MIN: Duration = Duration::from_millis(200);

/// The last counters and the rate they gave.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<(Instant, Counters)>,
    rate_bps: Option<u64>,
}

impl Meter {
    /// Bits per second since the last reading; `None` until there are two.
    pub(super) fn rate_bps(&mut self, counters: &Counters, now: Instant) -> Option<u64> {
        if let Some((at, before)) = &self.last {
            let window = now.saturating_duration_since(*at);
            if window < WINDOW_MIN {
                return self.rate_bps;
            }
            let bits = moved_bytes(before, counters) as f64 * 8.0;
            // A cast from float saturates, and the bound holds for a counter that jumped.
            self.rate_bps =
                Some(((bits / window.as_secs_f64()).round() as u64).min(BANDWIDTH_BPS_MAX));
        }
        self.last = Some((now, counters.clone()));
        self.rate_bps
    }
}

/// Bytes between two readings. What is new, or counts less than before, began again from zero.
pub(super) fn moved_bytes(before: &Counters, after: &Counters) -> u64 {
    let moved = |(name, bytes): (&String, &u64)| {
        let earlier = before.get(name).filter(|earlier| *earlier <= bytes);
        bytes - earlier.unwrap_or(&0)
    };
    after.iter().map(moved).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters<const N: usize>(named: [(&str, u64); N]) -> Counters {
        named.map(|(name, bytes)| (name.to_owned(), bytes)).into()
    }

    #[test]
    fn a_rate_is_what_flowed_between_two_readings() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(meter.rate_bps(&counters([("", 1_000)]), start), None);
        assert_eq!(meter.rate_bps(&counters([("", 2_000)]), start + second), Some(8_000));
        let soon = start + second + Duration::from_millis(100);
        assert_eq!(meter.rate_bps(&counters([("", 9_000)]), soon), Some(8_000), "too soon to tell");
        assert_eq!(meter.rate_bps(&counters([("", 2_000)]), start + second * 2), Some(0));
    }

    #[test]
    fn counters_that_come_go_and_begin_again_make_no_jump() {
        let before = counters([("gone", 500), ("stays", 100), ("restarted", 900)]);
        let after = counters([("stays", 150), ("restarted", 30), ("new", 7)]);
        assert_eq!(moved_bytes(&before, &after), 50 + 30 + 7);
    }

    #[test]
    fn a_counter_that_jumps_stays_within_bounds() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        meter.rate_bps(&counters([("", 0)]), start);
        let rate = meter.rate_bps(&counters([("", u64::MAX)]), start + Duration::from_secs(1));
        assert_eq!(rate, Some(BANDWIDTH_BPS_MAX));
    }
}
