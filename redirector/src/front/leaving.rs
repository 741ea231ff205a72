//! The time before a front stops, in which it serves as before but asks clients to go elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Makes a front leave. Clones are the same front's.
#[derive(Debug, Clone, Default)]
pub struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// From now on every answer over HTTP is the last on its connection, except where a session goes
    /// on. Connections that wait for their clients are left alone.
    pub fn begin(&self) {
        self.0.store(true, Relaxed);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.load(Relaxed)
    }
}
