//! The fleet's balance as several metrics of one scrape show it: worked out once for each table.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tidegate_control::{
    publish::Snapshot,
    selection::{Balance, Table},
};

/// The balance that was worked out last, and of which table. Where picks hand something out the next
/// table follows within a tick, so it is hardly older than that.
#[derive(Debug, Default)]
pub(super) struct LastBalance(Mutex<(Weak<Table>, Balance)>);

impl LastBalance {
    /// The balance of a snapshot.
    pub(super) fn of(&self, snapshot: &Snapshot) -> Balance {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let table = Arc::downgrade(&snapshot.table);
        if !last.0.ptr_eq(&table) {
            *last = (table, Balance::of(snapshot));
        }
        last.1
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_control::snapshot::EdgeView;
    use tidegate_proto::{edge::Capacity, heartbeat::Load};

    use super::*;
    use crate::sample;

    fn snapshot(viewers: u32) -> Snapshot {
        let edge = EdgeView {
            capacity: Capacity { viewers: Some(100), bandwidth_bps: None },
            load: Load { viewers: Some(viewers), ..Load::default() },
            ..sample::edge("edge-1", "edge-1.example.com", "")
        };
        Snapshot::of(Arc::new(sample::fleet(vec![edge])), Arc::default(), Duration::ZERO)
    }

    #[test]
    fn it_is_worked_out_once_for_a_table_and_anew_for_the_next() {
        let (last, first, second) = (LastBalance::default(), snapshot(50), snapshot(20));
        assert_eq!(last.of(&first), Balance::of(&first));
        // Only by this can it be seen that the table was not looked at again.
        last.0.lock().expect("nobody panicked").1.late = 7;
        assert_eq!(last.of(&first).late, 7);
        assert_eq!(last.of(&second), Balance::of(&second));
        assert!(Balance::of(&first).mean > Balance::of(&second).mean);
        assert_eq!(last.of(&first), Balance::of(&first));
    }
}
