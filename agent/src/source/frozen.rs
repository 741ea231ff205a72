//! Figures that stand still. A server whose clock goes on while no byte moves although it has viewers
//! has a broken counter or answers from a cache; believed, it would look idle for ever.

use std::time::{Duration, Instant};

use super::meter::{Counters, moved_bytes};

/// No byte for this long by the server's own clock, over at least [`READINGS_MIN`] readings. An encoder
/// that stalls for a few seconds must not make every edge doubt itself.
const STILL_MAX: Duration = Duration::from_secs(10);
const READINGS_MIN: u32 = 3;
/// A server's clock that stands still for so long by ours is an old answer. Most servers count
/// whole seconds.
const CLOCK_STILL_MAX: Duration = Duration::from_secs(10);

/// What of one reading can stand still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs<'a> {
    pub(super) uptime: Option<Duration>,
    pub(super) bytes_out: Option<&'a Counters>,
    pub(super) viewers: Option<u32>,
    /// Where nobody publishes nothing has to flow.
    pub(super) publishers: Option<u32>,
}

/// Which figures have stood still since when.
#[derive(Debug, Default)]
pub(super) struct Watch {
    clock: Option<(Duration, Instant)>,
    still: Option<Still>,
}

/// No byte has moved since this reading.
#[derive(Debug)]
struct Still {
    bytes_out: Counters,
    since_uptime: Duration,
    readings: u32,
}

impl Watch {
    /// What stands still by now, in words for the operator.
    pub(super) fn frozen(&mut self, signs: &Signs<'_>, now: Instant) -> Option<String> {
        let uptime = signs.uptime?;
        self.clock_frozen(uptime, now).or_else(|| self.bytes_frozen(uptime, signs))
    }

    fn clock_frozen(&mut self, uptime: Duration, now: Instant) -> Option<String> {
        match self.clock {
            Some((last, since)) if last == uptime => {
                let still = now.saturating_duration_since(since);
                (still >= CLOCK_STILL_MAX).then(|| {
                    format!("its uptime has stood still for {} s; is it cached?", still.as_secs())
                })
            }
            _ => {
                self.clock = Some((uptime, now));
                None
            }
        }
    }

    fn bytes_frozen(&mut self, uptime: Duration, signs: &Signs<'_>) -> Option<String> {
        let has_viewers = signs.viewers.is_some_and(|viewers| viewers > 0);
        let Some(bytes_out) =
            signs.bytes_out.filter(|_| has_viewers && signs.publishers != Some(0))
        else {
            self.still = None;
            return None;
        };
        match &mut self.still {
            Some(still)
                if uptime >= still.since_uptime
                    && moved_bytes(&still.bytes_out, bytes_out) == 0 =>
            {
                still.readings += 1;
                let time = uptime - still.since_uptime;
                let text = || {
                    let viewers = signs.viewers.unwrap_or_default();
                    format!(
                        "it counts {viewers} viewers, but no byte has gone out for {} s",
                        time.as_secs()
                    )
                };
                (time >= STILL_MAX && still.readings >= READINGS_MIN).then(text)
            }
            _ => {
                let bytes_out = bytes_out.clone();
                self.still = Some(Still { bytes_out, since_uptime: uptime, readings: 1 });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings 2.5 s apart: uptime, bytes, viewers, publishers; what was frozen after the last one.
    fn watched(readings: &[(f64, u64, u32, Option<u32>)]) -> Option<String> {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut frozen = None;
        for (turn, (uptime_s, bytes, viewers, publishers)) in readings.iter().enumerate() {
            let signs = Signs {
                uptime: Some(Duration::from_secs_f64(*uptime_s)),
                bytes_out: Some(&[(String::new(), *bytes)].into()),
                viewers: Some(*viewers),
                publishers: *publishers,
            };
            frozen = watch.frozen(&signs, start + Duration::from_millis(2_500) * turn as u32);
        }
        frozen
    }

    /// So many readings without a byte between them.
    fn still(count: u32, publishers: Option<u32>) -> Vec<(f64, u64, u32, Option<u32>)> {
        (0..count).map(|turn| (10.0 + 2.5 * f64::from(turn), 77, 5, publishers)).collect()
    }

    #[test]
    fn viewers_without_a_byte_for_ten_seconds_are_frozen_figures() {
        assert_eq!(watched(&still(4, None)), None, "an encoder may stall");
        let text = watched(&still(5, None)).expect("frozen");
        assert_eq!(text, "it counts 5 viewers, but no byte has gone out for 10 s");
        let mut moved = still(5, None);
        moved[4].1 = 78;
        assert_eq!(watched(&moved), None);
        moved.extend((0..4).map(|turn| (22.5 + 2.5 * f64::from(turn), 78, 5, None)));
        assert!(watched(&moved).is_some(), "it froze again");
    }

    #[test]
    fn nobody_to_watch_or_nobody_to_publish_is_no_frozen_figure() {
        let mut unwatched = still(9, None);
        unwatched.iter_mut().for_each(|(_, _, viewers, _)| *viewers = 0);
        assert_eq!(watched(&unwatched), None);
        assert_eq!(watched(&still(9, Some(0))), None);
        assert!(watched(&still(9, Some(1))).is_some());
    }

    #[test]
    fn a_restarted_server_is_judged_anew() {
        let readings =
            [(90.0, 7, 5, None), (92.5, 7, 5, None), (1.0, 7, 5, None), (3.5, 7, 5, None)];
        assert_eq!(watched(&readings), None);
    }

    #[test]
    fn a_clock_that_stands_still_is_an_old_answer() {
        let moving = |n: u64| (10.0, n, 5, None);
        let readings: Vec<_> = (0..5).map(moving).collect();
        assert_eq!(watched(&readings[..4]), None);
        assert!(watched(&readings).expect("cached").contains("is it cached?"));
    }
}
