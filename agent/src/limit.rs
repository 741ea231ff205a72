//! An edge that takes no new viewers beyond a number, and takes them again once enough have left.
//! Wowza did this with `ModuleLoadBalancerEdgeLimitConnections`.

use std::num::NonZeroU32;

/// When an edge is full, and when it no longer is. Between the two it stays what it was, so that it
/// does not come and go with every viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewerLimit {
    full_at: NonZeroU32,
    free_at: u32,
}

/// The second number is not below the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "viewers are taken again at {free_at}, which must be below the {full_at} at which the edge is full"
)]
pub struct NoGap {
    /// Full from here.
    pub full_at: u32,
    /// Not below it.
    pub free_at: u32,
}

impl ViewerLimit {
    /// Full at `full_at` viewers, and no longer at `free_at` or fewer; `None`: at nine tenths.
    pub fn new(full_at: NonZeroU32, free_at: Option<u32>) -> Result<Self, NoGap> {
        let tenth = (full_at.get() / 10).max(1);
        let free_at = free_at.unwrap_or(full_at.get() - tenth);
        if free_at >= full_at.get() {
            return Err(NoGap { full_at: full_at.get(), free_at });
        }
        Ok(Self { full_at, free_at })
    }

    /// Whether the edge is full with so many viewers; unknown viewers leave it as it was.
    #[must_use]
    pub fn is_full(&self, was_full: bool, viewers: Option<u32>) -> bool {
        match viewers {
            Some(viewers) if viewers >= self.full_at.get() => true,
            Some(viewers) if viewers <= self.free_at => false,
            _ => was_full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(full_at: u32, free_at: Option<u32>) -> Result<ViewerLimit, NoGap> {
        ViewerLimit::new(NonZeroU32::new(full_at).expect("above 0"), free_at)
    }

    #[test]
    fn an_edge_is_full_from_one_number_and_free_from_another() {
        let limit = limit(200, Some(150)).expect("a gap");
        let mut full = false;
        for (viewers, expected) in [
            (Some(199), false),
            (Some(200), true),
            (Some(199), true),
            (None, true),
            (Some(151), true),
            (Some(150), false),
            (Some(199), false),
            (None, false),
        ] {
            full = limit.is_full(full, viewers);
            assert_eq!(full, expected, "{viewers:?}");
        }
    }

    #[test]
    fn without_a_second_number_a_tenth_must_leave_and_there_is_always_a_gap() {
        for (full_at, free_at) in [(200, 180), (10, 9), (9, 8), (1, 0)] {
            let limit = limit(full_at, None).expect("a gap");
            assert!(limit.is_full(true, Some(free_at + 1)) && !limit.is_full(true, Some(free_at)));
        }
        assert_eq!(limit(5, Some(5)), Err(NoGap { full_at: 5, free_at: 5 }));
    }
}
