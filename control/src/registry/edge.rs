//! One edge: what it said, when it was heard, and what was ordered.

use std::{sync::Arc, time::Duration};

use tidegate_proto::{
    datagram::SessionId,
    edge::{Capacity, EdgeName, Host, Labels},
    heartbeat::{Heartbeat, Load, Status, Trouble},
    stream::Streams,
};

use super::{Patience, Report};
use crate::{
    cell::Cell,
    clock::Now,
    order::{Order, Weight, Weighting},
    snapshot::{EdgeView, Liveness},
    store::{BeatRow, EdgeRow, OrderRow, Seen},
};

/// Heartbeats that make a NEW edge UP.
const BEATS_TO_UP: u8 = 2;
/// Empty reports that make a draining edge DRAINED.
pub(super) const REPORTS_TO_DRAINED: u8 = 2;
/// Each return from DOWN beyond the first keeps the edge out of service for this much longer.
const HOLD_STEP: Duration = Duration::from_secs(10);
const HOLD_MAX: Duration = Duration::from_secs(300);
/// So much health makes one return from DOWN forgotten.
const FLAP_DECAY: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) row: EdgeRow,
    pub(super) paused: bool,
    pub(super) trouble: Option<Trouble>,
    pub(super) load: Load,
    pub(super) agent_version: String,
    pub(super) server_version: String,
    pub(super) order: Option<Order>,
    pub(super) weighting: Option<Weighting>,
    /// The revision of the last order of any kind.
    pub(super) order_revision: u64,
    pub(super) drain_revision: u64,
    pub(super) weight_revision: u64,
    /// An order holds here but the store refused it.
    pub(super) order_unsaved: bool,
    pub(super) empty_reports: u8,
    /// Another edge has the better claim to the name.
    pub(super) is_duplicate: bool,
    pub(super) held_until: Duration,
    pub(super) cell: Arc<Cell>,
    pub(super) handed_at_report: u64,
    pub(super) last_heard_unix_ms: u64,
    /// Reports taken in from the present session, before a restart of ours too.
    pub(super) session_reports: u32,
    /// How many redirectors the agent reports to; 0: unknown.
    pub(super) redirectors: u32,
    /// What it carries, gathered from the parts of this session; `None`: it does not say.
    pub(super) streams: Option<Arc<Streams>>,
    /// The last view made, until something changes.
    pub(super) view: Option<Arc<EdgeView>>,
    state: Liveness,
    beats: u8,
    /// On the monotonic clock; for a remembered edge, when it was remembered.
    heard: Duration,
    remembered_alive: bool,
    session: SessionId,
    sequence: u64,
    flaps: u32,
    flaps_settled: Duration,
}

impl Edge {
    /// An edge heard for the first time.
    pub(super) fn introduced(report: &Report, now: Now) -> Self {
        let mut edge = Self {
            row: describe(report, now.unix_ms),
            paused: false,
            trouble: None,
            load: Load::default(),
            agent_version: String::new(),
            server_version: String::new(),
            order: None,
            weighting: None,
            order_revision: 0,
            drain_revision: 0,
            weight_revision: 0,
            order_unsaved: false,
            empty_reports: 0,
            is_duplicate: false,
            held_until: Duration::ZERO,
            cell: Arc::default(),
            handed_at_report: 0,
            last_heard_unix_ms: 0,
            session_reports: 0,
            redirectors: 0,
            streams: None,
            view: None,
            state: Liveness::New,
            beats: 0,
            heard: now.monotonic,
            remembered_alive: false,
            session: report.session,
            sequence: report.sequence,
            flaps: 0,
            flaps_settled: now.monotonic,
        };
        edge.take_in(report, now);
        edge.beats = 1;
        edge
    }

    /// An edge from before a restart.
    pub(super) fn remembered(row: &EdgeRow, beat: Option<&BeatRow>, now: Now) -> Self {
        let seen = beat.map_or(Seen::Alive, |beat| beat.seen);
        Self {
            row: row.clone(),
            paused: seen == Seen::Withdrawn,
            trouble: None,
            load: Load::default(),
            agent_version: String::new(),
            server_version: String::new(),
            order: None,
            weighting: None,
            order_revision: 0,
            drain_revision: 0,
            weight_revision: 0,
            order_unsaved: false,
            empty_reports: beat.map_or(0, |beat| beat.empty_reports),
            is_duplicate: false,
            held_until: Duration::ZERO,
            cell: Arc::default(),
            handed_at_report: 0,
            last_heard_unix_ms: beat.map_or(0, |beat| beat.last_heard_unix_ms),
            // Its agent did not start anew because we did.
            session_reports: beat
                .map_or(0, |beat| u32::try_from(beat.sequence).unwrap_or(u32::MAX)),
            redirectors: 0,
            streams: None,
            view: None,
            state: match seen {
                Seen::Alive | Seen::Withdrawn => Liveness::Unconfirmed,
                Seen::Down => Liveness::Down,
                Seen::Gone => Liveness::Gone,
            },
            beats: 0,
            heard: now.monotonic,
            remembered_alive: matches!(seen, Seen::Alive | Seen::Withdrawn),
            session: beat.map_or(SessionId([0; 16]), |beat| beat.session),
            sequence: beat.map_or(0, |beat| beat.sequence),
            flaps: 0,
            flaps_settled: now.monotonic,
        }
    }

    /// An edge of which nothing but the operator's order survived. It is DOWN until it is heard:
    /// nobody knows where it is, so no client may be sent there, not even once it is undrained.
    pub(super) fn ordered(row: &OrderRow, now: Now) -> Self {
        let nowhere = Host::Address(std::net::Ipv4Addr::UNSPECIFIED.into());
        let description = EdgeRow {
            id: row.id,
            name: row.name.clone(),
            redirect_address: nowhere,
            endpoints: Vec::new(),
            labels: Labels::new(),
            capacity: Capacity::default(),
            interval_ms: 2_500,
            first_heard_unix_ms: now.unix_ms,
        };
        let mut edge = Self::remembered(&description, None, now);
        edge.state = Liveness::Down;
        edge.remembered_alive = false;
        edge
    }

    /// Takes in a heartbeat. Returns whether something changed that a restart must know soon.
    pub(super) fn hear(&mut self, report: &Report, flaps_count: bool, now: Now) -> bool {
        // A goodbye is a session's last word; what was sent before may still arrive after it.
        if self.state == Liveness::Gone && report.session == self.session {
            return false;
        }
        self.view = None;
        let before = (self.state, self.paused, self.trouble.is_some(), self.empty_reports);
        let new_session = report.session != self.session;
        let described = describe(report, self.row.first_heard_unix_ms);
        let redescribed = described != self.row;
        self.row = described;
        self.advance(flaps_count, now);
        self.take_in(report, now);
        if report.goodbye {
            self.state = Liveness::Gone;
        }
        let after = (self.state, self.paused, self.trouble.is_some(), self.empty_reports);
        redescribed || new_session || before != after
    }

    fn take_in(&mut self, report: &Report, now: Now) {
        let heartbeat = &report.heartbeat;
        if report.session != self.session {
            self.sequence = 0;
            self.session_reports = 0;
            self.streams = None;
        }
        self.session_reports = self.session_reports.saturating_add(1);
        self.redirectors = heartbeat.target_count;
        self.take_in_streams(heartbeat);
        self.session = report.session;
        self.sequence = self.sequence.max(report.sequence);
        self.heard = now.monotonic;
        self.last_heard_unix_ms = now.unix_ms;
        self.paused = heartbeat.status == Status::Paused;
        self.cell.set_paused(self.paused || report.goodbye);
        self.trouble.clone_from(&heartbeat.trouble);
        self.load = heartbeat.load;
        self.agent_version.clone_from(&heartbeat.agent_version);
        self.server_version.clone_from(&heartbeat.server_version);
        self.handed_at_report = self.cell.handed();
        self.empty_reports = match heartbeat.load.viewers {
            Some(0) => (self.empty_reports + 1).min(REPORTS_TO_DRAINED),
            _ => 0,
        };
    }

    /// Views share the streams, so they are copied only when a part brings something new.
    fn take_in_streams(&mut self, heartbeat: &Heartbeat) {
        let Some(part) = &heartbeat.streams else {
            // An edge in trouble may have no room for its streams; it gets no viewers anyway.
            if heartbeat.trouble.is_none() {
                self.streams = None;
            }
            return;
        };
        let known = self.streams.get_or_insert_default();
        if known.lacks(part) {
            Arc::make_mut(known).replace(part);
        }
    }

    /// How many streams are kept of it.
    pub(super) fn stream_count(&self) -> usize {
        self.streams.as_ref().map_or(0, |streams| streams.counts().len())
    }

    /// Keeps none of its streams: what it carries is unknown from here on.
    pub(super) fn drop_streams(&mut self) {
        self.streams = None;
        self.view = None;
    }

    fn advance(&mut self, flaps_count: bool, now: Now) {
        match self.state {
            Liveness::Up => self.settle_flaps(now),
            Liveness::Suspect | Liveness::Unconfirmed => self.state = Liveness::Up,
            Liveness::New => {
                self.beats += 1;
                if self.beats >= BEATS_TO_UP {
                    self.state = Liveness::Up;
                }
            }
            Liveness::Down | Liveness::Gone => {
                if self.state == Liveness::Down && flaps_count {
                    self.hold(now);
                }
                self.state = Liveness::New;
                self.beats = 1;
            }
        }
    }

    /// One return from DOWN is a repair; those after it, soon, are flapping.
    fn hold(&mut self, now: Now) {
        let hold = (HOLD_STEP * self.flaps).min(HOLD_MAX);
        self.held_until = now.monotonic + hold;
        self.flaps += 1;
        self.flaps_settled = now.monotonic;
    }

    fn settle_flaps(&mut self, now: Now) {
        if self.flaps > 0 && now.monotonic.saturating_sub(self.flaps_settled) >= FLAP_DECAY {
            self.flaps -= 1;
            self.flaps_settled = now.monotonic;
        }
    }

    /// Whether it has just become SUSPECT by silence.
    pub(super) fn judge_silence(&mut self, patience: &Patience, in_grace: bool, now: Now) -> bool {
        let silent = now.monotonic.saturating_sub(self.heard) > self.lease(patience);
        let turns = match self.state {
            Liveness::New | Liveness::Up => silent,
            Liveness::Unconfirmed => !in_grace,
            _ => false,
        };
        if turns {
            self.state = Liveness::Suspect;
            self.view = None;
        } else if self.held_until > Duration::ZERO && now.monotonic >= self.held_until {
            self.held_until = Duration::ZERO;
            self.view = None;
        }
        turns
    }

    /// The silence it is allowed before it gets no new viewers.
    pub(super) fn lease(&self, patience: &Patience) -> Duration {
        self.interval().mul_f64(patience.suspect_intervals)
    }

    pub(super) fn is_overdue(&self, patience: &Patience, now: Now) -> bool {
        let limit = self.interval().mul_f64(patience.down_intervals);
        self.state == Liveness::Suspect && now.monotonic.saturating_sub(self.heard) > limit
    }

    pub(super) fn set_down(&mut self) {
        self.state = Liveness::Down;
        self.view = None;
    }

    /// The operator's record of it.
    pub(super) fn order_row(&self) -> OrderRow {
        OrderRow {
            id: self.row.id,
            name: self.row.name.clone(),
            order: self.order.clone(),
            weighting: self.weighting.clone(),
            revision: self.order_revision,
            drain_revision: self.drain_revision,
            weight_revision: self.weight_revision,
        }
    }

    /// How large its share of the viewers is.
    pub(super) fn weight(&self) -> Weight {
        self.weighting.as_ref().map_or_else(Weight::default, |weighting| weighting.weight)
    }

    /// Never while the operator's order stands, nor while one is on its way to the store.
    pub(super) fn is_forgettable(&self, patience: &Patience, now: Now) -> bool {
        matches!(self.state, Liveness::Down | Liveness::Gone)
            && self.order.is_none()
            && self.weighting.is_none()
            && !self.cell.is_drained()
            && now.monotonic.saturating_sub(self.heard) > patience.forget_after
    }

    /// Health by silence and goodbyes alone.
    pub(super) fn liveness(&self) -> Liveness {
        self.state
    }

    /// Whether it can answer to its name: not DOWN and not GONE.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.state, Liveness::Down | Liveness::Gone)
    }

    pub(super) fn last_heard(&self) -> Duration {
        self.heard
    }

    pub(super) fn was_remembered_alive(&self) -> bool {
        self.remembered_alive
    }

    pub(super) fn beat_row(&self) -> BeatRow {
        BeatRow {
            id: self.row.id,
            last_heard_unix_ms: self.last_heard_unix_ms,
            session: self.session,
            sequence: self.sequence,
            seen: match self.state {
                Liveness::Down => Seen::Down,
                Liveness::Gone => Seen::Gone,
                _ if self.paused || self.trouble.is_some() => Seen::Withdrawn,
                _ => Seen::Alive,
            },
            empty_reports: self.empty_reports,
        }
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(self.row.interval_ms.into())
    }
}

fn describe(report: &Report, first_heard_unix_ms: u64) -> EdgeRow {
    let heartbeat = &report.heartbeat;
    EdgeRow {
        id: report.edge,
        name: heartbeat.name.clone().unwrap_or_else(|| EdgeName::unnamed(report.edge)),
        redirect_address: heartbeat
            .redirect_address
            .clone()
            .unwrap_or_else(|| Host::Address(report.source.to_canonical())),
        endpoints: heartbeat.endpoints.clone(),
        labels: heartbeat.labels.clone(),
        capacity: heartbeat.capacity,
        interval_ms: u32::try_from(heartbeat.interval.as_millis()).unwrap_or(u32::MAX),
        first_heard_unix_ms,
    }
}
