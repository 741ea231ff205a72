//! What picks know of streams: who carries them, where they were sent lately, where a new host is to
//! be looked for, and whether an edge has its share.

use std::{sync::Arc, time::Duration};

use tidegate_proto::stream::{StreamHash, Streams};

use super::{
    Policy, Selection,
    hosts::{Host, Hosts},
    mix,
    openings::Openings,
    ring::Ring,
    spread::Handed,
};
use crate::snapshot::{EdgeView, FleetView};

/// So many pairs of edge and stream are gathered again at every table; more of them less often, so
/// that they never cost more than this many do.
const HOSTS_AT_ONCE: usize = 100_000;
const HOSTS_EVERY: Duration = Duration::from_millis(100);
/// The ring follows changes of who is eligible no more often than this.
const RING_EVERY: Duration = Duration::from_secs(1);

/// The part of a table that knows streams. Made only where the policy or a limit asks for it.
#[derive(Debug, Clone)]
pub(crate) struct Affinity {
    hosts: Arc<Hosts>,
    ring: Arc<Ring>,
    openings: Arc<Openings>,
    limit: Option<Limit>,
}

/// No edge is sent more than its share of a stream.
#[derive(Debug, Clone)]
struct Limit {
    share_max: f64,
    from: u64,
    handed: Handed,
    /// Each edge's number, by place.
    edges: Arc<[u64]>,
}

impl Affinity {
    /// The edges that report a stream, by place.
    pub(crate) fn hosts(&self, stream: StreamHash) -> &[Host] {
        self.hosts.of_stream(stream)
    }

    /// Where it was sent lately.
    pub(crate) fn openings(
        &self,
        stream: StreamHash,
        now: Duration,
    ) -> impl Iterator<Item = u32> + '_ {
        self.openings.of_stream(stream, now)
    }

    /// The `turn`-th edge to try as a new host, and the number from 0 to 1 to accept it by.
    pub(crate) fn try_for(&self, stream: StreamHash, turn: u32) -> Option<(u32, f32)> {
        self.ring.try_for(stream, turn)
    }

    /// Notes that a client of the stream was sent to a place.
    pub(crate) fn note(&self, stream: StreamHash, place: u32, now: Duration) {
        if self.host(stream, place).is_none() {
            self.openings.note(stream, place, now);
        }
        if let Some(limit) = &self.limit
            && let Some(edge) = limit.edges.get(place as usize)
        {
            limit.handed.note(stream, *edge);
        }
    }

    /// Whether one more viewer of the stream leaves the edge within its share, counting what each
    /// of so many redirectors has handed out lately.
    pub(crate) fn allows(&self, stream: StreamHash, place: u32, redirectors: f32) -> bool {
        let Some(limit) = &self.limit else { return true };
        let Some(edge) = limit.edges.get(place as usize) else { return true };
        let (own, all) = limit.handed.counts(stream, *edge);
        let reported =
            |host: Option<&Host>, count: fn(&Host) -> u32| f64::from(host.map_or(0, count));
        let redirectors = f64::from(redirectors);
        let any = self.hosts(stream).first();
        let all = reported(any, |host| host.viewers_in_all) + all as f64 * redirectors;
        let own =
            reported(self.host(stream, place), |host| host.viewers) + own as f64 * redirectors;
        all < limit.from as f64 || own < limit.share_max * (all + 1.0)
    }

    fn host(&self, stream: StreamHash, place: u32) -> Option<&Host> {
        let hosts = self.hosts(stream);
        hosts.binary_search_by_key(&place, |host| host.place).ok().map(|at| &hosts[at])
    }
}

/// Makes the [`Affinity`] of each table, from that of the last one where little has changed.
#[derive(Debug)]
pub(super) struct Follower {
    affinity: Option<Affinity>,
    /// What the hosts and the ring were made of, and when.
    hosts_of: Arc<FleetView>,
    hosts_at: Duration,
    ring_of: Arc<FleetView>,
    ring_at: Duration,
}

impl Follower {
    pub(super) fn new(selection: &Selection) -> Self {
        let is_limited = selection.stream_share_max < 1.0;
        let limit = is_limited.then(|| Limit {
            share_max: selection.stream_share_max,
            from: u64::from(selection.stream_share_from),
            handed: Handed::default(),
            edges: Arc::new([]),
        });
        let is_needed = is_limited || selection.policy == Policy::Sticky;
        let affinity = is_needed.then(|| Affinity {
            hosts: Arc::default(),
            ring: Arc::default(),
            openings: Arc::default(),
            limit,
        });
        Self {
            affinity,
            hosts_of: Arc::default(),
            hosts_at: Duration::ZERO,
            ring_of: Arc::default(),
            ring_at: Duration::ZERO,
        }
    }

    /// What the next table is to know; `None`: nothing asks for it.
    pub(super) fn follow(&mut self, fleet: &Arc<FleetView>, now: Duration) -> Option<Affinity> {
        let affinity = self.affinity.as_mut()?;
        let has_moved = !has_same_places(&self.hosts_of, fleet);
        if has_moved {
            let old = &self.hosts_of.edges;
            let place = |place: u32| {
                let edge = old.get(place as usize)?;
                fleet.by_id.get(&edge.id).and_then(|place| u32::try_from(*place).ok())
            };
            affinity.openings = Arc::new(affinity.openings.moved(place));
            if let Some(limit) = &mut affinity.limit {
                limit.edges = fleet.edges.iter().map(|edge| mix::of_edge(edge.id)).collect();
            }
        }
        let pairs = affinity.hosts.len().max(HOSTS_AT_ONCE) as f64;
        let hosts_every = HOSTS_EVERY.mul_f64(pairs / HOSTS_AT_ONCE as f64);
        let is_due = |at: Duration, every| now.saturating_sub(at) >= every;
        if has_moved
            || is_due(self.hosts_at, hosts_every) && differs(&self.hosts_of, fleet, carries_same)
        {
            affinity.hosts = Arc::new(Hosts::of(carriers(fleet)));
            (self.hosts_of, self.hosts_at) = (Arc::clone(fleet), now);
        }
        if has_moved || is_due(self.ring_at, RING_EVERY) && differs(&self.ring_of, fleet, is_as_big)
        {
            affinity.ring = Arc::new(Ring::of(fleet));
            (self.ring_of, self.ring_at) = (Arc::clone(fleet), now);
        }
        if let Some(limit) = &mut affinity.limit {
            limit.handed.turn(now);
        }
        Some(affinity.clone())
    }
}

/// The streams of the edges that may be chosen.
fn carriers(fleet: &FleetView) -> impl Iterator<Item = (u32, &Streams)> + Clone {
    (0..).zip(&fleet.edges).filter_map(|(place, edge)| {
        edge.streams.as_deref().filter(|_| edge.eligible).map(|streams| (place, streams))
    })
}

fn has_same_places(old: &FleetView, new: &FleetView) -> bool {
    let same = |(old, new): (&Arc<EdgeView>, &Arc<EdgeView>)| old.id == new.id;
    old.edges.len() == new.edges.len()
        && (Arc::ptr_eq(&old.by_id, &new.by_id) || old.edges.iter().zip(&new.edges).all(same))
}

/// Whether any edge is not the same in two views with the same places.
fn differs(
    old: &Arc<FleetView>,
    new: &Arc<FleetView>,
    same: fn(&EdgeView, &EdgeView) -> bool,
) -> bool {
    let mut pairs = old.edges.iter().zip(&new.edges);
    !Arc::ptr_eq(old, new) && pairs.any(|(old, new)| !Arc::ptr_eq(old, new) && !same(old, new))
}

fn carries_same(old: &EdgeView, new: &EdgeView) -> bool {
    let same_streams = match (&old.streams, &new.streams) {
        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
        (old, new) => old.is_none() && new.is_none(),
    };
    same_streams && old.eligible == new.eligible
}

fn is_as_big(old: &EdgeView, new: &EdgeView) -> bool {
    (old.capacity, old.weight, old.eligible) == (new.capacity, new.weight, new.eligible)
}
