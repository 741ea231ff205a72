//! What readers hold: the fleet and the way to choose from it, published whole, loaded without a lock.
//!
//! A drain must hold the moment it is answered, so every pick re-checks the edge's
//! [`Cell`](crate::cell::Cell) after drawing. What remains are picks that had checked just
//! before; each of them still holds the [`Snapshot`] it loaded, so the drain publishes a new one and
//! waits until the old ones are no longer held ([`Retired`]).

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};

use crate::{
    selection::{Planner, Selection, Table},
    snapshot::FleetView,
};

/// What one pick holds while it is under way. Never keep one across an await.
#[derive(Debug)]
pub struct Snapshot {
    /// The fleet.
    pub fleet: Arc<FleetView>,
    /// How to choose from it.
    pub table: Arc<Table>,
}

impl Snapshot {
    /// A fleet of which nothing is remembered, for tests and for what looks at one moment alone.
    #[must_use]
    pub fn of(fleet: Arc<FleetView>, selection: Arc<Selection>, now: Duration) -> Self {
        let table = Arc::new(Planner::new(selection).plan(&fleet, now));
        Self { fleet, table }
    }
}

/// Where the writer publishes and readers load.
#[derive(Debug)]
pub struct Published {
    current: ArcSwap<Snapshot>,
}

impl Published {
    /// Starts with an empty fleet.
    #[must_use]
    pub fn new() -> Self {
        Self::showing(Arc::default())
    }

    /// Starts with the given fleet, see [`Snapshot::of`].
    #[must_use]
    pub fn showing(fleet: Arc<FleetView>) -> Self {
        Self::holding(Snapshot::of(fleet, Arc::default(), Duration::ZERO))
    }

    /// Starts with a snapshot.
    #[must_use]
    pub fn holding(snapshot: Snapshot) -> Self {
        Self { current: ArcSwap::from_pointee(snapshot) }
    }

    /// What a pick works on. A drain's answer waits for every guard that was out: drop it as soon
    /// as the answer to the client is made.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Fleet and table, for readers that take their time. It does not make drains wait, so nobody may
    /// be sent to an edge by it.
    #[must_use]
    pub fn copy(&self) -> Snapshot {
        let current = self.current.load();
        Snapshot { fleet: Arc::clone(&current.fleet), table: Arc::clone(&current.table) }
    }

    /// The fleet, for readers that take their time. It does not make drains wait.
    #[must_use]
    pub fn fleet(&self) -> Arc<FleetView> {
        Arc::clone(&self.current.load().fleet)
    }

    /// Publishes a snapshot; the writer alone calls it. Returns the one that was current.
    pub(crate) fn publish(&self, snapshot: Snapshot) -> Weak<Snapshot> {
        Arc::downgrade(&self.current.swap(Arc::new(snapshot)))
    }
}

impl Default for Published {
    fn default() -> Self {
        Self::new()
    }
}

/// Snapshots that are no longer current but may still be held by picks.
#[derive(Debug, Clone, Default)]
pub struct Retired(Vec<Weak<Snapshot>>);

impl Retired {
    /// Adds one, and drops those that nobody holds.
    pub(crate) fn push(&mut self, snapshot: Weak<Snapshot>) {
        self.0.retain(|old| old.strong_count() > 0);
        self.0.push(snapshot);
    }

    /// Whether every pick that began before these were retired has ended.
    #[must_use]
    pub fn are_released(&self) -> bool {
        self.0.iter().all(|old| old.strong_count() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Snapshot {
        Snapshot::of(Arc::default(), Arc::default(), Duration::ZERO)
    }

    #[test]
    fn a_held_snapshot_is_seen_until_it_is_dropped() {
        let published = Published::new();
        let mut retired = Retired::default();
        let held = published.load();
        retired.push(published.publish(empty()));
        retired.push(published.publish(empty()));
        assert!(!retired.are_released());
        let later = published.load();
        drop(held);
        assert!(retired.are_released(), "a pick that began later is waited for");
        drop(later);
    }

    #[test]
    fn a_reader_of_the_fleet_is_not_waited_for() {
        let published = Published::new();
        let mut retired = Retired::default();
        let (_fleet, _copy) = (published.fleet(), published.copy());
        retired.push(published.publish(empty()));
        assert!(retired.are_released());
    }
}
