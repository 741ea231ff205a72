//! When silence is believed. Many edges that fall silent at once are rarely all dead: more often
//! this redirector is cut off from them, and taking them out would do the damage.

use std::{collections::VecDeque, time::Duration};

use super::Patience;
use crate::snapshot::{Liveness, Mode};

/// Fewer silent edges than this never begin PRESERVE.
const PRESERVE_MIN: usize = 3;

/// The fleet as silence sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Edges that should be heard: neither DOWN nor GONE.
    pub(super) expected: usize,
    /// Those of them that are heard.
    pub(super) fresh: usize,
    /// Expected edges without an order.
    pub(super) in_service: usize,
    /// Those of them that are heard.
    pub(super) fresh_in_service: usize,
}

impl Counts {
    pub(super) fn add(&mut self, liveness: Liveness, is_drained: bool) {
        let fresh = match liveness {
            Liveness::Down | Liveness::Gone => return,
            Liveness::New | Liveness::Up => 1,
            Liveness::Suspect | Liveness::Unconfirmed => 0,
        };
        self.expected += 1;
        self.fresh += fresh;
        if !is_drained {
            self.in_service += 1;
            self.fresh_in_service += fresh;
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Silence {
    mode: Mode,
    /// When each edge that fell silent lately did so.
    fell_silent: VecDeque<Duration>,
    entered: Duration,
    recovering_since: Option<Duration>,
    /// Edges evicted since `entered`, while silence is not believed.
    evicted: usize,
}

impl Silence {
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn is_normal(&self) -> bool {
        self.mode == Mode::Normal
    }

    /// Enters or leaves PRESERVE and PANIC.
    pub(super) fn judge(
        &mut self,
        patience: &Patience,
        newly_silent: usize,
        counts: Counts,
        now: Duration,
    ) {
        self.fell_silent.extend(std::iter::repeat_n(now, newly_silent));
        while self.fell_silent.front().is_some_and(|at| now - *at > patience.preserve_window) {
            self.fell_silent.pop_front();
        }
        // Edges evicted in this incident still count, or the last few would be declared DOWN at once.
        if counts.expected + self.evicted < patience.fleet_min {
            return self.enter(Mode::Normal, now);
        }
        let threshold = (counts.expected as f64 * patience.preserve_share).ceil() as usize;
        let is_mass_loss = self.fell_silent.len() >= threshold.max(PRESERVE_MIN);
        let most_are_silent =
            (counts.fresh_in_service as f64) < counts.in_service as f64 * patience.panic_share;
        if most_are_silent {
            self.enter(Mode::Panic, now);
        } else if is_mass_loss && self.is_normal() {
            self.enter(Mode::Preserve, now);
        }
        self.recover(patience, counts, now);
    }

    fn recover(&mut self, patience: &Patience, counts: Counts, now: Duration) {
        let fresh = counts.fresh as f64 >= counts.expected as f64 * patience.recovery_share;
        if self.is_normal() || !fresh {
            self.recovering_since = None;
            return;
        }
        let since = *self.recovering_since.get_or_insert(now);
        if now - since >= patience.recovery {
            self.enter(Mode::Normal, now);
        }
    }

    fn enter(&mut self, mode: Mode, now: Duration) {
        if self.mode == mode {
            return;
        }
        // PANIC after PRESERVE is the same incident: its clock goes on.
        if self.mode == Mode::Normal {
            self.entered = now;
        }
        self.mode = mode;
        self.recovering_since = None;
        if mode == Mode::Normal {
            self.evicted = 0;
            self.fell_silent.clear();
        }
    }

    /// How many edges may be declared DOWN now.
    pub(super) fn evictions(&self, patience: &Patience, expected: usize, now: Duration) -> usize {
        if self.is_normal() {
            return usize::MAX;
        }
        let thawed = now.saturating_sub(self.entered).saturating_sub(patience.freeze_max);
        let share = patience.evicted_share_per_minute * thawed.as_secs_f64() / 60.0;
        let fleet = expected + self.evicted;
        ((fleet as f64 * share) as usize).saturating_sub(self.evicted)
    }

    /// Counts edges declared DOWN.
    pub(super) fn evicted(&mut self, count: usize) {
        if !self.is_normal() {
            self.evicted += count;
        }
    }
}
