//! What must be there before clients are to come, and whether it ever was.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What must be there before clients are to come. Once the start is over it says nothing about the
/// fleet's health: an empty fleet is answered too.
#[derive(Debug, Default)]
pub struct Readiness {
    listeners_bound: AtomicBool,
    store_open: AtomicBool,
    snapshot_loaded: AtomicBool,
    first_edge: AtomicBool,
    started: AtomicBool,
}

impl Readiness {
    /// Every listener is bound, or, at the end, no longer.
    pub fn set_listeners_bound(&self, bound: bool) {
        self.listeners_bound.store(bound, Relaxed);
    }

    /// The store is open.
    pub fn set_store_open(&self, open: bool) {
        self.store_open.store(open, Relaxed);
    }

    /// What the store remembers is published.
    pub fn set_snapshot_loaded(&self, loaded: bool) {
        self.snapshot_loaded.store(loaded, Relaxed);
    }

    /// Clients need not wait for edges to be known, see
    /// [`FirstEdge`](super::first_edge::FirstEdge).
    pub fn set_first_edge(&self, there: bool) {
        self.first_edge.store(there, Relaxed);
    }

    /// What is not there yet; empty: ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        [
            ("listeners_bound", &self.listeners_bound),
            ("store_open", &self.store_open),
            ("snapshot_loaded", &self.snapshot_loaded),
        ]
        .into_iter()
        .filter(|(_, there)| !there.load(Relaxed))
        .map(|(name, _)| name)
        .collect()
    }

    /// What the start still waits for; empty: it is over, and stays so whatever goes missing later.
    #[must_use]
    pub fn missing_at_start(&self) -> Vec<&'static str> {
        if self.started.load(Relaxed) {
            return Vec::new();
        }
        let mut missing = self.missing();
        if !self.first_edge.load(Relaxed) {
            missing.push("first_edge");
        }
        self.started.fetch_or(missing.is_empty(), Relaxed);
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_is_over_stays_so_when_the_end_begins() {
        let readiness = Readiness::default();
        readiness.set_listeners_bound(true);
        readiness.set_store_open(true);
        readiness.set_snapshot_loaded(true);
        assert_eq!(readiness.missing(), [""; 0], "readiness does not wait for edges");
        assert_eq!(readiness.missing_at_start(), ["first_edge"]);
        readiness.set_first_edge(true);
        assert_eq!(readiness.missing_at_start(), [""; 0]);
        readiness.set_listeners_bound(false);
        assert_eq!(readiness.missing(), ["listeners_bound"]);
        assert_eq!(readiness.missing_at_start(), [""; 0]);
    }

    #[test]
    fn a_start_that_nobody_saw_the_end_of_is_not_over_for_who_stops() {
        let readiness = Readiness::default();
        readiness.set_first_edge(true);
        let all = ["listeners_bound", "store_open", "snapshot_loaded"];
        assert_eq!(readiness.missing_at_start(), all);
    }
}
