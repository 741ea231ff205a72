//! Who goes when all places are taken: those that have waited longest.

/// Looking at all that wait frees this share of the places, so that a flood does not cause one look
/// for each newcomer.
pub(crate) const SHARE: usize = 64;

/// Of all that wait, which are ordered by the moment since which they do, those that have waited
/// longest: a share of `places_max`, at least one.
pub(crate) fn longest_waiting<W: Ord>(mut waiting: Vec<W>, places_max: usize) -> Vec<W> {
    let batch = (places_max / SHARE).max(1);
    if waiting.len() > batch {
        waiting.select_nth_unstable(batch - 1);
        waiting.truncate(batch);
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_waiting_go_a_share_at_once_and_one_at_least() {
        let waiting: Vec<_> = (0..1_000_u32).rev().collect();
        let mut gone = longest_waiting(waiting.clone(), 4 * SHARE);
        gone.sort_unstable();
        assert_eq!(gone, [0, 1, 2, 3]);
        assert_eq!(longest_waiting(waiting, 1), [0]);
        assert_eq!(longest_waiting(vec![7], 4 * SHARE), [7]);
        assert!(longest_waiting(Vec::<u32>::new(), 1).is_empty());
    }
}
