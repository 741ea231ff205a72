//! The session table: what is remembered of each edge's sender. Only authenticated datagrams
//! change it, so its size is a matter of key holders alone.

use std::{collections::HashMap, time::Duration};

use tidegate_control::{clock::Now, store::BeatRow};
use tidegate_proto::{
    datagram::{Datagram, Header, SessionId},
    edge::EdgeId,
    key::KeyId,
    seal::{FleetKey, SessionKey},
    window::Window,
};

use super::{
    FRESHNESS, Reject,
    bucket::{Bucket, Rate},
    skew,
};

/// A stored session that was silent for longer gives way to any other: the sender's clock may have
/// been set back. Nothing sent before it fell silent is fresh any more, so nothing can be replayed.
const SILENCE: Duration = Duration::from_secs(2 * FRESHNESS.as_secs());
/// A session that was silent for longer is dropped from the table.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// What one edge may send: the shortest interval there is asks for 10 a second, and a change of
/// state or three goodbyes come besides. More would crowd out the heartbeats of others.
const PACE: Rate = Rate { burst: 100.0, per_second: 20.0 };

/// How many sessions and edges there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most edges remembered.
    pub edges_max: usize,
    /// The most sessions that may begin at once.
    pub session_burst: u32,
    /// The most that may begin per second thereafter.
    pub sessions_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { edges_max: 200_000, session_burst: 10_000, sessions_per_second: 4_000 }
    }
}

/// One edge's sender.
#[derive(Debug)]
pub(super) struct Session {
    id: SessionId,
    window: Window,
    /// Derived when the session's first datagram comes, so a restart derives none at once.
    key: Option<(KeyId, Box<SessionKey>)>,
    /// The sender's clock when the session was taken up.
    begun_unix_ms: u64,
    /// When the last authenticated datagram came, fresh or not.
    heard: Duration,
    /// The sender's clock less ours, if that datagram failed freshness.
    offset_ms: Option<i64>,
    /// Handed from session to session, so that a new one gains nothing.
    pace: Bucket,
}

impl Session {
    /// Opens a datagram of this session and marks its sequence as seen, fresh or not: a held-back
    /// datagram must not count twice, not even as evidence about clocks.
    pub(super) fn open(
        &mut self,
        fleet_key: &FleetKey,
        datagram: &Datagram<'_>,
        now: Now,
        offset_ms: Option<i64>,
    ) -> Result<Vec<u8>, Reject> {
        let header = &datagram.header;
        self.window.check(header.sequence)?;
        let payload = match &self.key {
            Some((id, key)) if *id == header.key_id => key.open(datagram)?,
            _ => {
                let key = fleet_key.edge_key(header.edge_id()).heartbeat_key(header.session);
                let payload = key.open(datagram)?;
                self.key = Some((header.key_id, Box::new(key)));
                payload
            }
        };
        self.window.accept(header.sequence)?;
        self.heard = now.monotonic;
        self.offset_ms = offset_ms;
        if !self.pace.take(PACE, now.monotonic) {
            return Err(Reject::TooFrequent);
        }
        Ok(payload)
    }

    fn was_silent(&self, now: Now, span: Duration) -> bool {
        now.monotonic.saturating_sub(self.heard) > span
    }
}

/// Every edge's session, one each.
#[derive(Debug)]
pub(super) struct Sessions {
    by_edge: HashMap<EdgeId, Session>,
    begun: Bucket,
    limits: Limits,
}

impl Sessions {
    pub(super) fn new(limits: Limits) -> Self {
        let by_edge = HashMap::new();
        Self { by_edge, begun: Bucket::full(limits.rate()), limits }
    }

    pub(super) fn len(&self) -> usize {
        self.by_edge.len()
    }

    /// Takes up sessions known from before a restart. They count as heard now.
    pub(super) fn resume<'a>(&mut self, marks: impl Iterator<Item = &'a BeatRow>, now: Now) {
        self.by_edge.extend(marks.map(|mark| {
            let session = Session {
                id: mark.session,
                window: Window::resumed_after(mark.sequence),
                key: None,
                begun_unix_ms: mark.session.start_unix_ms(),
                heard: now.monotonic,
                offset_ms: None,
                pace: Bucket::full(PACE),
            };
            (mark.id, session)
        }));
    }

    /// The session a header claims, if it is the one that is known.
    pub(super) fn known(&mut self, header: &Header) -> Option<&mut Session> {
        self.by_edge.get_mut(&header.edge_id()).filter(|session| session.id == header.session)
    }

    /// Takes up an authenticated session that is not the known one, or says why not.
    pub(super) fn begin(
        &mut self,
        header: &Header,
        key: SessionKey,
        now: Now,
    ) -> Result<(), Reject> {
        let mut pace = match self.by_edge.get(&header.edge_id()) {
            Some(stored) => stored.give_way_to(header, now).map(|()| stored.pace)?,
            None if self.by_edge.len() >= self.limits.edges_max => return Err(Reject::EdgeLimit),
            None => Bucket::full(PACE),
        };
        if !pace.take(PACE, now.monotonic) {
            return Err(Reject::TooFrequent);
        }
        if !self.begun.take(self.limits.rate(), now.monotonic) {
            return Err(Reject::SessionLimit);
        }
        let mut window = Window::default();
        window.accept(header.sequence)?;
        let session = Session {
            id: header.session,
            window,
            key: Some((header.key_id, Box::new(key))),
            begun_unix_ms: header.sent_at_unix_ms,
            heard: now.monotonic,
            offset_ms: None,
            pace,
        };
        self.by_edge.insert(header.edge_id(), session);
        Ok(())
    }

    /// Drops sessions that nobody needs any more.
    pub(super) fn prune(&mut self, now: Now) {
        self.by_edge.retain(|_, session| !session.was_silent(now, KEPT));
    }

    /// Keys are derived anew, so that none outlives its removal from the ring.
    pub(super) fn drop_keys(&mut self) {
        for session in self.by_edge.values_mut() {
            session.key = None;
        }
    }

    /// The offset that most live edges' clocks have from ours, if most fail freshness by the same.
    pub(super) fn common_offset_ms(&self, now: Now) -> Option<i64> {
        let live = || self.by_edge.values().filter(|session| !session.was_silent(now, FRESHNESS));
        let mut failing: Vec<_> = live().filter_map(|session| session.offset_ms).collect();
        skew::common_offset_ms(live().count(), &mut failing)
    }
}

impl Session {
    fn give_way_to(&self, header: &Header, now: Now) -> Result<(), Reject> {
        let (start, stored) = (header.session.start_unix_ms(), self.id.start_unix_ms());
        let newer = start > stored && start <= now.unix_ms.saturating_add(FRESHNESS_MS);
        if newer || self.was_silent(now, SILENCE) {
            return Ok(());
        }
        // Both times are of senders' clocks: a restart leaves the old session's behind the new
        // one's, a copy of the agent does not.
        let both_send = start <= stored && header.sent_at_unix_ms > self.begun_unix_ms;
        Err(if both_send { Reject::DuplicateEdgeId } else { Reject::StaleSession })
    }
}

impl Limits {
    fn rate(&self) -> Rate {
        Rate { burst: self.session_burst.into(), per_second: self.sessions_per_second.into() }
    }
}

/// [`FRESHNESS`] in milliseconds.
const FRESHNESS_MS: u64 = 1_000 * FRESHNESS.as_secs();
