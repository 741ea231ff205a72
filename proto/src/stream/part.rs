//! A heartbeat's share of the streams.
//!
//! The sender divides by powers of two. Their classes nest, so whichever numbers of parts successive
//! turns use, each stream is told at least once in [`PARTS_MAX`] of them.

use super::{StreamCount, StreamHash, Streams};
use crate::{seal::PAYLOAD_LEN_MAX, wire};

/// Streams come in at most so many parts.
pub const PARTS_MAX: u32 = 64;
/// The most streams of one part: each takes five bytes of a datagram or more.
pub const STREAMS_PER_PART_MAX: usize = PAYLOAD_LEN_MAX / 5;

/// Tags, lengths and the two numbers around a part's hashes and counts, in bytes.
const ENVELOPE_LEN: usize = 13;

/// Every stream whose hash leaves the rest `part` when divided by `parts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPart {
    part: u32,
    parts: u32,
    pub(super) streams: Streams,
}

/// Numbers, hashes or counts that are no part of a list of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a part of a list of streams")]
pub struct NotAPart;

impl StreamPart {
    /// The part from 0, and of how many it is.
    #[must_use]
    pub fn number(&self) -> (u32, u32) {
        (self.part, self.parts)
    }

    /// The streams it tells of.
    #[must_use]
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Whether it is the part that would name this stream.
    #[must_use]
    pub fn covers(&self, stream: StreamHash) -> bool {
        stream.0 % self.parts == self.part
    }
}

impl Streams {
    /// What a heartbeat with so many bytes to spare tells in its turn, counting turns from any
    /// number. If not even [`PARTS_MAX`] parts hold all streams, each part keeps the most watched.
    /// `None`: there is no room for any.
    #[must_use]
    pub fn part(&self, turn: u64, room_bytes: usize) -> Option<StreamPart> {
        let room = room_bytes.min(PAYLOAD_LEN_MAX).checked_sub(ENVELOPE_LEN)?;
        let mut parts = 1;
        while parts < PARTS_MAX && !self.fits(parts, room) {
            parts *= 2;
        }
        let part = u32::try_from(turn % u64::from(parts)).unwrap_or(0);
        let ours = self.0.iter().copied().filter(|count| count.stream.0 % parts == part);
        let streams = Self(most_watched(ours.collect(), room));
        Some(StreamPart { part, parts, streams })
    }

    fn fits(&self, parts: u32, room: usize) -> bool {
        let mut used = [0; PARTS_MAX as usize];
        self.0.iter().all(|count| {
            let used = &mut used[(count.stream.0 % parts) as usize];
            *used += len_bytes(count);
            *used <= room
        })
    }
}

/// Drops the least watched until the rest fits.
fn most_watched(mut counts: Vec<StreamCount>, room: usize) -> Vec<StreamCount> {
    let mut used: usize = counts.iter().map(len_bytes).sum();
    if used <= room {
        return counts;
    }
    counts.sort_unstable_by_key(|count| (std::cmp::Reverse(count.viewers), count.stream));
    while used > room {
        used -= counts.pop().as_ref().map_or(used, len_bytes);
    }
    counts.sort_unstable_by_key(|count| count.stream);
    counts
}

/// A hash, and a varint of at most 14 bits.
fn len_bytes(count: &StreamCount) -> usize {
    if count.viewers < 128 { 5 } else { 6 }
}

impl TryFrom<wire::Streams> for StreamPart {
    type Error = NotAPart;

    fn try_from(message: wire::Streams) -> Result<Self, NotAPart> {
        let wire::Streams { hashes, viewers, part, parts } = message;
        let sensible = (1..=PARTS_MAX).contains(&parts)
            && part < parts
            && hashes.len() == viewers.len()
            && hashes.len() <= STREAMS_PER_PART_MAX
            && hashes.iter().all(|hash| hash % parts == part);
        if !sensible {
            return Err(NotAPart);
        }
        let count = |(hash, viewers)| StreamCount { stream: StreamHash(hash), viewers };
        let streams = hashes.into_iter().zip(viewers).map(count).collect();
        Ok(Self { part, parts, streams })
    }
}

impl From<&StreamPart> for wire::Streams {
    fn from(part: &StreamPart) -> Self {
        let counts = part.streams.counts();
        Self {
            hashes: counts.iter().map(|count| count.stream.0).collect(),
            viewers: counts.iter().map(|count| count.viewers).collect(),
            part: part.part,
            parts: part.parts,
        }
    }
}
