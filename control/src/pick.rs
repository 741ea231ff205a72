//! Choosing an edge: pure, from a snapshot, the time and a source of randomness.
//!
//! A policy draws a place from the table's pools; whatever it draws is checked here before it counts:
//! the order against the edge, silence, the client's own needs. It takes no lock and no memory.

mod draw;
mod explain;
mod reach;
mod search;
mod sticky;
mod why;

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use rand::Rng;
use tidegate_proto::edge::{EdgeId, Scheme};

pub use self::explain::{Explained, Explanation, explain, predicted_load};
pub(crate) use self::reach::{Door, Doors};
use self::search::{Candidate, Search};
use crate::{
    publish::Snapshot,
    selection::{Policy, Pool},
    snapshot::EdgeView,
};

/// What a client needs of an edge.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The scheme it is to be sent with; `None`: only a host is asked for, any edge will do.
    pub scheme: Option<Scheme>,
    /// The port for edges that list no endpoints: the one the client reached us on.
    pub port: u16,
    /// The port to use whatever the edge lists.
    pub port_override: Option<u16>,
    /// Where this redirector itself listens: no answer may lead back to it.
    pub own: &'a HashSet<(IpAddr, u16)>,
    /// Edges that have failed this client already.
    pub tried: &'a [EdgeId],
    /// What it asks for, see [`stream_of`](crate::selection::stream_of): an HTTP path, or an RTMP
    /// application with the stream where that is known; empty: unknown.
    pub path: &'a str,
    /// Who asks, behind the proxies that are believed; `None`: unknown, or of no zone.
    pub client: Option<IpAddr>,
    /// Whether an edge above `overflow_at` is not to be chosen, because another place can serve.
    pub has_overflow: bool,
}

impl<'a> Wanted<'a> {
    /// A client of whom nothing more is known than what it speaks and where it reached us.
    #[must_use]
    pub fn new(scheme: Option<Scheme>, port: u16, own: &'a HashSet<(IpAddr, u16)>) -> Self {
        Self {
            scheme,
            port,
            port_override: None,
            own,
            tried: &[],
            path: "",
            client: None,
            has_overflow: false,
        }
    }
}

/// An edge and how to reach it.
#[derive(Debug, Clone)]
pub struct Picked {
    /// The edge.
    pub edge: Arc<EdgeView>,
    /// The scheme to use; `http` where none was asked for.
    pub scheme: Scheme,
    /// The port to use.
    pub port: u16,
    /// The edge's predicted load before this client, as a share of its capacity.
    pub load: f32,
}

/// A [`Picked`] that holds on to the snapshot.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// The edge.
    pub edge: &'a Arc<EdgeView>,
    /// The scheme to use; `http` where none was asked for.
    pub scheme: Scheme,
    /// The port to use.
    pub port: u16,
    /// The edge's predicted load before this client, as a share of its capacity.
    pub load: f32,
}

impl Chosen<'_> {
    /// The same, free of the snapshot.
    #[must_use]
    #[inline]
    pub fn picked(&self) -> Picked {
        let Self { edge, scheme, port, load } = *self;
        Picked { edge: Arc::clone(edge), scheme, port, load }
    }
}

/// Why there is no edge. The name is the reason code clients and metrics see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoEdge {
    /// No edge is known.
    EmptyFleet,
    /// Every known edge is drained or paused.
    AllDrained,
    /// Edges are known, but none is healthy.
    NoneHealthy,
    /// Healthy edges exist, but none serves what the client needs.
    NoEndpoint,
    /// Edges could serve the client, but none carries the labels demanded.
    NoLabel,
    /// Every edge that could serve is full, and another place can serve.
    Full,
}

impl NoEdge {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::EmptyFleet,
        Self::AllDrained,
        Self::NoneHealthy,
        Self::NoEndpoint,
        Self::NoLabel,
        Self::Full,
    ];

    /// The reason code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::EmptyFleet => "empty_fleet",
            Self::AllDrained => "all_drained",
            Self::NoneHealthy => "none_healthy",
            Self::NoEndpoint => "no_endpoint",
            Self::NoLabel => "no_label",
            Self::Full => "full",
        }
    }
}

/// How often a policy draws anew because the client cannot use what was drawn, before all are
/// looked at.
const DRAWS: usize = 4;

/// Chooses an edge and counts the redirect. The caller holds the snapshot's guard until its answer
/// is made.
pub fn pick(
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    now: Duration,
    random: &mut impl Rng,
) -> Result<Picked, NoEdge> {
    choose(snapshot, wanted, now, random).map(|chosen| chosen.picked())
}

/// As [`pick`], for those who do not keep the edge longer than the snapshot. What is known of an edge
/// lies far apart from what a choice needs, and is not looked at.
pub fn choose<'a>(
    snapshot: &'a Snapshot,
    wanted: &Wanted<'_>,
    now: Duration,
    random: &mut impl Rng,
) -> Result<Chosen<'a>, NoEdge> {
    let search = Search::new(snapshot, wanted, now);
    let mut is_full = false;
    let chosen = snapshot.table.find_in_pools(wanted, |pool| {
        let found = find(&search, pool, random)?;
        if search.is_full(found.load) {
            is_full = true;
            return None;
        }
        search.hand_out(&found);
        Some(found.shown())
    });
    chosen.ok_or_else(|| if is_full { NoEdge::Full } else { why::no_edge(&search) })
}

/// An edge of a pool: as the policy draws, else the best of those that the client can use.
fn find<'a>(search: &Search<'a, '_>, pool: &Pool, random: &mut impl Rng) -> Option<Candidate<'a>> {
    let is_sticky = search.table.selection.policy == Policy::Sticky;
    let kept = if is_sticky { sticky::draw(search, pool, random) } else { None };
    let drawn = kept.or_else(|| {
        (0..DRAWS).find_map(|_| {
            let drawn = draw::draw(search.table, pool, search.age_ms, random)?;
            search.drawn(pool, drawn)
        })
    });
    match drawn {
        Some(found) if !search.is_full(found.load) => Some(found),
        _ => look_at_all(search, pool, drawn, random),
    }
}

/// The best of a pool, where what was drawn is full, or nothing was drawn that the client can use.
#[cold]
fn look_at_all<'a>(
    search: &Search<'a, '_>,
    pool: &Pool,
    drawn: Option<Candidate<'a>>,
    random: &mut impl Rng,
) -> Option<Candidate<'a>> {
    // Where all have their share of the stream, a share gives way to the viewer.
    let beyond = search.beyond_shares();
    let found = drawn
        .or_else(|| search.least(pool.members(), random))
        .or_else(|| beyond.least(pool.members(), random))
        .or_else(|| pool.reserves().find_map(|places| beyond.least(places, random)))?;
    if search.is_full(found.load) && !pool.members().is_empty() {
        // Drawing goes by chance, so that there may be room where it did not look.
        return search.least(pool.members(), random).or(Some(found));
    }
    Some(found)
}

/// Up to `count` further edges for the same client, least loaded first, none of them full where
/// another place can serve. A client that is sent to an edge it has named may go to the others it has
/// named too. Counts nothing.
#[must_use]
pub fn alternates(
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    now: Duration,
    picked: &Picked,
    count: usize,
) -> Vec<Picked> {
    let tried = if wanted.tried.contains(&picked.edge.id) { &[] } else { wanted.tried };
    let wanted = &Wanted { tried, ..*wanted };
    let search = Search::new(snapshot, wanted, now).beyond_shares();
    let Some(pool) = snapshot.table.pools(wanted).pop() else { return Vec::new() };
    let mut best: Vec<(u64, Candidate<'_>)> = Vec::with_capacity(count + 1);
    let measured_first = std::iter::once(pool.members()).chain(pool.reserves().take(2));
    for (rank, places) in (0u64..).zip(measured_first) {
        for &place in places {
            let key = rank << 48 | search.table.prediction_key(place);
            if best.len() == count && best.last().is_none_or(|(worst, _)| key >= *worst) {
                continue;
            }
            let Some(other) = search.chosen(place) else { continue };
            if other.edge.id != picked.edge.id && !search.is_full(other.load) {
                best.insert(best.partition_point(|(better, _)| *better <= key), (key, other));
                best.truncate(count);
            }
        }
    }
    best.into_iter().map(|(_, other)| other.shown().picked()).collect()
}

#[cfg(test)]
mod tests;
