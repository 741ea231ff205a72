//! What each policy draws from a pool. Nothing is promised of what it draws but that it is a member.

use rand::{Rng, RngExt};

use crate::selection::{Draw, NEVER, Policy, Pool, Table};

/// A place among the pool's members, by the policy; `None`: it has none that can be drawn.
#[inline]
pub(super) fn draw(table: &Table, pool: &Pool, age_ms: i32, random: &mut impl Rng) -> Option<u32> {
    match (&pool.draw, table.selection.policy) {
        (Draw::Alias(alias), Policy::Random) => alias.draw(random.next_u64()),
        (Draw::Alias(alias), _) => {
            let (one, other) = (random.next_u64(), random.next_u64());
            let key = |place| table.prediction_key(place);
            Some(better(alias.draw(one)?, alias.draw(other)?, key))
        }
        (Draw::Uniform, _) => {
            let members = pool.members();
            let mut any = || members.get(random.random_range(0..members.len().max(1))).copied();
            Some(better(any()?, any()?, |place| table.report_key(place)))
        }
        (Draw::Front(front), _) => front.least(
            pool.members(),
            |place| {
                let is_out = table.is_barred(place) || !table.is_fresh(place, age_ms);
                if is_out { NEVER } else { table.key(place) }
            },
            random,
        ),
    }
}

/// The one with the lower key. Both are worked out at once, so that neither waits for the other's
/// memory. The order of the two is random, so that ties are too.
fn better(one: u32, other: u32, key: impl Fn(u32) -> u64) -> u32 {
    let (of_one, of_other) = (key(one), key(other));
    if of_other < of_one { other } else { one }
}
