//! Spreads simulations over the cores. Each is pure and knows nothing of the others.

use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tidegate_control::simulate::{Measures, Setup, run};

/// Runs every setup, as many at once as there are cores, and returns what came out in their order.
/// `progress` is told how many are done.
pub(super) fn run_all(setups: &[Setup], progress: impl Fn(usize) + Sync) -> Vec<Measures> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(setups.len()));
    thread::scope(|scope| {
        for _ in 0..cores.min(setups.len()) {
            scope.spawn(|| {
                while let Some((index, setup)) = take(setups, &next) {
                    let measured = run(setup);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((index, measured));
                    progress(results.len());
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, measured)| measured).collect()
}

fn take<'a>(setups: &'a [Setup], next: &AtomicUsize) -> Option<(usize, &'a Setup)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, setups.get(index)?))
}
