//! Whether a redirector that has just started knows edges enough for clients to come. It is told what
//! is known and what time it is.

use std::time::Duration;

use tidegate_proto::heartbeat::INTERVAL_DEFAULT;

/// After the first edge was heard, all others have two intervals to be heard as well: the first
/// alone would be sent every client.
const OTHERS_WITHIN: Duration = INTERVAL_DEFAULT.saturating_mul(2);

/// The wait for the first edge.
#[derive(Debug, Clone)]
pub struct FirstEdge {
    wait_max: Duration,
    remembered: bool,
    heard_at: Option<Duration>,
}

impl FirstEdge {
    /// Waits for at most `wait_max` since the start, and not at all if edges are `remembered` from
    /// before it.
    #[must_use]
    pub fn new(wait_max: Duration, remembered: bool) -> Self {
        Self { wait_max, remembered, heard_at: None }
    }

    /// Whether the wait is over at `now`, the time since the start; `known`: some edge is known now.
    pub fn is_here(&mut self, now: Duration, known: bool) -> bool {
        if known {
            self.heard_at.get_or_insert(now);
        }
        let all_heard = self.heard_at.is_some_and(|heard_at| now >= heard_at + OTHERS_WITHIN);
        self.remembered || all_heard || now >= self.wait_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(180);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn nobody_waits_where_no_wait_is_asked_for_or_edges_are_remembered() {
        assert!(FirstEdge::new(Duration::ZERO, false).is_here(Duration::ZERO, false));
        assert!(FirstEdge::new(WAIT, true).is_here(Duration::ZERO, true));
    }

    #[test]
    fn the_first_edge_counts_once_the_others_had_two_intervals() {
        let mut first_edge = FirstEdge::new(WAIT, false);
        assert!(!first_edge.is_here(secs(1), false));
        assert!(!first_edge.is_here(secs(20), true));
        assert!(!first_edge.is_here(secs(24), true));
        assert!(first_edge.is_here(secs(25), false), "one that left again was heard all the same");
    }

    #[test]
    fn the_wait_ends_without_any_edge() {
        let mut first_edge = FirstEdge::new(WAIT, false);
        assert!(!first_edge.is_here(secs(179), false));
        assert!(first_edge.is_here(secs(180), false));
        // A wait that ends before the others were heard is what the operator asked for.
        let mut short = FirstEdge::new(secs(2), false);
        assert!(!short.is_here(secs(1), true));
        assert!(short.is_here(secs(2), true));
    }
}
