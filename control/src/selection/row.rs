//! One edge as picks see it.

/// What a pick needs of an edge beside its cell: 32 bytes, so that two share a cache line.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// The predicted share of its capacity in use when the table was made: what it reported, and
    /// every redirector's redirects that no report has confirmed.
    pub load: f32,
    /// What each redirect adds to that; it stands for those of the other redirectors too.
    pub step: f32,
    /// Redirects of this process when the table was made; the low half of the cell's counter.
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
    /// Redirects since the table was made, given the cell's counter.
    #[must_use]
    pub(crate) fn since(&self, handed: u64) -> f32 {
        (handed as u32).wrapping_sub(self.handed) as f32
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
        assert_eq!(row.since(u64::from(u32::MAX) + 3), 3.0);
    }
}
