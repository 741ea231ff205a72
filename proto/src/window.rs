//! Which sequences of one session were seen: a sliding bitmap (RFC 6479 layout).

const WORDS: u64 = 16;
const WORD_BITS: u64 = 64;
/// How far behind the highest sequence a late datagram may be and still count. One word of the
/// 1,024 bits is always being cleared for what comes next.
pub const REACH: u64 = (WORDS - 1) * WORD_BITS;

/// Why a sequence was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Repeat {
    /// It was accepted before.
    #[error("sequence seen before")]
    Seen,
    /// It is too far behind the newest to tell.
    #[error("sequence older than the window")]
    TooOld,
}

/// The receiver's memory of one session, 136 bytes.
#[derive(Debug, Clone, Default)]
pub struct Window {
    highest: u64,
    words: [u64; WORDS as usize],
}

impl Window {
    /// A window that refuses everything up to and including `highest`: what is left of a session
    /// after the receiver restarted.
    #[must_use]
    pub fn resumed_after(highest: u64) -> Self {
        Self { highest, words: [u64::MAX; WORDS as usize] }
    }

    /// The highest sequence accepted, 0 before the first.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether [`accept`](Self::accept) would refuse `sequence`. Changes nothing, so it may be
    /// asked before the datagram is authenticated.
    pub fn check(&self, sequence: u64) -> Result<(), Repeat> {
        if sequence > self.highest {
            return Ok(());
        }
        if self.highest - sequence >= REACH {
            return Err(Repeat::TooOld);
        }
        let (word, bit) = place(sequence);
        if self.words[word] & bit == 0 { Ok(()) } else { Err(Repeat::Seen) }
    }

    /// Marks `sequence` as seen. Only for authenticated datagrams.
    pub fn accept(&mut self, sequence: u64) -> Result<(), Repeat> {
        self.check(sequence)?;
        if sequence > self.highest {
            let (from, to) = (self.highest / WORD_BITS, sequence / WORD_BITS);
            for cleared in from + 1..=to.min(from + WORDS) {
                self.words[(cleared % WORDS) as usize] = 0;
            }
            self.clear_above(sequence);
            self.highest = sequence;
        }
        let (word, bit) = place(sequence);
        self.words[word] |= bit;
        Ok(())
    }

    /// A resumed window is full of ones; those above the old highest in its last word are not
    /// sightings.
    fn clear_above(&mut self, next: u64) {
        let (old_word, next_word) = (self.highest / WORD_BITS, next / WORD_BITS);
        if self.highest.is_multiple_of(WORD_BITS) && self.highest == 0 {
            return;
        }
        let keep = u64::MAX >> (WORD_BITS - 1 - self.highest % WORD_BITS);
        if next_word - old_word < WORDS {
            self.words[(old_word % WORDS) as usize] &= keep;
        }
    }
}

fn place(sequence: u64) -> (usize, u64) {
    (((sequence / WORD_BITS) % WORDS) as usize, 1 << (sequence % WORD_BITS))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The slow and obvious form.
    #[derive(Default)]
    struct Model {
        highest: u64,
        floor: u64,
        seen: BTreeSet<u64>,
    }

    impl Model {
        fn accept(&mut self, sequence: u64) -> bool {
            let late = sequence <= self.highest && self.highest - sequence >= REACH;
            if late || sequence <= self.floor || !self.seen.insert(sequence) {
                return false;
            }
            self.highest = self.highest.max(sequence);
            true
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_model(
            resume in prop::option::of(0u64..5_000),
            steps in prop::collection::vec(prop_oneof![0u64..40, 0u64..3_000, 0u64..9_000], 1..400),
        ) {
            let floor = resume.unwrap_or(0);
            let mut window = resume.map_or_else(Window::default, Window::resumed_after);
            let mut model = Model { highest: floor, floor, ..Model::default() };
            for step in steps {
                let sequence = (model.highest + 20).saturating_sub(step).max(1);
                let would = window.check(sequence).is_ok();
                let did = window.accept(sequence).is_ok();
                prop_assert_eq!(would, did);
                prop_assert_eq!(did, model.accept(sequence), "sequence {}", sequence);
                prop_assert_eq!(window.highest(), model.highest);
            }
        }
    }

    #[test]
    fn a_jump_of_any_size_is_taken_once() {
        let mut window = Window::default();
        for sequence in [1, 2, 1_000_000, u64::MAX] {
            assert_eq!(window.accept(sequence), Ok(()));
            assert_eq!(window.accept(sequence), Err(Repeat::Seen));
        }
        assert_eq!(window.accept(1_000_001), Err(Repeat::TooOld));
    }
}
