//! How many connections a front has taken and what became of them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::guard::HttpReject;

/// A count that only rises, but for gauges that say so.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The figures of one front.
#[derive(Debug, Default)]
pub struct FrontFigures {
    pub(super) accepted: Count,
    pub(super) shed: Count,
    pub(super) accept_errors: Count,
    pub(super) head_timeouts: Count,
    pub(super) malformed: Count,
    open: AtomicU64,
    refused: [Count; HttpReject::ALL.len()],
}

/// Counts one connection as open while it lives.
pub(super) struct Open<'a>(&'a AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FrontFigures {
    pub(super) fn open(&self) -> Open<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(&self.open)
    }

    pub(super) fn refuse(&self, reject: HttpReject) {
        let place = HttpReject::ALL.iter().position(|other| *other == reject);
        if let Some(count) = place.and_then(|place| self.refused.get(place)) {
            count.add_one();
        }
    }

    /// Connections open now.
    #[must_use]
    pub fn open_now(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// What became of connections: `accepted`; `shed` for want of a place; `accept_errors`;
    /// `head_timeouts`, closed for an unfinished or missing request; `malformed`, not HTTP.
    #[must_use]
    pub fn connections(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("accepted", self.accepted.get()),
            ("shed", self.shed.get()),
            ("accept_errors", self.accept_errors.get()),
            ("head_timeouts", self.head_timeouts.get()),
            ("malformed", self.malformed.get()),
        ]
    }

    /// Requests the guard refused, by reason code.
    #[must_use]
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        HttpReject::ALL
            .into_iter()
            .map(HttpReject::code)
            .zip(self.refused.iter().map(Count::get))
            .collect()
    }
}
