//! What picks draw from.

use std::sync::Arc;

use super::Selection;

/// One fleet, prepared for picks. It belongs to the [`FleetView`](crate::snapshot::FleetView) it was
/// made of: places in it are places in that fleet's `edges`.
#[derive(Debug)]
pub struct Table {
    pub(crate) selection: Arc<Selection>,
}

impl Table {
    /// The settings it was made by.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }
}
