//! Events in the order of their time; those of one time in the order they were planned.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Microseconds since the simulation began.
pub(super) type Micros = u64;

/// One second.
pub(super) const SECOND: Micros = 1_000_000;

/// Seconds as microseconds; nothing is planned before the beginning.
pub(super) fn micros(seconds: f64) -> Micros {
    (seconds.max(0.0) * SECOND as f64) as Micros
}

#[derive(Debug)]
struct Planned<E> {
    at: Micros,
    sequence: u64,
    event: E,
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// What is still to happen.
#[derive(Debug)]
pub(super) struct Queue<E> {
    heap: BinaryHeap<Reverse<Planned<E>>>,
    sequence: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<E> Queue<E> {
    /// Plans an event.
    pub(super) fn push(&mut self, at: Micros, event: E) {
        self.sequence += 1;
        self.heap.push(Reverse(Planned { at, sequence: self.sequence, event }));
    }

    /// Takes the next event and its time.
    pub(super) fn pop(&mut self) -> Option<(Micros, E)> {
        self.heap.pop().map(|Reverse(planned)| (planned.at, planned.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_time_keep_the_order_they_were_planned_in() {
        let mut queue = Queue::default();
        for (at, event) in [(5, 'c'), (2, 'a'), (5, 'd'), (2, 'b')] {
            queue.push(at, event);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(2, 'a'), (2, 'b'), (5, 'c'), (5, 'd')]);
    }
}
