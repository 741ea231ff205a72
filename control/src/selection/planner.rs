//! Makes tables, and remembers between them what predictions need.

use std::{sync::Arc, time::Duration};

use super::{Selection, Table};
use crate::snapshot::FleetView;

/// The one maker of [`Table`]s of a process.
#[derive(Debug)]
pub struct Planner {
    selection: Arc<Selection>,
}

impl Planner {
    /// A planner that remembers nothing yet.
    #[must_use]
    pub fn new(selection: Arc<Selection>) -> Self {
        Self { selection }
    }

    /// A table of the fleet as it is now. To be called every 100 ms or so, with the newest view,
    /// whether or not that has changed: predictions age.
    pub fn plan(&mut self, _fleet: &Arc<FleetView>, _now: Duration) -> Table {
        Table { selection: Arc::clone(&self.selection) }
    }
}
