//! Where streams were sent lately, so that a stream nobody reports yet is opened on one edge and not
//! on as many as clients ask for it. Picks write here themselves; nobody takes a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tidegate_proto::stream::StreamHash;

/// An opening counts for so long after the last client was sent there: until the edge has landed
/// the client and told of the stream, though that may have its turn only in the eighth heartbeat.
const LIFE: Duration = Duration::from_secs(30);
/// Openings that can share the end of a hash: a cache line of them. A new one replaces the oldest.
const WAYS: usize = 8;
/// The end of a hash, in bits; it says where an opening stands.
const SET_BITS: u32 = 12;
/// A word holds the rest of the hash, the place, and the time.
const TAG_BITS: u32 = 32 - SET_BITS;
const PLACE_BITS: u32 = 20;
const TIME_BITS: u32 = 64 - TAG_BITS - PLACE_BITS;
/// One step of the time. It comes round after 24 days, when an opening that nobody replaced counts
/// once more; that makes an edge a candidate, no more.
const STEP_MS: u128 = 125;
const LIFE_STEPS: u64 = (LIFE.as_millis() / STEP_MS) as u64;

/// The openings of one process for one order of edges.
#[derive(Debug)]
pub(super) struct Openings {
    words: Box<[AtomicU64]>,
}

impl Default for Openings {
    fn default() -> Self {
        Self { words: (0..WAYS << SET_BITS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Openings {
    /// Where a stream was sent lately.
    pub(super) fn of_stream(
        &self,
        stream: StreamHash,
        now: Duration,
    ) -> impl Iterator<Item = u32> + '_ {
        let (tag, now) = (tag(stream), step(now));
        self.set(stream)
            .iter()
            .map(|word| Opening::read(word.load(Ordering::Relaxed)))
            .filter(move |opening| opening.tag == tag && opening.age(now) <= LIFE_STEPS)
            .map(|opening| opening.place)
    }

    /// Notes that a stream was sent to a place. Of two picks that want the same word at once one is
    /// forgotten; the edge that it chose is then found as it was found this time.
    pub(super) fn note(&self, stream: StreamHash, place: u32, now: Duration) {
        let Some(new) = Opening::new(stream, place, now) else { return };
        let mut oldest: Option<(u64, &AtomicU64, u64)> = None;
        for word in self.set(stream) {
            let read = word.load(Ordering::Relaxed);
            let opening = Opening::read(read);
            let age = opening.age(new.time);
            if (opening.tag, opening.place) == (new.tag, new.place) && age <= LIFE_STEPS {
                // Every client would write here, so only what has aged is made young again.
                if age > LIFE_STEPS / 4 {
                    word.store(new.word(), Ordering::Relaxed);
                }
                return;
            }
            if oldest.is_none_or(|(most, _, _)| age > most) {
                oldest = Some((age, word, read));
            }
        }
        if let Some((_, word, read)) = oldest {
            let (order, new) = (Ordering::Relaxed, new.word());
            let _ = word.compare_exchange(read, new, order, order);
        }
    }

    /// The same openings for another order of edges.
    pub(super) fn moved(&self, place: impl Fn(u32) -> Option<u32>) -> Self {
        let moved = |word: &AtomicU64| {
            let opening = Opening::read(word.load(Ordering::Relaxed));
            let place = place(opening.place).filter(|place| place >> PLACE_BITS == 0);
            let moved =
                place.filter(|_| opening.time > 0).map(|place| Opening { place, ..opening });
            AtomicU64::new(moved.map_or(0, Opening::word))
        };
        Self { words: self.words.iter().map(moved).collect() }
    }

    fn set(&self, stream: StreamHash) -> &[AtomicU64] {
        let at = (stream.0 as usize & ((1 << SET_BITS) - 1)) * WAYS;
        &self.words[at..at + WAYS]
    }
}

#[derive(Debug, Clone, Copy)]
struct Opening {
    tag: u64,
    place: u32,
    /// From 1, so that a word of 0 is empty.
    time: u64,
}

impl Opening {
    /// `None`: the fleet is so large that the place does not fit.
    fn new(stream: StreamHash, place: u32, now: Duration) -> Option<Self> {
        (place >> PLACE_BITS == 0).then(|| Self { tag: tag(stream), place, time: step(now) })
    }

    fn read(word: u64) -> Self {
        Self {
            tag: word >> (PLACE_BITS + TIME_BITS),
            place: (word >> TIME_BITS) as u32 & ((1 << PLACE_BITS) - 1),
            time: word & ((1 << TIME_BITS) - 1),
        }
    }

    fn word(self) -> u64 {
        self.tag << (PLACE_BITS + TIME_BITS) | u64::from(self.place) << TIME_BITS | self.time
    }

    /// In steps; of an empty word the greatest.
    fn age(self, now: u64) -> u64 {
        let round = (1 << TIME_BITS) - 1;
        if self.time == 0 {
            return u64::MAX;
        }
        let age = (now + round - self.time) % round;
        // Clocks of two picks may differ by a step, and the one behind must not see the other's
        // opening as the oldest.
        if age > round / 2 { 0 } else { age }
    }
}

fn tag(stream: StreamHash) -> u64 {
    u64::from(stream.0 >> SET_BITS)
}

fn step(now: Duration) -> u64 {
    let round = (1 << TIME_BITS) - 1;
    (now.as_millis() / STEP_MS % round) as u64 + 1
}

#[cfg(test)]
mod tests {
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    fn places(openings: &Openings, stream: u32, now: Duration) -> Vec<u32> {
        openings.of_stream(StreamHash(stream), now).collect()
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn an_opening_counts_until_its_last_client_is_long_past() {
        let openings = Openings::default();
        assert!(places(&openings, 7, secs(100)).is_empty());
        openings.note(StreamHash(7), 3, secs(100));
        assert_eq!(places(&openings, 7, secs(130)), [3]);
        assert!(places(&openings, 7, secs(131)).is_empty());
        openings.note(StreamHash(7), 3, secs(120));
        assert_eq!(places(&openings, 7, secs(149)), [3], "a client keeps it alive");
        for other in [8, 7 + (1 << 12), 7 + (1 << 31)] {
            assert!(places(&openings, other, secs(120)).is_empty());
        }
    }

    #[test]
    fn the_same_place_is_noted_once_and_the_newest_places_stay() {
        let openings = Openings::default();
        for _ in 0..100 {
            openings.note(StreamHash(7), 3, secs(1));
        }
        assert_eq!(places(&openings, 7, secs(1)), [3]);
        for place in 0..20 {
            openings.note(StreamHash(7), place, secs(1) + Duration::from_millis(125) * place);
        }
        let mut kept = places(&openings, 7, secs(4));
        kept.sort_unstable();
        assert_eq!(kept, (12..20).collect::<Vec<_>>());
    }

    #[test]
    fn openings_follow_their_edges_to_other_places() {
        let openings = Openings::default();
        openings.note(StreamHash(7), 3, secs(1));
        openings.note(StreamHash(7), 4, secs(1));
        openings.note(StreamHash(0), 0, secs(1));
        let moved = openings.moved(|place| (place != 4).then_some(place + 10));
        assert_eq!(places(&moved, 7, secs(1)), [13]);
        assert_eq!(places(&moved, 0, secs(1)), [10]);
        let all: usize = moved.words.iter().filter(|w| w.load(Ordering::Relaxed) > 0).count();
        assert_eq!(all, 2, "empty words stay empty");
    }

    #[test]
    fn a_place_beyond_what_fits_is_not_noted() {
        let openings = Openings::default();
        openings.note(StreamHash(7), 1 << 20, secs(1));
        assert!(places(&openings, 7, secs(1)).is_empty());
    }

    #[test]
    fn writers_at_once_leave_only_what_was_written() {
        let openings = Openings::default();
        thread::scope(|scope| {
            for writer in 0..4u32 {
                let openings = &openings;
                scope.spawn(move || {
                    for n in 0..10_000u32 {
                        openings.note(StreamHash(n % 64), writer, secs(5));
                    }
                });
            }
        });
        for stream in 0..64 {
            let found = places(&openings, stream, secs(5));
            assert!(!found.is_empty() && found.iter().all(|place| *place < 4), "{found:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_noted_last_is_found(
            notes in prop::collection::vec((any::<u32>(), 0..1u32 << 20), 1..200),
            now in 0..10_000_000_000u64,
        ) {
            let openings = Openings::default();
            let now = Duration::from_millis(now);
            for (stream, place) in notes {
                openings.note(StreamHash(stream), place, now);
                prop_assert!(places(&openings, stream, now).contains(&place));
                prop_assert!(places(&openings, stream, now + secs(29)).contains(&place));
                prop_assert!(!places(&openings, stream, now + secs(31)).contains(&place));
            }
        }
    }
}
