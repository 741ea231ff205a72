//! The chance of every edge: what a pick does with one draw, done with all that could be drawn.

use tidegate_proto::stream::StreamHash;

use super::super::{DRAWS, Search, sticky};
use crate::selection::{Alias, Draw, Gist, Policy, Pool};

/// So many beginnings of a look at a stream's hosts are followed.
const STARTS_MAX: usize = 1_024;

/// The chances of a fleet's edges.
#[derive(Debug)]
pub(super) struct Chances {
    by_place: Vec<Standing>,
    /// Whether there is a chance that nobody is chosen, and none that somebody is.
    pub(super) nobody: bool,
    /// Whether edges were passed over for being full.
    pub(super) is_full: bool,
}

/// One edge among the pools of the client.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    pub(super) chance: f64,
    /// Whether it has the chance for carrying the stream.
    pub(super) is_host: bool,
    /// Whether it is offered to anybody, be it to stand in.
    pub(super) is_offered: bool,
    /// Whether clients had voted it out when the table was made.
    pub(super) is_voted_out: bool,
    /// Whether a pick looks at a pool that has it.
    pub(super) is_asked: bool,
    /// Where it is in the pool of all zones; `None`: nowhere.
    pub(super) tier: Option<Tier>,
}

/// The lists of a [`Pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Member,
    Late,
    Unmeasured,
    StandIn,
}

/// One edge that may be found, and how likely it is.
struct Chance {
    place: u32,
    chance: f64,
    is_host: bool,
}

impl Chances {
    /// Goes through the pools as a pick does. What is passed over in one goes on to the next.
    pub(super) fn of(search: &Search<'_, '_>) -> Self {
        let by_place = vec![Standing::default(); search.fleet.edges.len()];
        let mut chances = Self { by_place, nobody: true, is_full: false };
        for &place in search.fleet.eligible.iter().chain(&search.fleet.fallback) {
            if let Some(standing) = chances.by_place.get_mut(place) {
                standing.is_offered = true;
            }
        }
        for &place in search.table.voted_out() {
            if let Some(standing) = chances.by_place.get_mut(place) {
                standing.is_voted_out = true;
            }
        }
        if let Some(all) = search.table.pools(search.wanted).pop() {
            chances.sort(all);
        }
        let mut left = 1.0;
        for pool in search.table.pools(search.wanted) {
            chances.look_at(pool);
            let mut passed = 0.0;
            let found = found(search, pool);
            if found.is_empty() {
                continue;
            }
            for Chance { place, chance, is_host } in found {
                if search.is_full(search.table.live_load(place)) {
                    passed += chance;
                    chances.is_full = true;
                } else {
                    chances.nobody = false;
                    chances.change(&[place], |standing| {
                        standing.chance += chance * left;
                        standing.is_host |= is_host;
                    });
                }
            }
            left *= passed;
            if left <= 0.0 {
                break;
            }
        }
        chances
    }

    pub(super) fn of_place(&self, place: u32) -> Standing {
        self.by_place.get(place as usize).copied().unwrap_or_default()
    }

    fn sort(&mut self, pool: &Pool) {
        let reserves = [Tier::Late, Tier::Unmeasured, Tier::StandIn, Tier::StandIn];
        let lists = std::iter::once((Tier::Member, pool.members()));
        for (tier, places) in lists.chain(reserves.into_iter().zip(pool.reserves())) {
            self.change(places, |standing| standing.tier = Some(tier));
        }
    }

    fn look_at(&mut self, pool: &Pool) {
        for places in std::iter::once(pool.members()).chain(pool.reserves()) {
            self.change(places, |standing| standing.is_asked = true);
        }
    }

    fn change(&mut self, places: &[u32], how: impl Fn(&mut Standing)) {
        for place in places {
            if let Some(standing) = self.by_place.get_mut(*place as usize) {
                how(standing);
            }
        }
    }
}

/// The edges that a pick finds in a pool, with their chances; they add up to 1 unless there are none.
fn found(search: &Search<'_, '_>, pool: &Pool) -> Vec<Chance> {
    let (mut found, left) = match search.stream {
        Some(stream) if search.table.selection().policy == Policy::Sticky => {
            sticky(search, pool, stream)
        }
        _ => (Vec::new(), 1.0),
    };
    let mut missed = 0.0;
    if left > 0.0 {
        let (tried, all_missed) = tried(search, pool);
        found.extend(tried.into_iter().map(|one| Chance { chance: one.chance * left, ..one }));
        missed = all_missed * left;
    }
    let best = least(search, pool.members());
    if missed > 0.0 {
        let beyond = search.beyond_shares();
        let lists = std::iter::once(pool.members()).chain(pool.reserves());
        let rest = std::iter::once(best.clone())
            .chain(lists.map(|places| least(&beyond, places)))
            .find(|best| !best.is_empty());
        found.extend(shared(&rest.unwrap_or_default(), missed));
    }
    if best.is_empty() {
        return found;
    }
    // What is full gives way to the least of all.
    let (full, mut rest): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| search.is_full(search.table.live_load(found.place)));
    rest.extend(shared(&best, full.iter().map(|found| found.chance).sum()));
    rest
}

/// What is found by drawing so often as a pick does, and the chance that nothing is.
fn tried(search: &Search<'_, '_>, pool: &Pool) -> (Vec<Chance>, f64) {
    let drawn = drawn(search, pool);
    let count = drawn.len();
    let mut found: Vec<_> =
        drawn.into_iter().filter(|(place, _)| search.chosen(*place).is_some()).collect();
    let usable: f64 = found.iter().map(|(_, chance)| chance).sum();
    let is_sure = !found.is_empty() && found.len() == count;
    let misses = if is_sure { 0.0 } else { (1.0 - usable).clamp(0.0, 1.0) };
    let tries: f64 = (0..DRAWS).map(|tries| misses.powi(tries as i32)).sum();
    found.iter_mut().for_each(|(_, chance)| *chance *= tries);
    let found = found.into_iter().map(|(place, chance)| Chance { place, chance, is_host: false });
    (found.collect(), misses.powi(DRAWS as i32))
}

/// What the hosts of a stream and new ones get, and the chance that there is none.
fn sticky(search: &Search<'_, '_>, pool: &Pool, stream: StreamHash) -> (Vec<Chance>, f64) {
    let starts = sticky::starts(search, stream);
    // Of very many beginnings some stand for all.
    let step = starts.div_ceil(STARTS_MAX);
    let each = 1.0 / starts.div_ceil(step) as f64;
    let (mut found, mut opens) = (Vec::new(), 0.0);
    for start in (0..starts).step_by(step) {
        let (host, count) = sticky::host(search, pool, stream, start);
        let spreads = if sticky::may_spread(count) {
            f64::from(pool.spread_chance()).clamp(0.0, 1.0)
        } else {
            0.0
        };
        match host {
            Some(host) => {
                let chance = each * (1.0 - spreads);
                found.push(Chance { place: host.place, chance, is_host: true });
                opens += each * spreads;
            }
            None => opens += each,
        }
    }
    found.retain(|found| found.chance > 0.0);
    if opens <= 0.0 {
        return (found, 0.0);
    }
    match sticky::open(search, pool, stream) {
        Some(new) => {
            found.push(Chance { place: new.place, chance: opens, is_host: false });
            (found, 0.0)
        }
        None => (found, opens),
    }
}

/// The chance of each place at one draw.
fn drawn(search: &Search<'_, '_>, pool: &Pool) -> Vec<(u32, f64)> {
    let members = pool.members();
    let each = 1.0 / members.len().max(1) as f64;
    match (&pool.draw, search.table.selection().policy) {
        (Draw::Alias(alias), Policy::Random) => summed(alias),
        (Draw::Alias(alias), _) => better_of_two(search, summed(alias)),
        (Draw::Uniform, _) => {
            better_of_two(search, members.iter().map(|place| (*place, each)).collect())
        }
        (Draw::Front(_), _) => {
            let is_out = |place: &u32| {
                let is_fresh = search.table.is_fresh(*place, search.age_ms);
                search.is_closed(*place) || search.table.is_barred(*place) || !is_fresh
            };
            let in_service: Vec<_> =
                members.iter().copied().filter(|place| !is_out(place)).collect();
            let best = lowest(search, in_service.into_iter());
            shared(&best, 1.0).map(|found| (found.place, found.chance)).collect()
        }
    }
}

/// Adds up what each place has.
fn summed(alias: &Alias<Gist>) -> Vec<(u32, f64)> {
    let mut chances: Vec<_> = alias.chances().map(|(gist, chance)| (gist.place, chance)).collect();
    chances.retain(|(_, chance)| *chance > 0.0);
    chances.sort_unstable_by_key(|(place, _)| *place);
    chances.dedup_by(|(other, chance), (place, sum)| {
        let is_same = other == place;
        if is_same {
            *sum += *chance;
        }
        is_same
    });
    chances
}

/// Two are drawn, the one with the lower key is taken; of equals the first.
fn better_of_two(search: &Search<'_, '_>, drawn: Vec<(u32, f64)>) -> Vec<(u32, f64)> {
    let mut keyed: Vec<_> =
        drawn.into_iter().map(|(place, chance)| (search.table.key(place), place, chance)).collect();
    // The worst first.
    keyed.sort_unstable_by_key(|(key, _, _)| std::cmp::Reverse(*key));
    let mut taken = Vec::with_capacity(keyed.len());
    let mut worse = 0.0;
    for equals in keyed.chunk_by(|(one, ..), (other, ..)| one == other) {
        let together: f64 = equals.iter().map(|(_, _, chance)| chance).sum();
        taken.extend(
            equals.iter().map(|(_, place, chance)| (*place, chance * (together + 2.0 * worse))),
        );
        worse += together;
    }
    taken
}

/// The best of these places that the client can use; several where they are equal.
fn least(search: &Search<'_, '_>, places: &[u32]) -> Vec<u32> {
    lowest(search, places.iter().copied().filter(|place| search.chosen(*place).is_some()))
}

fn lowest(search: &Search<'_, '_>, places: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut best = Vec::new();
    let mut lowest = u64::MAX;
    for place in places {
        let key = search.table.key(place);
        if key < lowest {
            lowest = key;
            best.clear();
        }
        if key == lowest {
            best.push(place);
        }
    }
    best
}

fn shared(places: &[u32], chance: f64) -> impl Iterator<Item = Chance> {
    let chance = if chance > 0.0 { chance / places.len().max(1) as f64 } else { 0.0 };
    let each = move |place: &u32| Chance { place: *place, chance, is_host: false };
    places.iter().map(each).filter(|found| found.chance > 0.0)
}
