//! What is remembered of one edge between tables.

use std::time::Duration;

use super::{
    ledger::{History, Ledger},
    score::{Figures, Scale},
};
use crate::snapshot::EdgeView;

/// How fast an edge's capacity follows what its reports say of it.
const CAPACITY_S: f64 = 30.0;
/// Below this share of use a report says nothing about the capacity.
const SHARE_MIN: f64 = 0.1;
/// No edge's capacity is taken for less than this share of its limits.
const RATIO_MIN: f64 = 0.25;
/// No weight counts for less.
const WEIGHT_MIN: f64 = 1e-3;

#[derive(Debug, Clone)]
pub(super) struct Memory {
    pub(super) kind: u32,
    pub(super) figures: Figures,
    pub(super) ledger: Ledger,
    /// Redirects since the process started, now and before the last report.
    pub(super) handed: u64,
    pub(super) handed_then: u64,
    pub(super) weight: f64,
    /// The capacity that shows in reports, as a share of the known limits.
    pub(super) ratio: f64,
    pub(super) reports: u32,
    pub(super) redirectors: u32,
    pub(super) interval: Duration,
    pub(super) fresh_until: Duration,
    /// When its last report was taken in; `None`: it is not in any view yet.
    pub(super) heard: Option<Duration>,
    /// When that will have been too long ago.
    pub(super) late_at: Duration,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            kind: 0,
            figures: Figures::default(),
            ledger: Ledger::default(),
            handed: 0,
            handed_then: 0,
            weight: 1.0,
            ratio: 1.0,
            reports: 0,
            redirectors: 0,
            interval: Duration::ZERO,
            fresh_until: Duration::ZERO,
            heard: None,
            late_at: Duration::ZERO,
        }
    }
}

impl Memory {
    /// Takes in a view that has changed. `seen` says how many redirects a report confirms.
    pub(super) fn take_in(&mut self, edge: &EdgeView, kind: u32, scale: &Scale) {
        self.kind = kind;
        self.figures = Figures::of(&edge.load, &edge.capacity);
        self.handed_then = edge.handed_at_report;
        self.weight = edge.weight.max(WEIGHT_MIN);
        self.reports = edge.session_reports;
        self.redirectors = edge.redirectors;
        self.interval = edge.interval;
        self.fresh_until = edge.fresh_until;
        self.learn_capacity(edge.heard, scale);
    }

    /// Takes in a report, if the view has a new one. `count` is what was handed out to the edge at
    /// its place, as the history keeps it.
    pub(super) fn hear(
        &mut self,
        edge: &EdgeView,
        history: &History,
        (place, count): (usize, u32),
        now: Duration,
    ) {
        if self.heard == Some(edge.heard) {
            return;
        }
        let handed = (edge.cell.handed(), count);
        let seen = history.seen(place, edge.heard, edge.handed_at_report, (now, handed));
        self.ledger.hear(&edge.load, seen, edge.heard);
        self.heard = Some(edge.heard);
    }

    /// An edge that is short of something else than what it is limited by carries less: what it
    /// sends and the share that this takes up say how much.
    fn learn_capacity(&mut self, heard: Duration, scale: &Scale) {
        let score = scale.score(&self.figures);
        let shown = if score.share < SHARE_MIN {
            1.0
        } else {
            (score.traffic_bps / score.share / scale.nominal_bps(&self.figures))
                .clamp(RATIO_MIN, 1.0)
        };
        let part = match self.heard {
            None => 1.0,
            Some(last) => 1.0 - (-heard.saturating_sub(last).as_secs_f64() / CAPACITY_S).exp(),
        };
        self.ratio += (shown - self.ratio) * part;
    }

    /// What it is reckoned to carry beside the others, in bits per second.
    pub(super) fn capacity_bps(&self, scale: &Scale) -> f64 {
        scale.nominal_bps(&self.figures) * self.ratio * self.weight
    }

    /// Its last report is late once it is older than so many of its intervals.
    pub(super) fn expect(&mut self, intervals: f64) {
        let heard = self.heard.unwrap_or_default();
        self.late_at = heard.saturating_add(self.interval.mul_f64(intervals));
    }
}
