//! Drawing in proportion to weights in constant time: the alias method, after M. D. Vose, "A linear
//! algorithm for generating random numbers with a given distribution" (IEEE TSE 17(9), 1991).

use std::hint::select_unpredictable;

/// A chance of `1 / slots` each: below the cut it is the slot's own item, above it that of the
/// `other` slot. The item lies in the slot, so that mostly one look in the memory is enough,
/// and half a cache line, since most of what is drawn from is far away.
#[derive(Debug, Clone, Copy)]
struct Slot<T> {
    cut: u32,
    other: u32,
    own: T,
}

/// Items that can be drawn by weight. Those without any weight are not in it.
#[derive(Debug)]
pub(crate) struct Alias<T> {
    slots: Vec<Slot<T>>,
}

const ONE: f64 = 4_294_967_296.0;

impl<T: Copy> Alias<T> {
    /// Prepares the draw. Weights that are not finite, or not above 0, count as none.
    pub(super) fn of(weighted: impl Iterator<Item = (T, f64)>) -> Self {
        let mut slots = Vec::new();
        let mut chances = Vec::new();
        let mut sum = 0.0;
        for (own, weight) in weighted.filter(|(_, weight)| weight.is_finite() && *weight > 0.0) {
            slots.push(Slot { cut: u32::MAX, other: slots.len() as u32, own });
            chances.push(weight);
            sum += weight;
        }
        let scale = slots.len() as f64 / sum;
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for (at, chance) in (0u32..).zip(&mut chances) {
            *chance *= scale;
            if *chance < 1.0 { small.push(at) } else { large.push(at) }
        }
        // What is left over when one of the lists is empty is 1 but for rounding.
        while let (Some(low), Some(high)) = (small.pop(), large.pop()) {
            let (slot, chance) = (&mut slots[low as usize], chances[low as usize]);
            (slot.cut, slot.other) = ((chance * ONE) as u32, high);
            let left = &mut chances[high as usize];
            *left -= 1.0 - chance;
            if *left < 1.0 { small.push(high) } else { large.push(high) }
        }
        Self { slots }
    }

    /// One item, by 64 random bits; `None` if none has any weight.
    #[inline]
    pub(crate) fn draw(&self, bits: u64) -> Option<&T> {
        let at = (((bits >> 32) * self.slots.len() as u64) >> 32) as u32;
        let slot = self.slots.get(at as usize)?;
        // Nobody can foresee which it is, and a processor that guesses wrongly begins anew.
        let drawn = select_unpredictable((bits as u32) < slot.cut, at, slot.other);
        self.slots.get(drawn as usize).map(|slot| &slot.own)
    }

    /// The chances of the items that can be drawn; one that is in several slots comes several
    /// times. They add up to 1, unless none has any weight.
    pub(crate) fn chances(&self) -> impl Iterator<Item = (T, f64)> {
        let each = 1.0 / self.slots.len().max(1) as f64;
        self.slots.iter().flat_map(move |slot| {
            let own = f64::from(slot.cut) / ONE;
            [(slot.own, own * each), (self.slots[slot.other as usize].own, (1.0 - own) * each)]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The chance of each place, exactly as the slots have it.
    fn chances(alias: &Alias<u32>, places: usize) -> Vec<f64> {
        let mut chances = vec![0.0; places];
        for (place, chance) in alias.chances() {
            chances[place as usize] += chance;
        }
        chances
    }

    proptest! {
        #[test]
        fn every_place_has_the_chance_of_its_weight(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 1e-3..1e12f64], 1..200),
        ) {
            let alias = Alias::of((0u32..).zip(weights.iter().copied()));
            let sum: f64 = weights.iter().sum();
            for (chance, weight) in chances(&alias, weights.len()).iter().zip(&weights) {
                let wanted = if sum > 0.0 { weight / sum } else { 0.0 };
                prop_assert!((chance - wanted).abs() < 1e-6, "{chance} instead of {wanted}");
            }
        }

        #[test]
        fn a_place_without_weight_is_never_drawn(
            weights in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0)], 1..50),
            bits in any::<u64>(),
        ) {
            let alias = Alias::of((0u32..).zip(weights.iter().copied()));
            match alias.draw(bits) {
                Some(place) => prop_assert!(weights[*place as usize] > 0.0),
                None => prop_assert!(weights.iter().all(|weight| *weight == 0.0)),
            }
        }
    }

    #[test]
    fn weights_that_are_no_numbers_count_as_none() {
        let weights = [f64::NAN, f64::INFINITY, -1.0, 2.0];
        let alias = Alias::of((0u32..).zip(weights));
        assert_eq!(alias.draw(0), Some(&3));
        assert_eq!(alias.draw(u64::MAX), Some(&3));
        assert_eq!(Alias::<u32>::of(std::iter::empty()).draw(7), None);
    }
}
