//! One edge as picks see it.

/// What a pick needs of an edge beside its cell: 32 bytes, so that two share a cache line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// The predicted share of its capacity in use when the table was made: what it reported, and
    /// every redirector's redirects that no report has confirmed.
    pub load: f32,
    /// What each redirect adds to that; it stands for those of the other redirectors too.
    pub step: f32,
    /// The table's count of redirects to it when the table was made.
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
}

/// What a draw compares of an edge, side by side with what it draws by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gist {
    /// The edge's place in the fleet.
    pub(crate) place: u32,
    load: f32,
    step: f32,
    handed: u32,
    room: f32,
    /// What one viewer is of its capacity.
    viewer: f32,
}

impl Gist {
    #[inline]
    pub(super) fn of(place: u32, row: &Row, viewer_bps: f32) -> Self {
        let Row { load, step, handed, room, capacity_bps, .. } = *row;
        Self { place, load, step, handed, room, viewer: viewer_bps / capacity_bps }
    }

    /// Its predicted load, given the count of redirects now.
    #[inline]
    pub(super) fn load(&self, count: u32) -> f32 {
        self.load + self.since(count) * self.step
    }

    /// The same with one viewer more.
    #[inline]
    pub(super) fn load_with_one_more(&self, count: u32) -> f32 {
        self.load(count) + self.viewer
    }

    /// Orders edges, the best first: those whose window is open by their load with one viewer more,
    /// then the others by how far they are over. It only grows with the count.
    #[inline]
    pub(super) fn key(&self, count: u32) -> u64 {
        let over = self.since(count) - self.room;
        if over < 0.0 {
            ordered(self.load_with_one_more(count))
        } else {
            CLOSED | ordered(over * self.step)
        }
    }

    /// The count when the table was made.
    #[inline]
    pub(super) fn handed(&self) -> u32 {
        self.handed
    }

    #[inline]
    fn since(&self, count: u32) -> f32 {
        count.wrapping_sub(self.handed) as f32
    }
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
