//! How evenly the fleet is loaded, by prediction, for those who watch over it.

use super::{Selection, Table};
use crate::{publish::Snapshot, snapshot::FleetView};

/// Loads are predicted shares of capacity; they are of the edges that are drawn from: eligible,
/// measured and heard lately. All are 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Balance {
    /// Traffic over capacity.
    pub mean: f64,
    /// The highest of an edge, now.
    pub highest: f64,
    /// Up to where edges are filled.
    pub level: f64,
    /// Eligible edges whose heartbeat is overdue.
    pub late: u64,
    /// Eligible edges that report neither viewers nor bandwidth.
    pub unmeasured: u64,
    /// Eligible edges whose agent's session is too new for the full confirmation window.
    pub ramping: u64,
    /// Edges drawn from whose confirmation window is closed.
    pub window_closed: u64,
    /// Edges drawn from above the load from which an overflow target is preferred.
    pub above_overflow: u64,
}

impl Balance {
    /// Of the whole fleet, whatever labels or zones demand of it.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        let (fleet, table) = (&*snapshot.fleet, &*snapshot.table);
        let selection = table.selection();
        let ramping = ramping(fleet, selection);
        let Some(pool) = table.pool(None, None, None) else {
            return Self { ramping, ..Self::default() };
        };
        let members = pool.members();
        let mut reserves = pool.reserves().map(|places| places.len() as u64);
        let count = |holds: &dyn Fn(u32) -> bool| {
            members.iter().filter(|place| holds(**place)).count() as u64
        };
        Self {
            mean: pool.mean().into(),
            highest: highest(table, members),
            level: if members.is_empty() { 0.0 } else { pool.level().into() },
            late: reserves.next().unwrap_or(0),
            unmeasured: reserves.next().unwrap_or(0),
            ramping,
            window_closed: count(&|place| !table.window_open(place)),
            above_overflow: count(&|place| table.is_above_overflow(table.live_load(place))),
        }
    }

    /// The highest load over the mean; 1 is perfect, 0 stands for nothing to compare.
    #[must_use]
    pub fn imbalance(&self) -> f64 {
        if self.mean > 0.0 { self.highest / self.mean } else { 0.0 }
    }
}

fn highest(table: &Table, members: &[u32]) -> f64 {
    let loads = members.iter().map(|place| table.live_load(*place));
    loads.reduce(f32::max).unwrap_or(0.0).into()
}

fn ramping(fleet: &FleetView, selection: &Selection) -> u64 {
    let eligible = fleet.eligible.iter().filter_map(|place| fleet.edges.get(*place));
    eligible.filter(|edge| selection.is_ramping(edge.session_reports)).count() as u64
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tidegate_proto::{edge::Capacity, heartbeat::Load};

    use super::*;
    use crate::{admin::sample, cell::Cell, snapshot::EdgeView};

    const NOW: Duration = Duration::from_secs(100);

    fn edge(n: u8, viewers: Option<u32>) -> EdgeView {
        EdgeView {
            capacity: Capacity { viewers: Some(100), bandwidth_bps: None },
            load: Load { viewers, ..Load::default() },
            heard: NOW,
            interval: Duration::from_secs(2),
            ..sample::edge(n, &format!("edge-{n}"))
        }
    }

    fn balance(edges: Vec<EdgeView>) -> Balance {
        let mut fleet = sample::fleet(edges);
        fleet.eligible = (0..fleet.edges.len()).collect();
        let selection = Selection { overflow_at: 0.5, ..Selection::default() };
        Balance::of(&Snapshot::of(Arc::new(fleet), Arc::new(selection), NOW))
    }

    #[test]
    fn an_empty_fleet_is_balanced() {
        assert_eq!(balance(Vec::new()), Balance::default());
        assert_eq!(Balance::default().imbalance(), 0.0);
    }

    #[test]
    fn the_mean_the_highest_and_those_held_back_are_found() {
        let late = EdgeView { heard: NOW - Duration::from_secs(3), ..edge(5, Some(0)) };
        let young = EdgeView { session_reports: 1, ..edge(2, Some(20)) };
        let cell = Arc::new(Cell::having_handed(30));
        let busy = EdgeView { cell, ..edge(3, Some(0)) };
        let all = vec![edge(1, Some(60)), young, busy, edge(4, None), late];
        let found = balance(all);
        assert!((found.highest - 0.6).abs() < 1e-3, "{found:?}");
        assert!((0.35..0.37).contains(&found.mean), "{found:?}");
        assert!((1.6..1.7).contains(&found.imbalance()), "{found:?}");
        assert_eq!((found.late, found.unmeasured, found.ramping), (1, 1, 1));
        assert_eq!((found.window_closed, found.above_overflow), (1, 1));
        assert!(found.level > 0.0);
    }
}
