//! One edge as picks see it.

use crate::cell::Way;

/// What a pick needs of an edge beside its cell: 32 bytes, so that two share a cache line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// The predicted share of its capacity in use when the table was made: what it reported, and
    /// every redirector's redirects that no report has confirmed.
    pub load: f32,
    /// What each redirect adds to that; it stands for those of the other redirectors too.
    pub step: f32,
    /// The lower half of its cell's count of redirects when the table was made.
    pub handed: u32,
    /// Redirects until its confirmation window closes; below 0: closed by so many.
    pub room: f32,
    /// Milliseconds after the table was made until it counts as silent; `i32::MAX`: never, below 0:
    /// it did already.
    pub fresh_ms: i32,
    /// What it can send, in bits per second.
    pub capacity_bps: f32,
    /// What the policies that go by reports alone compare.
    pub score: f32,
    /// What each redirect adds to that.
    pub score_step: f32,
}

impl Row {
    /// Redirects since the table was made, given the count now.
    #[inline]
    pub(super) fn since(&self, handed: u32) -> f32 {
        handed.wrapping_sub(self.handed) as f32
    }

    /// Orders edges after so many redirects since, the best first: those whose window is open by
    /// their load with one viewer more, who takes this share of the capacity, then the others by how
    /// far they are over. It only grows.
    #[inline]
    pub(super) fn key(&self, since: f32, viewer: f32) -> u64 {
        key(self.load + since * self.step + viewer, since - self.room, self.step)
    }
}

/// What a draw compares of an edge, side by side with what it draws by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gist {
    /// The edge's place in the fleet.
    pub(crate) place: u32,
    pub(super) way: Way,
    load: f32,
    step: f32,
    handed: u32,
    room: f32,
}

impl Gist {
    #[inline]
    pub(super) fn of(place: u32, way: Way, row: &Row) -> Self {
        let Row { load, step, handed, room, .. } = *row;
        Self { place, way, load, step, handed, room }
    }

    /// Its predicted load, given the count of redirects now.
    #[inline]
    pub(crate) fn load(&self, count: u32) -> f32 {
        self.load + self.since(count) * self.step
    }

    /// As [`Row::key`], where a viewer is so much of each redirect's step.
    #[inline]
    pub(crate) fn key(&self, count: u32, viewer_in_step: f32) -> u64 {
        let over = self.since(count) - self.room;
        key(self.load(count) + self.step * viewer_in_step, over, self.step)
    }

    #[inline]
    fn since(&self, count: u32) -> f32 {
        count.wrapping_sub(self.handed) as f32
    }
}

#[inline]
fn key(load_with_one_more: f32, over: f32, step: f32) -> u64 {
    if over < 0.0 { ordered(load_with_one_more) } else { CLOSED | ordered(over * step) }
}

/// Above every key of an edge whose window is open.
const CLOSED: u64 = 1 << 32;

/// A share as an integer of the same order; below 0 it counts as 0.
#[inline]
pub(super) fn ordered(share: f32) -> u64 {
    u64::from(share.max(0.0).to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_share_a_cache_line() {
        assert_eq!(size_of::<Row>(), 32);
    }

    #[test]
    fn a_gist_leaves_room_for_what_it_is_drawn_by_in_half_a_cache_line() {
        assert_eq!(size_of::<Gist>(), 24);
    }

    #[test]
    fn the_counter_may_wrap_around() {
        let row = Row { handed: u32::MAX, ..Row::default() };
        assert_eq!(row.since(2), 3.0);
    }
}
