//! The time, read in one place and handed to every decision.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Time since the process started. Every timer uses this one.
    pub monotonic: Duration,
    /// Wall-clock time in Unix milliseconds, for records that people read and for freshness.
    pub unix_ms: u64,
}

/// The process's clock. Only tasks hold one.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Reads both clocks. A wall clock before 1970 reads as 1970.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic: self.origin.elapsed(),
            unix_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }
}
