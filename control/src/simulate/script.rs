//! What happens to edges, and when.

use std::ops::Range;

use super::{
    queue::{Micros, SECOND},
    setup::{Scenario, Setup},
};

/// Restarts of a rolling deployment: so many batches, one every minute.
const BATCHES: usize = 10;
const BATCH_EVERY: Micros = 60 * SECOND;
/// An edge has sent its viewers away after this long.
pub(super) const DRAIN: Micros = 20 * SECOND;
/// And is back after this long.
const AWAY: Micros = 35 * SECOND;

/// One change, to edges of these places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// They send their viewers away.
    Drain(Range<usize>),
    /// They leave.
    Stop(Range<usize>),
    /// They start, empty.
    Start(Range<usize>),
    /// They die without a word.
    Die(Range<usize>),
    /// They admit nobody from now on.
    Sink(Range<usize>),
}

/// Every change of a simulation, by when it happens after measuring began.
pub(super) fn script(setup: &Setup) -> Vec<(Micros, Act)> {
    match setup.scenario {
        Scenario::Steady | Scenario::Low | Scenario::Flash | Scenario::Hot => Vec::new(),
        Scenario::Rolling => (0..BATCHES).flat_map(|batch| restart(setup.edges, batch)).collect(),
        Scenario::Cold => vec![(10 * SECOND, Act::Start(setup.edges..setup.edges + 1))],
        Scenario::Death => vec![(death_at(setup), Act::Die(one_of_the_largest(setup)))],
        Scenario::Sink => vec![(30 * SECOND, Act::Sink(one_of_the_largest(setup)))],
    }
}

/// Clients are believed about edges they were sent to within the last minute: where they say which
/// edge has failed them, redirectors have that minute behind them.
fn death_at(setup: &Setup) -> Micros {
    if setup.retries_name_edge { 70 * SECOND } else { 10 * SECOND }
}

fn restart(edges: usize, batch: usize) -> [(Micros, Act); 3] {
    let places = edges * batch / BATCHES..edges * (batch + 1) / BATCHES;
    let begin = BATCH_EVERY * batch as u64 + 10 * SECOND;
    [
        (begin, Act::Drain(places.clone())),
        (begin + DRAIN, Act::Stop(places.clone())),
        (begin + AWAY, Act::Start(places)),
    ]
}

/// Capacities are 1, 4, 2, 3 and so on.
fn one_of_the_largest(setup: &Setup) -> Range<usize> {
    let largest = (setup.edges + 2) / 4;
    let place = (1 + 4 * (setup.seed as usize % largest.max(1))).min(setup.edges - 1);
    place..place + 1
}
