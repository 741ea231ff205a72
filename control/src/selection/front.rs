//! The exact minimum over many edges, found without looking at them all.
//!
//! Keys only grow between two tables, so a minimum that was computed once is a lower bound for ever.
//! The front is a tree of such bounds: the minimum is searched where the bound is lowest, the bounds
//! on the way are raised to what was found there, and that is repeated until nothing is lower.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::{Rng, RngExt};

/// Members under one bound, and bounds under one bound above.
const FAN: usize = 8;

/// The key of a member that cannot be chosen, now or until the next table.
pub(crate) const NEVER: u64 = u64::MAX;

/// Bounds over a list of members; the lowest layer first, the last has at most [`FAN`] of them.
#[derive(Debug, Default)]
pub(crate) struct Front {
    layers: Vec<Vec<AtomicU64>>,
}

impl Front {
    /// A front over members with these keys, which may only grow from here on.
    pub(super) fn of(keys: &[u64]) -> Self {
        let mut layers: Vec<Vec<AtomicU64>> = Vec::new();
        let mut below = lowest_of_each(keys.chunks(FAN));
        loop {
            let above = lowest_of_each(below.chunks(FAN));
            let is_top = below.len() <= FAN;
            layers.push(below.into_iter().map(AtomicU64::new).collect());
            if is_top {
                return Self { layers };
            }
            below = above;
        }
    }

    /// The member whose key is lowest now, ties at random; `None` if none can be chosen.
    pub(crate) fn least(
        &self,
        members: &[u32],
        key: impl Fn(u32) -> u64,
        random: &mut impl Rng,
    ) -> Option<u32> {
        // Each round ends the search or raises a bound; the limit only keeps the loop honest.
        for _ in 0..=members.len() {
            let group = self.lowest_group(random)?;
            let from = group * FAN;
            let group_members = members.get(from..members.len().min(from + FAN))?;
            let (lowest, at) = lowest(group_members.iter().map(|place| key(*place)), random)?;
            if lowest <= self.raise(group, lowest) {
                return group_members.get(at).copied().filter(|_| lowest < NEVER);
            }
        }
        None
    }

    /// Descends to where the bound is lowest, ties at random.
    fn lowest_group(&self, random: &mut impl Rng) -> Option<usize> {
        let mut at = 0;
        for layer in self.layers.iter().rev() {
            let from = at * FAN;
            let bounds = layer.get(from..layer.len().min(from + FAN))?;
            at = from + lowest(bounds.iter().map(|b| b.load(Ordering::Relaxed)), random)?.1;
        }
        Some(at)
    }

    /// Raises a group's bound and those above it. Returns the lowest bound of all.
    fn raise(&self, group: usize, lowest: u64) -> u64 {
        let (mut at, mut bound) = (group, lowest);
        for layer in &self.layers {
            // Mostly it is raised, but what is not need not be contended for.
            if let Some(place) = layer.get(at).filter(|b| b.load(Ordering::Relaxed) < bound) {
                place.fetch_max(bound, Ordering::Relaxed);
            }
            at /= FAN;
            let from = at * FAN;
            let bounds = layer.get(from..layer.len().min(from + FAN)).unwrap_or_default();
            bound = bounds.iter().map(|b| b.load(Ordering::Relaxed)).min().unwrap_or(NEVER);
        }
        bound
    }
}

fn lowest_of_each<'a>(groups: impl Iterator<Item = &'a [u64]>) -> Vec<u64> {
    groups.map(|group| group.iter().copied().min().unwrap_or(NEVER)).collect()
}

/// The lowest of up to [`FAN`] keys and where it is. Among equals each has the same chance.
fn lowest(keys: impl Iterator<Item = u64>, random: &mut impl Rng) -> Option<(u64, usize)> {
    let mut lowest = NEVER;
    let mut equals = [0u8; FAN];
    let mut count = 0;
    for (at, key) in keys.take(FAN).enumerate() {
        if key < lowest {
            lowest = key;
            count = 0;
        }
        if key == lowest {
            equals[count] = at as u8;
            count += 1;
        }
    }
    match count {
        0 => None,
        1 => Some((lowest, equals[0].into())),
        _ => Some((lowest, equals[random.random_range(0..count)].into())),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_minimum_of_all_under_any_sequence_of_growth(
            keys in prop::collection::vec(0u64..50, 1..700),
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0u64..9, any::<bool>()), 0..400),
            seed in any::<u64>(),
        ) {
            let members: Vec<u32> = (0..keys.len() as u32).rev().collect();
            let front = Front::of(&members.iter().map(|m| keys[*m as usize]).collect::<Vec<_>>());
            let keys = RefCell::new(keys);
            let mut random = SmallRng::seed_from_u64(seed);
            for (index, step, ends) in steps {
                let found = front.least(&members, |m| keys.borrow()[m as usize], &mut random);
                let lowest = keys.borrow().iter().copied().min().expect("one at least");
                match found {
                    Some(member) => prop_assert_eq!(keys.borrow()[member as usize], lowest),
                    None => prop_assert_eq!(lowest, NEVER),
                }
                let mut keys = keys.borrow_mut();
                if let Some(member) = found {
                    keys[member as usize] += step;
                }
                let at = index.index(keys.len());
                if ends {
                    keys[at] = NEVER;
                }
            }
        }
    }

    #[test]
    fn each_of_many_equals_is_found_by_chance() {
        let members: Vec<u32> = (0..100).collect();
        let front = Front::of(&[7; 100]);
        let mut random = SmallRng::seed_from_u64(1);
        let mut found = [0; 100];
        for _ in 0..10_000 {
            found[front.least(&members, |_| 7, &mut random).expect("one") as usize] += 1;
        }
        assert!(found.iter().all(|count| (30..400).contains(count)), "{found:?}");
    }

    #[test]
    fn nobody_is_the_least_of_none() {
        let mut random = SmallRng::seed_from_u64(1);
        assert_eq!(Front::of(&[]).least(&[], |_| 0, &mut random), None);
        assert_eq!(Front::of(&[NEVER; 20]).least(&[3; 20], |_| NEVER, &mut random), None);
    }
}
