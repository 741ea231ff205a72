//! How much of a stream an edge was handed lately, for limits on an edge's share of a stream.
//!
//! Counts stand in fixed arrays, by hashes of stream and edge: two that share a word make the limit
//! a little stricter, no more. Picks add to the arrays themselves; nobody takes a lock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tidegate_proto::stream::StreamHash;

use super::mix;

/// What was handed out counts for once to twice so long. What reports have seen meanwhile counts
/// twice then, for the edge as for the stream, so that shares stay what they are.
const SPAN: Duration = Duration::from_secs(10);
const EDGE_WORDS: usize = 1 << 16;
const STREAM_WORDS: usize = 1 << 14;

/// Redirects of one span.
#[derive(Debug)]
struct Counts {
    by_edge: Box<[AtomicU32]>,
    by_stream: Box<[AtomicU32]>,
}

impl Default for Counts {
    fn default() -> Self {
        let words = |count| (0..count).map(|_| AtomicU32::new(0)).collect();
        Self { by_edge: words(EDGE_WORDS), by_stream: words(STREAM_WORDS) }
    }
}

impl Counts {
    fn of_edge(&self, stream: StreamHash, edge: u64) -> &AtomicU32 {
        &self.by_edge[mix::mix(edge ^ u64::from(stream.0)) as usize % EDGE_WORDS]
    }

    fn of_stream(&self, stream: StreamHash) -> &AtomicU32 {
        &self.by_stream[stream.0 as usize % STREAM_WORDS]
    }
}

/// Redirects of this span and the one before. Cheap to clone: clones share their counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Handed {
    recent: Arc<Counts>,
    before: Arc<Counts>,
    since: Duration,
}

impl Handed {
    /// Begins another span when it is time to.
    pub(super) fn turn(&mut self, now: Duration) {
        if now.saturating_sub(self.since) >= SPAN {
            self.before = std::mem::take(&mut self.recent);
            self.since = now;
        }
    }

    /// Counts a redirect; the edge is given by its [number](mix::of_edge).
    pub(super) fn note(&self, stream: StreamHash, edge: u64) {
        self.recent.of_edge(stream, edge).fetch_add(1, Ordering::Relaxed);
        self.recent.of_stream(stream).fetch_add(1, Ordering::Relaxed);
    }

    /// Redirects of the stream to the edge, and to all edges.
    pub(super) fn counts(&self, stream: StreamHash, edge: u64) -> (u64, u64) {
        let sum = |a: &AtomicU32, b: &AtomicU32| {
            u64::from(a.load(Ordering::Relaxed)) + u64::from(b.load(Ordering::Relaxed))
        };
        let (recent, before) = (&self.recent, &self.before);
        let own = sum(recent.of_edge(stream, edge), before.of_edge(stream, edge));
        (own, sum(recent.of_stream(stream), before.of_stream(stream)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_count_for_one_span_and_the_next() {
        let mut handed = Handed::default();
        let stream = StreamHash(7);
        handed.note(stream, 1);
        handed.note(stream, 1);
        handed.note(stream, 2);
        assert_eq!(handed.counts(stream, 1), (2, 3));
        handed.turn(SPAN);
        handed.note(stream, 1);
        assert_eq!(handed.counts(stream, 1), (3, 4));
        handed.turn(SPAN + SPAN / 2);
        assert_eq!(handed.counts(stream, 1), (3, 4), "the span is not over");
        handed.turn(SPAN * 2);
        assert_eq!(handed.counts(stream, 1), (1, 1));
        assert_eq!(handed.counts(StreamHash(8), 1), (0, 0));
    }
}
