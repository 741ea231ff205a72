//! Whether this machine's clock is the one that is wrong: most of the fleet is off by about the
//! same amount.

/// Below this many live edges nothing is concluded.
const LIVE_MIN: usize = 4;
/// How far from the median an offset still counts as the same one.
const SPREAD_MS: u64 = 30_000;

/// The offset that more than half of `live` edges share. `failing` holds the offsets, sender's
/// clock less ours, of those that fail freshness; its order changes.
pub(super) fn common_offset_ms(live: usize, failing: &mut [i64]) -> Option<i64> {
    let most = |count: usize| 2 * count > live;
    if live < LIVE_MIN || !most(failing.len()) {
        return None;
    }
    let middle = failing.len() / 2;
    let median = *failing.select_nth_unstable(middle).1;
    let alike = failing.iter().filter(|offset| offset.abs_diff(median) <= SPREAD_MS).count();
    most(alike).then_some(median)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn most_edges_off_alike_mean_our_clock() {
        let mut failing = [HOUR, HOUR + 20_000, HOUR - 20_000];
        assert_eq!(common_offset_ms(4, &mut failing), Some(HOUR));
        assert_eq!(common_offset_ms(5, &mut failing), Some(HOUR));
        assert_eq!(common_offset_ms(6, &mut failing), None, "half is not most");
        assert_eq!(common_offset_ms(3, &mut failing), None, "three edges prove nothing");
    }

    #[test]
    fn edges_off_each_in_its_own_way_mean_theirs() {
        let mut failing = [HOUR, 2 * HOUR, 3 * HOUR, -HOUR, i64::MIN, i64::MAX];
        assert_eq!(common_offset_ms(6, &mut failing), None);
        assert_eq!(common_offset_ms(4, &mut []), None);
    }

    #[test]
    fn a_few_liars_do_not_hide_it() {
        let mut failing = [-HOUR, -HOUR, -HOUR, -HOUR, -HOUR, 9 * HOUR, i64::MAX];
        assert_eq!(common_offset_ms(9, &mut failing), Some(-HOUR));
    }
}
