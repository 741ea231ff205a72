//! Staying on the edges that carry a stream. An edge that gets a stream for the first time pulls it
//! from the origin; few such pulls are wanted, and yet no edge far above the mean.

use rand::{Rng, RngExt};
use tidegate_proto::stream::StreamHash;

use super::search::{Candidate, Search};
use crate::selection::Pool;

/// The best of at most so many hosts is taken, out of at most so many looked at.
const HOSTS_MAX: usize = 16;
const LOOKED_AT_MAX: usize = 64;
/// Edges tried as a new host, before one is drawn as for a stream that is not known. Looking for the
/// least loaded of all instead would take too long for every client of a crowd that fills a large
/// fleet.
const TRIES_MAX: u32 = 400;
/// Streams with so many hosts are spread to edges far below the mean.
const SPREAD_HOSTS_MIN: usize = 2;
/// Edges this close above the mean may become hosts too, so that an even fleet has some.
const HEADROOM_MIN: f32 = 0.005;

/// A host of the client's stream, or a new one. `None`: the stream is not known, or no edge of the
/// pool is below the mean and has an open window.
pub(super) fn draw<'a>(
    search: &Search<'a, '_>,
    pool: &Pool,
    random: &mut impl Rng,
) -> Option<Candidate<'a>> {
    let stream = search.stream?;
    // Hosts are in the order of places, so that looking begins anywhere.
    let start = random.random_range(0..starts(search, stream));
    let (stays, count) = host(search, pool, stream, start);
    let spreads = may_spread(count) && random.random::<f32>() < pool.spread_chance();
    let taken = if spreads { None } else { stays };
    taken.and_then(|host| search.chosen(host.place)).or_else(|| open(search, pool, stream))
}

/// Whether a stream on so many hosts may fill edges that are far below the mean. One on a single host
/// stays there: a second pull for it would come of nothing but chance.
pub(super) fn may_spread(hosts: usize) -> bool {
    hosts >= SPREAD_HOSTS_MIN
}

/// What was found among the hosts of a stream.
#[derive(Default)]
struct Found<'a> {
    /// Hosts that serve; more are not counted once there are enough.
    count: usize,
    best: Option<Candidate<'a>>,
    key: u64,
}

/// How many beginnings a look at the hosts of a stream has.
pub(super) fn starts(search: &Search<'_, '_>, stream: StreamHash) -> usize {
    let hosts = search.table.affinity.as_ref().map(|affinity| affinity.hosts(stream).len());
    hosts.unwrap_or(0).max(1)
}

/// The best host that takes one more, seen from a start, and how many hosts were seen.
pub(super) fn host<'a>(
    search: &Search<'a, '_>,
    pool: &Pool,
    stream: StreamHash,
    start: usize,
) -> (Option<Candidate<'a>>, usize) {
    let hosts = best_host(search, pool, stream, start);
    (hosts.best.filter(|host| has_room(search, pool, host.place)), hosts.count)
}

fn best_host<'a>(
    search: &Search<'a, '_>,
    pool: &Pool,
    stream: StreamHash,
    start: usize,
) -> Found<'a> {
    let mut found = Found { key: u64::MAX, ..Found::default() };
    let Some(affinity) = &search.table.affinity else { return found };
    let reported = affinity.hosts(stream);
    let (before, after) = reported.split_at(start.min(reported.len()));
    let reported = after.iter().chain(before).map(|host| host.place).take(LOOKED_AT_MAX);
    for place in affinity.openings(stream, search.now).chain(reported) {
        if found.count >= HOSTS_MAX {
            break;
        }
        if pool.has(place) && !search.is_closed(place) {
            found.consider(search, place);
        }
    }
    found
}

impl<'a> Found<'a> {
    fn consider(&mut self, search: &Search<'a, '_>, place: u32) {
        self.count += 1;
        let key = search.table.prediction_key(place);
        if key < self.key
            && let Some(host) = search.chosen(place)
        {
            (self.key, self.best) = (key, Some(host));
        }
    }
}

/// Whether a host takes one more: it is hardly above the mean, or has plenty of capacity left.
fn has_room(search: &Search<'_, '_>, pool: &Pool, place: u32) -> bool {
    let selection = &search.table.selection;
    let level =
        (f64::from(pool.mean()) * (1.0 + selection.sticky_slack)).max(selection.sticky_floor);
    search.table.window_open(place) && f64::from(search.table.load_with_one_more(place)) <= level
}

/// A new host: the first on the stream's way along the ring that is accepted, the more readily the
/// lower it is below the mean. The way and what is accepted depend on the stream and on loads alone,
/// so redirectors open the same host.
pub(super) fn open<'a>(
    search: &Search<'a, '_>,
    pool: &Pool,
    stream: StreamHash,
) -> Option<Candidate<'a>> {
    let affinity = search.table.affinity.as_ref()?;
    let top = pool.mean() + HEADROOM_MIN;
    (0..TRIES_MAX).find_map(|turn| {
        let (place, chance) = affinity.try_for(stream, turn)?;
        let headroom = (top - search.table.live_load(place)) / (top - pool.lowest());
        let accepted = pool.has(place) && chance < headroom && search.table.window_open(place);
        if accepted { search.chosen(place) } else { None }
    })
}

#[cfg(test)]
mod tests;
