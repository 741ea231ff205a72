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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_share_a_cache_line() {
        assert_eq!(size_of::<Row>(), 32);
    }

    #[test]
    fn the_counter_may_wrap_around() {
        let row = Row { handed: u32::MAX, ..Row::default() };
        assert_eq!(row.since(2), 3.0);
    }
}
