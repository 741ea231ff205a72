//! What the operator can set about the choice of an edge. docs/selection.md has the same table.

use std::{sync::Arc, time::Duration};

use tidegate_proto::edge::Labels;

use super::{Evidence, Policy, Zones, beginning::begins_with};

/// How edges are chosen. Each field names its range; whoever reads a configuration checks it.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The policy.
    pub policy: Policy,
    /// How many redirectors share the clients; 0: what most agents report. At most 64.
    pub redirectors: u32,
    /// How long a redirected client takes until its edge counts it: redirects younger than this at
    /// a report are not in it yet. 0 to 30 s.
    pub landing_delay: Duration,
    /// The share of an edge's capacity that may be handed out without a report confirming it
    /// (the confirmation window). 0.01 to 10.
    pub window: f64,
    /// In so many reports a new session of an agent grows to the full window, doubling with each;
    /// 0: at once. At most 16.
    pub slow_start_reports: u32,
    /// An edge whose report is older than this many of its intervals gets no new viewers while
    /// others can. 1.05 to 100.
    pub late_intervals: f64,
    /// The same under `sticky`, which would open new hosts for every missed report. 1.05 to 100.
    pub late_intervals_sticky: f64,
    /// If more than this share of the eligible edges is late, being late is forgiven. 0 to 1.
    pub late_share_max: f64,
    /// `sticky` stays on a stream's hosts while they are at most this much above the mean. 0 to 10.
    pub sticky_slack: f64,
    /// Or while they carry less than this share of their capacity. 0 to 1.
    pub sticky_floor: f64,
    /// No edge is sent more than this share of a stream's viewers, by what edges report of their
    /// streams and what was handed out lately, whatever the policy; 1: no limit. 0.01 to 1. Where
    /// every edge that could serve a client has its share, the limit gives way to the client.
    pub stream_share_max: f64,
    /// Streams with fewer viewers than this in the fleet are not limited.
    pub stream_share_from: u32,
    /// Labels that every edge must carry.
    pub labels: Labels,
    /// What more an edge must carry for some paths; the first rule that fits counts. At most 16.
    pub rules: Vec<Rule>,
    /// The label that holds an edge's zone.
    pub zone_label: String,
    /// A zone's clients go to the next zone while its mean load is above this share. 0 to 10.
    pub zone_spill: f64,
    /// Which clients belong to which zone.
    pub zones: Zones,
    /// No edge above this predicted load is chosen where an overflow target can serve instead.
    /// 0.01 to 10.
    pub overflow_at: f64,
    /// Clients' word that an edge has failed them (`tg_failed`), where it counts against the edge.
    pub failure_evidence: Option<Arc<Evidence>>,
}

/// What edges must carry for paths that begin with a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The beginning of a path, for example `/vip/`; `/` fits all.
    pub path: String,
    /// The labels demanded.
    pub labels: Labels,
}

impl Selection {
    /// The place of the first rule that fits a path.
    #[must_use]
    #[inline]
    pub fn rule_of(&self, path: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.fits(path))
    }

    /// Whether a session of so many reports is too new for the full confirmation window.
    pub(crate) fn is_ramping(&self, session_reports: u32) -> bool {
        session_reports <= self.slow_start_reports
    }
}

impl Rule {
    /// Whether it is for this path, which may have a query behind it, and may do without the slash at
    /// its beginning (RTMP has none) and the one that ends the rule: `/vip/` is for `vip` too.
    #[must_use]
    pub fn fits(&self, path: &str) -> bool {
        begins_with(path, &self.path)
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            redirectors: 0,
            landing_delay: Duration::from_secs(1),
            window: 0.2,
            slow_start_reports: 4,
            late_intervals: 1.2,
            late_intervals_sticky: 2.3,
            late_share_max: 0.3,
            sticky_slack: 0.045,
            sticky_floor: 0.3,
            stream_share_max: 1.0,
            stream_share_from: 100,
            labels: Labels::new(),
            rules: Vec::new(),
            zone_label: "zone".into(),
            zone_spill: 0.8,
            zones: Zones::default(),
            overflow_at: 1.0,
            failure_evidence: None,
        }
    }
}
