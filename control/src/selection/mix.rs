//! Hashes that every redirector computes alike, whatever it was built with.

use tidegate_proto::{edge::EdgeId, stream::StreamHash};

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(super) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// An edge's own number.
pub(super) fn of_edge(id: EdgeId) -> u64 {
    let half =
        |at: usize| id.0[at..at + 8].iter().fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
    mix(mix(half(0).wrapping_add(GOLDEN)) ^ half(8))
}

/// The `turn`-th number of a word.
pub(super) fn nth(word: u64, turn: u32) -> u64 {
    mix(word.wrapping_add(GOLDEN.wrapping_mul(u64::from(turn) + 1)))
}

/// The `turn`-th number of a stream.
pub(super) fn nth_of_stream(stream: StreamHash, turn: u32) -> u64 {
    nth(mix(u64::from(stream.0) << 32 | 1), turn)
}

/// 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
