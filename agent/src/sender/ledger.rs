//! Which heartbeats asked for an ack, and which got one: the check of an ack's echo, and the loss.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// An ack must echo a heartbeat sent within this.
pub(super) const ECHO_AGE_MAX: Duration = Duration::from_secs(30);
/// An ack that has not come after this counts as lost, until it comes.
const LATE_AFTER: Duration = Duration::from_secs(5);
/// Loss is a share of this many asked heartbeats.
const LOSS_OVER: usize = 100;
/// Covers [`ECHO_AGE_MAX`] at the shortest interval.
const ASKED_MAX: usize = 300;

#[derive(Debug, Clone, Copy)]
struct Asked {
    /// 0 once its session is over.
    sequence: u64,
    at: Instant,
    answered: bool,
}

/// The asked heartbeats of one target, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    asked: VecDeque<Asked>,
}

impl Ledger {
    /// Notes that `sequence` asked for an ack.
    pub(super) fn ask(&mut self, sequence: u64, now: Instant) {
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back(Asked { sequence, at: now, answered: false });
    }

    /// Notes an ack and returns its round trip; `None` when nothing of that sequence was asked
    /// lately.
    pub(super) fn answer(&mut self, sequence: u64, now: Instant) -> Option<Duration> {
        let asked = self.asked.iter_mut().rev().find(|asked| asked.sequence == sequence)?;
        let age = now.saturating_duration_since(asked.at);
        if sequence == 0 || age > ECHO_AGE_MAX {
            return None;
        }
        asked.answered = true;
        Some(age)
    }

    /// Whether the newest asked heartbeat has its ack.
    pub(super) fn newest_is_answered(&self) -> bool {
        self.asked.back().is_some_and(|asked| asked.answered)
    }

    /// The share of asked heartbeats without an ack, over the last hundred; `None` before the
    /// first could have come.
    pub(super) fn loss(&self, now: Instant) -> Option<f64> {
        let known =
            |asked: &&Asked| asked.answered || now.saturating_duration_since(asked.at) > LATE_AFTER;
        let (mut total, mut lost) = (0_u32, 0_u32);
        for asked in self.asked.iter().rev().filter(known).take(LOSS_OVER) {
            total += 1;
            lost += u32::from(!asked.answered);
        }
        (total > 0).then(|| f64::from(lost) / f64::from(total))
    }

    /// A new session begins: acks of the old one no longer count, and what it still waits for is
    /// neither lost nor received.
    pub(super) fn end_session(&mut self, now: Instant) {
        self.asked
            .retain(|asked| asked.answered || now.saturating_duration_since(asked.at) > LATE_AFTER);
        for asked in &mut self.asked {
            asked.sequence = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_counts_what_should_have_come() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut ledger = Ledger::default();
        assert_eq!(ledger.loss(start), None);
        for sequence in 1..=4 {
            ledger.ask(sequence, start);
        }
        assert_eq!(ledger.answer(1, start + second), Some(second));
        assert_eq!(ledger.loss(start + second), Some(0.0));
        assert_eq!(ledger.loss(start + 6 * second), Some(0.75));
        assert_eq!(ledger.answer(2, start + 7 * second), Some(7 * second));
        assert_eq!(ledger.loss(start + 7 * second), Some(0.5));
    }

    #[test]
    fn only_what_was_asked_lately_can_be_answered() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        ledger.ask(7, start);
        assert_eq!(ledger.answer(8, start), None);
        assert_eq!(ledger.answer(0, start), None);
        assert_eq!(ledger.answer(7, start + ECHO_AGE_MAX + Duration::from_millis(1)), None);
        assert!(!ledger.newest_is_answered());
        assert!(ledger.answer(7, start + ECHO_AGE_MAX).is_some());
        ledger.end_session(start);
        assert_eq!(ledger.answer(7, start), None);
        assert_eq!(ledger.answer(0, start), None);
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        (1..=10_000).for_each(|sequence| ledger.ask(sequence, start));
        assert_eq!(ledger.asked.len(), ASKED_MAX);
    }
}
