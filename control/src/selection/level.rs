//! The water level: how high edges would stand if what is to come filled the lowest of them evenly.

/// The level at which edges of these loads and capacities take up exactly `volume`: the sum over
/// all of `max(0, level x capacity - load x capacity)` is the volume. 0 for no edges.
///
/// Capacities and the volume are in bits per second, loads and the level in shares of capacity.
pub(super) fn level(edges: &[(f64, f64)], volume: f64) -> f64 {
    let mut level = f64::INFINITY;
    loop {
        let (carried, capacity) = sums_below(edges, level);
        if capacity <= 0.0 {
            return if level.is_finite() { level } else { 0.0 };
        }
        let lower = (volume + carried) / capacity;
        // Leaving out edges above the level can only lower it, so it ends where none is left out.
        if lower >= level {
            return level;
        }
        level = lower;
    }
}

/// What the edges below a level carry, and what they can carry. Four sums run beside each other, as
/// each addition waits for the one before it.
fn sums_below(edges: &[(f64, f64)], level: f64) -> (f64, f64) {
    let (mut carried, mut capacity) = ([0.0; 4], [0.0; 4]);
    let mut add = |lane: usize, (load, limit): (f64, f64)| {
        // Without a branch, as nobody could foresee which way it goes.
        let below = if load < level { limit } else { 0.0 };
        carried[lane] += load * below;
        capacity[lane] += below;
    };
    let (fours, rest) = edges.as_chunks::<4>();
    for four in fours {
        (0..4).for_each(|lane| add(lane, four[lane]));
    }
    rest.iter().for_each(|edge| add(0, *edge));
    (carried.iter().sum(), capacity.iter().sum())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken_up(edges: &[(f64, f64)], level: f64) -> f64 {
        edges.iter().map(|(load, capacity)| (level - load).max(0.0) * capacity).sum()
    }

    proptest! {
        #[test]
        fn the_edges_below_the_level_take_up_the_volume(
            edges in prop::collection::vec((0.0..3.0f64, 1e6..1e11f64), 1..100),
            share in 1e-4..2.0f64,
        ) {
            let volume = share * edges.iter().map(|(_, capacity)| capacity).sum::<f64>();
            let level = level(&edges, volume);
            let taken = taken_up(&edges, level);
            prop_assert!((taken - volume).abs() <= volume * 1e-6, "{taken} of {volume}");
        }
    }

    #[test]
    fn equal_edges_rise_together_and_no_edges_have_no_level() {
        assert_eq!(level(&[(0.5, 100.0), (0.5, 100.0)], 20.0), 0.6);
        assert_eq!(level(&[], 20.0), 0.0);
        assert_eq!(level(&[(1e9, 1.0)], 1.0), 1e9 + 1.0);
    }
}
