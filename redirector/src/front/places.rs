//! The places for connections: how many there are, and who loses one when all are taken.
//!
//! Every connection either waits for its client, since a moment that only an answer moves, or is
//! being served. Who has kept us waiting longest goes first; who is being served never does.
//! The lock is held when a connection comes or goes, and for nothing else.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{sync::Notify, time::Instant};

use crate::shed::longest_waiting;

/// What a seat holds besides the moment since which its connection waits.
const SERVED: u64 = 0;
const SHED: u64 = u64::MAX;

/// All places of a front.
#[derive(Debug)]
pub(super) struct Places {
    max: usize,
    started: Instant,
    /// How many connections wait, so that it costs nothing to learn that none does.
    waiting: AtomicUsize,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    taken: HashMap<u64, Arc<Seat>>,
    last_number: u64,
}

/// Whether one connection waits or is served, and the way to end it.
#[derive(Debug)]
struct Seat {
    /// Microseconds from the start to the moment since which it waits, or [`SERVED`], or [`SHED`].
    state: AtomicU64,
    shed: Notify,
}

/// A connection's place, for those that serve it.
#[derive(Debug, Clone)]
pub struct Place {
    places: Arc<Places>,
    seat: Arc<Seat>,
}

/// A place taken; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Taken {
    place: Place,
    number: u64,
}

impl Places {
    pub(super) fn new(max: usize) -> Arc<Self> {
        let started = Instant::now();
        Arc::new(Self { max, started, waiting: AtomicUsize::new(0), seats: Mutex::default() })
    }

    /// A place for a connection that waits for its client from now on. When all are taken, those
    /// that have waited longest lose theirs; `None`: nobody waits.
    pub(super) fn take(self: &Arc<Self>) -> Option<Taken> {
        let seat = Arc::new(Seat { state: AtomicU64::new(self.now()), shed: Notify::new() });
        let mut seats = self.lock();
        if seats.taken.len() >= self.max {
            self.shed_slowest(&mut seats);
        }
        if seats.taken.len() >= self.max {
            return None;
        }
        self.waiting.fetch_add(1, Relaxed);
        seats.last_number += 1;
        let number = seats.last_number;
        seats.taken.insert(number, Arc::clone(&seat));
        Some(Taken { place: Place { places: Arc::clone(self), seat }, number })
    }

    fn shed_slowest(&self, seats: &mut Seats) {
        if self.waiting.load(Relaxed) == 0 {
            return;
        }
        let waiting_since = |(number, seat): (&u64, &Arc<Seat>)| {
            let state = seat.state.load(Relaxed);
            (state != SERVED && state != SHED).then_some((state, *number))
        };
        let waiting = seats.taken.iter().filter_map(waiting_since).collect();
        for (since, number) in longest_waiting(waiting, self.max) {
            // Who has been given an answer in this very moment stays.
            if seats.taken.get(&number).is_some_and(|seat| self.move_on(seat, since, SHED)) {
                seats.taken.remove(&number).inspect(|seat| seat.shed.notify_one());
            }
        }
    }

    /// Changes a seat's state and counts who waits; false: it was no longer `from`.
    fn move_on(&self, seat: &Seat, from: u64, to: u64) -> bool {
        let moved = seat.state.compare_exchange(from, to, Relaxed, Relaxed).is_ok();
        if moved && from == SERVED {
            self.waiting.fetch_add(1, Relaxed);
        } else if moved && (to == SERVED || to == SHED) {
            self.waiting.fetch_sub(1, Relaxed);
        }
        moved
    }

    /// Never [`SERVED`] and, for half a million years, never [`SHED`].
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).map_or(SHED - 1, |micros| micros + 1)
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A place that nobody takes away: of a connection that no listener has accepted.
    #[must_use]
    pub fn kept() -> Self {
        let seat = Arc::new(Seat { state: AtomicU64::new(SERVED), shed: Notify::new() });
        Self { places: Places::new(1), seat }
    }

    /// The connection is not shed from now on: what it is there for has begun.
    pub fn serve_from_now_on(&self) {
        self.turn(|| SERVED);
    }

    /// The client has what it asked for, and is waited for anew.
    pub(super) fn wait_from_now_on(&self) {
        self.turn(|| self.places.now());
    }

    /// Ready when the place is needed for someone else.
    pub(super) async fn shed(&self) {
        self.seat.shed.notified().await;
    }

    fn turn(&self, to: impl Fn() -> u64) {
        // Only shedding comes in between, and that is for ever.
        let from = self.seat.state.load(Relaxed);
        let to = to();
        if from != SHED && from != to {
            self.places.move_on(&self.seat, from, to);
        }
    }
}

impl Taken {
    pub(super) fn place(&self) -> &Place {
        &self.place
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Place { places, seat } = &self.place;
        let was = seat.state.swap(SHED, Relaxed);
        if was != SERVED && was != SHED {
            places.waiting.fetch_sub(1, Relaxed);
        }
        places.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
