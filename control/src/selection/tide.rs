//! What holds for the whole fleet while one table is made, and what it makes of each edge.

use std::time::Duration;

use super::{
    Policy, Row, Selection,
    ledger::Ledger,
    memory::Memory,
    pool::Standing,
    score::{Figures, Scale},
};
use crate::snapshot::{FleetView, Mode};

/// How fast the join rate follows the joins.
const RATE_S: f64 = 1.0;
/// The confirmation window under `sticky`, which sends a stream's viewers to few edges, is at least
/// this share.
const WINDOW_STICKY_MIN: f64 = 0.25;
/// The window holds what would come in so many report intervals and landing delays.
const WINDOW_ROUNDS: f64 = 2.0;
/// If more than this share of the edges has a new session, none is held back for it: nobody else
/// could take the viewers.
const RAMPING_SHARE_MAX: f64 = 0.5;

/// This process's redirects per second to the edges of each kind.
#[derive(Debug, Default)]
pub(super) struct JoinRates {
    by_kind: Vec<f64>,
    /// What was handed out and is not in the rates yet.
    joined: Vec<u64>,
}

impl JoinRates {
    /// Counts redirects to edges of a kind.
    pub(super) fn count(&mut self, kind: u32, joined: u64) {
        let kind = kind as usize;
        if kind >= self.joined.len() {
            self.joined.resize(kind + 1, 0);
            self.by_kind.resize(kind + 1, 0.0);
        }
        self.joined[kind] += joined;
    }

    /// Lets time pass in which what was counted was handed out.
    pub(super) fn pass(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let part = 1.0 - (-seconds / RATE_S).exp();
        for (rate, joined) in self.by_kind.iter_mut().zip(&mut self.joined) {
            *rate += (std::mem::take(joined) as f64 / seconds - *rate) * part;
        }
    }

    /// Follows kinds to new numbers: each was the one in `former` before.
    pub(super) fn remap(&mut self, former: &[u32]) {
        let rate = |kind: &u32| self.by_kind.get(*kind as usize).copied().unwrap_or_default();
        let joined = |kind: &u32| self.joined.get(*kind as usize).copied().unwrap_or_default();
        *self = Self {
            by_kind: former.iter().map(rate).collect(),
            joined: former.iter().map(joined).collect(),
        };
    }

    pub(super) fn of(&self, kinds: &[u32]) -> f64 {
        kinds.iter().filter_map(|kind| self.by_kind.get(*kind as usize)).sum()
    }

    pub(super) fn total(&self) -> f64 {
        self.by_kind.iter().sum()
    }
}

/// The fleet at the moment of a table.
#[derive(Debug)]
pub(super) struct Tide {
    pub(super) redirectors: f64,
    /// When the next edge becomes late.
    pub(super) late_at: Duration,
    scale: Scale,
    now: Duration,
    /// Whether a late report speaks against an edge.
    minds_late: bool,
    window: f64,
    /// Reports in which a new session grows; 0: none is held back.
    slow_start: u32,
    /// Stands for everybody's load, in PANIC.
    median: Option<Figures>,
    by_viewers: bool,
    by_stream: bool,
}

impl Tide {
    pub(super) fn of(
        selection: &Selection,
        fleet: &FleetView,
        memories: &[Memory],
        rates: &JoinRates,
        scale: Scale,
        now: Duration,
    ) -> Self {
        let eligible = || fleet.eligible.iter().filter_map(|place| memories.get(*place));
        let census = Census::take(eligible(), selection, &scale, now);
        let is_panic = fleet.mode == Mode::Panic;
        let late_forgiven = census.share(census.late) > selection.late_share_max;
        let ramp_forgiven = census.share(census.ramping) > RAMPING_SHARE_MAX;
        let redirectors = match selection.redirectors {
            0 => census.redirectors(),
            set => set.into(),
        };
        let joins = rates.total() * redirectors * scale.viewer_bps;
        let round = census.mean_interval_s() + selection.landing_delay.as_secs_f64();
        let joining = WINDOW_ROUNDS * joins * round / census.capacity_bps.max(1.0);
        let least = if selection.policy == Policy::Sticky { WINDOW_STICKY_MIN } else { 0.0 };
        Self {
            redirectors,
            late_at: census.late_at,
            scale,
            now,
            minds_late: !is_panic && !late_forgiven,
            window: selection.window.max(least).max(joining),
            slow_start: if ramp_forgiven { 0 } else { selection.slow_start_reports },
            median: is_panic.then(|| Figures::of(&fleet.estimates.load, &Default::default())),
            by_viewers: selection.policy == Policy::Wowza,
            by_stream: selection.policy == Policy::Sticky,
        }
    }

    pub(super) fn viewer_bps(&self) -> f64 {
        self.scale.viewer_bps
    }

    /// What one viewer is of a row's step, unless the policy goes by each edge's own viewers.
    pub(super) fn viewer_in_step(&self) -> f64 {
        1.0 / (self.redirectors * Ledger::STEP)
    }

    pub(super) fn standing(&self, memory: &Memory) -> Standing {
        if !self.figures(memory).is_measured() {
            Standing::Unmeasured
        } else if self.minds_late && self.now > memory.late_at {
            Standing::Late
        } else {
            Standing::Measured
        }
    }

    /// What an edge looks like to picks.
    pub(super) fn row(&self, memory: &Memory) -> Row {
        let figures = self.figures(memory);
        let score = self.scale.score(&figures);
        let capacity_bps = memory.capacity_bps(&self.scale).max(1.0);
        let viewer = self.redirectors * self.next_viewer_bps(&figures) / capacity_bps;
        let unconfirmed = memory.ledger.unconfirmed(memory.handed);
        let step = viewer * Ledger::STEP;
        let limit = (self.window * self.ramp(memory) / step).max(1.0);
        let (report, report_step) = self.by_report(memory, &figures, score.share);
        Row {
            load: (score.share / memory.weight + viewer * unconfirmed) as f32,
            step: step as f32,
            handed: 0,
            room: (limit - unconfirmed / Ledger::STEP) as f32,
            fresh_ms: self.fresh_ms(memory.fresh_until),
            capacity_bps: capacity_bps as f32,
            score: report as f32,
            score_step: report_step as f32,
        }
    }

    /// Where policies spread every stream, an edge's own viewers say less of the next one than the
    /// whole fleet's do.
    fn next_viewer_bps(&self, figures: &Figures) -> f64 {
        if self.by_stream { self.scale.viewer_bps_of(figures) } else { self.scale.viewer_bps }
    }

    fn figures(&self, memory: &Memory) -> Figures {
        match self.median {
            Some(median) if median.is_measured() => memory.figures.with_load_of(&median),
            _ => memory.figures,
        }
    }

    /// What `wowza` goes by, or what `report` and `p2c` go by, and what a redirect adds to it.
    fn by_report(&self, memory: &Memory, figures: &Figures, share: f64) -> (f64, f64) {
        if !self.by_viewers {
            return (share / memory.weight, 0.0);
        }
        let traffic = || self.scale.score(figures).traffic_bps / self.scale.viewer_bps;
        let viewers = figures.viewers.map_or_else(traffic, f64::from);
        let since = memory.handed.saturating_sub(memory.handed_then) as f64;
        ((viewers + since) / memory.weight, 1.0 / memory.weight)
    }

    /// How far a new session has grown, as a share of the whole window.
    fn ramp(&self, memory: &Memory) -> f64 {
        let missing = (self.slow_start + 1).saturating_sub(memory.reports.max(1));
        0.5f64.powi(missing.min(self.slow_start) as i32)
    }

    fn fresh_ms(&self, fresh_until: Duration) -> i32 {
        if self.median.is_some() {
            // PANIC forgives silence.
            return i32::MAX;
        }
        match fresh_until.checked_sub(self.now) {
            Some(left) => i32::try_from(left.as_millis()).unwrap_or(i32::MAX),
            None => -1,
        }
    }
}

/// The eligible edges together.
#[derive(Debug)]
struct Census {
    edges: usize,
    late: usize,
    ramping: usize,
    interval_s: f64,
    capacity_bps: f64,
    late_at: Duration,
    /// How many agents report to how many redirectors; the last counts more than that too.
    targets: [u32; TARGETS_MAX + 1],
}

/// More redirectors than this are not told apart.
const TARGETS_MAX: usize = 64;

impl Census {
    fn none() -> Self {
        Self {
            edges: 0,
            late: 0,
            ramping: 0,
            interval_s: 0.0,
            capacity_bps: 0.0,
            late_at: Duration::MAX,
            targets: [0; TARGETS_MAX + 1],
        }
    }

    /// The median of what agents say; 1 where none says anything.
    fn redirectors(&self) -> f64 {
        let known: u32 = self.targets.iter().skip(1).sum();
        let mut below = 0;
        for (redirectors, agents) in self.targets.iter().enumerate().skip(1) {
            below += agents;
            if below * 2 > known {
                return redirectors as f64;
            }
        }
        1.0
    }

    fn take<'a>(
        eligible: impl Iterator<Item = &'a Memory>,
        selection: &Selection,
        scale: &Scale,
        now: Duration,
    ) -> Self {
        let mut census = Self::none();
        for memory in eligible {
            let late_at = memory.late_at;
            census.edges += 1;
            census.ramping += usize::from(selection.is_ramping(memory.reports));
            census.targets[(memory.redirectors as usize).min(TARGETS_MAX)] += 1;
            census.interval_s += memory.interval.as_secs_f64();
            census.capacity_bps += memory.capacity_bps(scale);
            if now > late_at {
                census.late += 1;
            } else {
                census.late_at = census.late_at.min(late_at);
            }
        }
        census
    }

    fn share(&self, count: usize) -> f64 {
        count as f64 / self.edges.max(1) as f64
    }

    fn mean_interval_s(&self) -> f64 {
        self.interval_s / self.edges.max(1) as f64
    }
}

/// How many of its intervals an edge may be silent until it is late.
pub(super) fn late_intervals(selection: &Selection) -> f64 {
    match selection.policy {
        Policy::Sticky => selection.late_intervals_sticky,
        _ => selection.late_intervals,
    }
}
