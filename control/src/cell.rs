//! What changes faster than snapshots do: one cell for each edge, shared by all its views.
//!
//! Every pick reads a cell and writes one, and which one is chance. So cells lie side by side, many
//! in a slab: scattered over the memory each would be a wait of its own.

use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Cells in one slab.
const SLAB_LEN: usize = 1 << SLAB_BITS;
const SLAB_BITS: u32 = 12;

/// What every pick asks of one edge at this moment, in one word: two flags, and below them how many
/// redirects there were to it.
#[derive(Debug, Default)]
pub struct Slot(AtomicU64);

const DRAINED: u64 = 1 << 63;
const PAUSED: u64 = 1 << 62;

impl Slot {
    /// Whether an order stands against the edge.
    #[must_use]
    #[inline]
    pub fn is_drained(&self) -> bool {
        self.0.load(Ordering::SeqCst) & DRAINED != 0
    }

    /// Sets or clears the flag that every pick re-checks.
    pub(crate) fn set_drained(&self, drained: bool) {
        self.set(DRAINED, drained);
    }

    /// Whether the edge's last report asked for no new viewers.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PAUSED != 0
    }

    /// Lets picks know of a pause before the next view shows it.
    pub(crate) fn set_paused(&self, paused: bool) {
        self.set(PAUSED, paused);
    }

    fn set(&self, flag: u64, on: bool) {
        if on {
            self.0.fetch_or(flag, Ordering::SeqCst);
        } else {
            self.0.fetch_and(!flag, Ordering::SeqCst);
        }
    }

    /// Whether the edge is to get nobody, by order or by its own word.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst) & (DRAINED | PAUSED) != 0
    }

    /// Redirects to the edge since this process started.
    #[must_use]
    #[inline]
    pub fn handed(&self) -> u64 {
        self.0.load(Ordering::Relaxed) & !(DRAINED | PAUSED)
    }

    /// The lower half of that: it may wrap around.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed) as u32
    }

    /// Counts one redirect. A process does not live long enough to count up to the flags.
    #[inline]
    pub(crate) fn hand_out(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One edge's [`Slot`], and what picks do not ask; it keeps the slab.
#[derive(Debug)]
pub struct Cell {
    slab: Arc<[Slot]>,
    at: usize,
    /// The last window in which clients voted against the edge, and in its lower half how many did.
    votes: AtomicU64,
    /// When they last were enough, in milliseconds of the monotonic clock; 0: never.
    voted_out_ms: AtomicU64,
}

/// A cell by itself, in a slab of one.
impl Default for Cell {
    fn default() -> Self {
        Self::at(Arc::new([Slot::default()]), 0)
    }
}

impl Deref for Cell {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        &self.slab[self.at]
    }
}

impl Cell {
    fn at(slab: Arc<[Slot]>, at: usize) -> Self {
        Self { slab, at, votes: AtomicU64::new(0), voted_out_ms: AtomicU64::new(0) }
    }

    /// That of an edge which has had so many redirects already.
    #[cfg(test)]
    pub(crate) fn having_handed(handed: u64) -> Self {
        Self::at(Arc::new([Slot(AtomicU64::new(handed))]), 0)
    }

    /// Counts a client's vote against the edge. Returns how many there are in this window.
    pub(crate) fn vote(&self, window: u32) -> u32 {
        let first = u64::from(window) << 32;
        let add = |votes: u64| if votes >> 32 == first >> 32 { votes + 1 } else { first + 1 };
        let before =
            self.votes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |v| Some(add(v)));
        before.map_or(0, |votes| add(votes) as u32)
    }

    /// Notes that there were enough votes at `now`.
    pub(crate) fn vote_out(&self, now: Duration) {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).max(1);
        self.voted_out_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// When there last were enough votes.
    pub(crate) fn voted_out(&self) -> Option<Duration> {
        let at_ms = self.voted_out_ms.load(Ordering::Relaxed);
        (at_ms > 0).then(|| Duration::from_millis(at_ms))
    }
}

/// Gives out cells that lie side by side. A slab goes when its last cell does.
#[derive(Debug, Default)]
pub struct Slabs {
    last: Option<Arc<[Slot]>>,
    used: usize,
}

impl Slabs {
    /// A new cell.
    pub fn cell(&mut self) -> Cell {
        let new = || (0..SLAB_LEN).map(|_| Slot::default()).collect();
        let full = self.used == SLAB_LEN;
        let slab = match self.last.take().filter(|_| !full) {
            Some(slab) => slab,
            None => {
                self.used = 0;
                new()
            }
        };
        self.last = Some(Arc::clone(&slab));
        self.used += 1;
        Cell::at(slab, self.used - 1)
    }
}

/// The cells of a list of edges, by place.
#[derive(Debug, Default)]
pub(crate) struct CellsByPlace {
    slabs: Vec<Arc<[Slot]>>,
    ways: Vec<Way>,
}

/// The way to one cell: the slab's place in a list of slabs, and in the lower bits the slot's in it.
/// Who has it does not wait for the memory to name it first.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Way(u32);

impl CellsByPlace {
    pub(crate) fn of<'a>(cells: impl Iterator<Item = &'a Cell>) -> Self {
        let mut all = Self::default();
        let mut known = std::collections::HashMap::new();
        for cell in cells {
            let slab = *known.entry(Arc::as_ptr(&cell.slab).cast::<Slot>()).or_insert_with(|| {
                all.slabs.push(Arc::clone(&cell.slab));
                all.slabs.len() as u32 - 1
            });
            all.ways.push(Way(slab << SLAB_BITS | cell.at as u32));
        }
        all
    }

    pub(crate) fn len(&self) -> usize {
        self.ways.len()
    }

    #[inline]
    pub(crate) fn get(&self, place: usize) -> Option<&Slot> {
        self.find(*self.ways.get(place)?)
    }

    #[inline]
    pub(crate) fn way(&self, place: usize) -> Option<Way> {
        self.ways.get(place).copied()
    }

    /// The cell that a way of this list leads to.
    #[inline]
    pub(crate) fn find(&self, Way(at): Way) -> Option<&Slot> {
        self.slabs.get((at >> SLAB_BITS) as usize)?.get(at as usize & (SLAB_LEN - 1))
    }

    /// What was handed out to each edge.
    pub(crate) fn all_handed(&self) -> impl Iterator<Item = u64> {
        self.ways.iter().map(|way| self.find(*way).map_or(0, Slot::handed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_lie_side_by_side_and_are_found_by_place_whatever_slab_they_are_in() {
        let mut slabs = Slabs::default();
        let mut cells: Vec<_> = (0..2 * SLAB_LEN + 3).map(|_| slabs.cell()).collect();
        cells.push(Cell::default());
        cells.reverse();
        let places = CellsByPlace::of(cells.iter());
        assert_eq!((places.len(), places.slabs.len()), (cells.len(), 4));
        for (place, cell) in cells.iter().enumerate() {
            let slot = places.get(place).expect("a slot");
            assert!(std::ptr::eq(slot, &raw const **cell), "{place}");
            assert!(!slot.is_drained(), "{place} was somebody else's");
            cell.set_drained(true);
        }
        assert!(places.get(cells.len()).is_none());
    }

    #[test]
    fn eight_slots_share_a_cache_line() {
        assert_eq!(size_of::<Slot>(), 8);
    }

    #[test]
    fn flags_and_the_count_leave_each_other_alone() {
        let cell = Cell::having_handed(u64::from(u32::MAX));
        cell.set_drained(true);
        cell.set_paused(true);
        cell.hand_out();
        assert_eq!((cell.handed(), cell.count()), (1 << 32, 0));
        cell.set_drained(false);
        assert_eq!((cell.is_drained(), cell.is_paused(), cell.is_closed()), (false, true, true));
        cell.set_paused(false);
        assert_eq!((cell.handed(), cell.is_closed()), (1 << 32, false));
    }
}
