//! Clients' word that an edge has failed them, weighed. It lives in tables of fixed size that take no
//! lock: what they forget is a vote less, never one more.
//!
//! A client has a vote if it was sent to that edge within the last minute, and its network one in
//! each window of two seconds. Enough votes in a window take the edge out until its next report;
//! but if that would be more than a tenth of the fleet, something else is wrong, or somebody lies,
//! and none is taken out.

use std::{
    fmt,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tidegate_proto::edge::EdgeId;

use crate::snapshot::{EdgeView, FleetView};

#[cfg(test)]
mod tests;

/// How long a client that was sent to an edge may say that it failed.
const SENT_AGE_S_MAX: u64 = 60;
/// In which a network has one vote.
const WINDOW_MS: u128 = 2_000;
/// The fewest votes that take an edge out, and their share of its viewers where that is more.
const VOTES_MIN: u32 = 3;
const VOTES_SHARE: f64 = 0.005;
/// A fleet of this many loses no more than one in so many; a smaller one loses one.
const EDGES_PER_OUT: usize = 10;
/// Slots that one key may stand in.
const WAYS: usize = 4;
/// The redirects that are remembered: 2 MiB of them.
const SENT_SLOTS: usize = 1 << 18;
/// The networks that may vote in one window.
const NETWORK_SLOTS: usize = 1 << 14;
/// An entry of what was sent is a fingerprint of 40 bits, then 24 of seconds.
const SECONDS_MASK: u64 = (1 << 24) - 1;

/// What became of votes, see [`Evidence::figures`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Vote {
    /// It counts.
    Accepted,
    /// The client was not sent to that edge, or too long ago, or that is forgotten.
    NotSent,
    /// The client's network has voted in this window.
    Again,
    /// More networks voted in this window than can be told apart.
    Crowded,
}

impl Vote {
    /// Every outcome, in the order of the enum.
    pub const ALL: [Self; 4] = [Self::Accepted, Self::NotSent, Self::Again, Self::Crowded];

    /// The outcome as figures show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NotSent => "not_sent",
            Self::Again => "again",
            Self::Crowded => "crowded",
        }
    }
}

/// Who was sent where of late, and who has said that it failed.
pub struct Evidence {
    /// Keyed by chance, so that nobody can choose which entries meet.
    hasher: RandomState,
    sent: Box<[AtomicU64]>,
    networks: Box<[AtomicU64]>,
    votes: [AtomicU64; Vote::ALL.len()],
    out: AtomicU64,
}

impl Evidence {
    /// Tables that know nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            sent: slots(SENT_SLOTS),
            networks: slots(NETWORK_SLOTS),
            votes: Default::default(),
            out: AtomicU64::new(0),
        }
    }

    /// Remembers that a client was sent to an edge. The oldest entry of its set gives way.
    pub fn sent(&self, client: IpAddr, edge: EdgeId, now: Duration) {
        let (set, key) = self.sent_to(client, edge);
        let seconds = seconds(now);
        let age = |slot: &AtomicU64| match slot.load(Relaxed) {
            0 => u64::MAX,
            entry if entry & !SECONDS_MASK == key => u64::MAX,
            entry => age_s(entry, seconds),
        };
        let oldest = set.iter().rev().max_by_key(|slot| age(slot));
        if let Some(slot) = oldest {
            slot.store(key | seconds, Relaxed);
        }
    }

    /// Takes a client's word that an edge has failed it.
    pub fn vote(&self, client: IpAddr, edge: &EdgeView, now: Duration) -> Vote {
        let vote = self.weigh(client, edge, now);
        self.votes[vote as usize].fetch_add(1, Relaxed);
        vote
    }

    /// The places in `fleet.edges` of the eligible edges that votes take out, in order; none
    /// if they were more than a tenth of them.
    #[must_use]
    pub fn out(&self, fleet: &FleetView) -> Vec<usize> {
        let is_out = |place: &&usize| {
            let edge = fleet.edges.get(**place);
            edge.is_some_and(|edge| edge.cell.voted_out().is_some_and(|at| edge.heard <= at))
        };
        let mut out: Vec<_> = fleet.eligible.iter().filter(is_out).copied().collect();
        out.sort_unstable();
        if out.len() > out_max(fleet.eligible.len()) {
            out.clear();
        }
        self.out.store(out.len() as u64, Relaxed);
        out
    }

    /// How many votes had which outcome.
    pub fn figures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |vote: Vote| (vote.as_str(), self.votes[vote as usize].load(Relaxed));
        Vote::ALL.into_iter().map(count)
    }

    /// How many edges were out when they were last looked at.
    #[must_use]
    pub fn edges_out(&self) -> u64 {
        self.out.load(Relaxed)
    }

    fn weigh(&self, client: IpAddr, edge: &EdgeView, now: Duration) -> Vote {
        if !self.was_sent(client, edge.id, now) {
            return Vote::NotSent;
        }
        let window = u32::try_from(now.as_millis() / WINDOW_MS).unwrap_or(u32::MAX);
        let vote = self.enter(client, window);
        if vote == Vote::Accepted && edge.cell.vote(window) >= votes_needed(edge) {
            edge.cell.vote_out(now);
        }
        vote
    }

    fn was_sent(&self, client: IpAddr, edge: EdgeId, now: Duration) -> bool {
        let (set, key) = self.sent_to(client, edge);
        let is_it = |entry: u64| {
            entry & !SECONDS_MASK == key && age_s(entry, seconds(now)) <= SENT_AGE_S_MAX
        };
        set.iter().any(|slot| is_it(slot.load(Relaxed)))
    }

    /// The slots of a client and an edge, and what an entry of theirs begins with.
    fn sent_to(&self, client: IpAddr, edge: EdgeId) -> (&[AtomicU64], u64) {
        let hash = self.hasher.hash_one((client.to_canonical(), edge.0));
        (set(&self.sent, hash), hash & !SECONDS_MASK)
    }

    /// Marks a client's network as having voted. All look through a set in the same order, and a
    /// slot that is taken stays so for the window, so of two at once one finds the other.
    fn enter(&self, client: IpAddr, window: u32) -> Vote {
        let hash = self.hasher.hash_one(Network::of(client));
        let entry = (hash >> 32 << 32) | u64::from(window);
        for slot in set(&self.networks, hash) {
            let found = slot.load(Relaxed);
            let is_free = found == 0 || (found as u32) < window;
            let taken = if is_free {
                slot.compare_exchange(found, entry, Relaxed, Relaxed).err()
            } else {
                Some(found)
            };
            match taken {
                None => return Vote::Accepted,
                Some(taken) if taken == entry => return Vote::Again,
                Some(_) => {}
            }
        }
        Vote::Crowded
    }
}

impl Default for Evidence {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.figures()).finish()
    }
}

/// What a client can be taken to hold alone: a /24 of IPv4, a /56 of IPv6.
#[derive(Hash)]
struct Network(bool, u128);

impl Network {
    fn of(client: IpAddr) -> Self {
        match client.to_canonical() {
            IpAddr::V4(address) => Self(false, (address.to_bits() >> 8).into()),
            IpAddr::V6(address) => Self(true, address.to_bits() >> 72),
        }
    }
}

fn slots(count: usize) -> Box<[AtomicU64]> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

/// The slots that a hash leads to, by its lowest bits.
fn set(slots: &[AtomicU64], hash: u64) -> &[AtomicU64] {
    let sets = slots.len() / WAYS;
    let first = hash as usize % sets * WAYS;
    &slots[first..first + WAYS]
}

fn seconds(now: Duration) -> u64 {
    // One more, so that no entry of the first second is an empty slot.
    (now.as_secs() + 1) & SECONDS_MASK
}

/// How old an entry is; the seconds wrap after half a year.
fn age_s(entry: u64, seconds: u64) -> u64 {
    seconds.wrapping_sub(entry & SECONDS_MASK) & SECONDS_MASK
}

fn votes_needed(edge: &EdgeView) -> u32 {
    let viewers = f64::from(edge.load.viewers.unwrap_or_default());
    ((viewers * VOTES_SHARE).ceil() as u32).max(VOTES_MIN)
}

/// The most edges that votes may take out of so many. The only edge stays: there is no other.
fn out_max(eligible: usize) -> usize {
    match eligible {
        0 | 1 => 0,
        _ => (eligible / EDGES_PER_OUT).max(1),
    }
}
