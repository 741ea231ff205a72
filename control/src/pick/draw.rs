//! What each policy draws from a pool. Nothing is promised of what it draws but that it is a member.

use rand::{Rng, RngExt};

use crate::selection::{Draw, NEVER, Policy, Pool, Table};

/// A place among the pool's members, by the policy; `None`: it has none that can be drawn.
pub(super) fn draw(table: &Table, pool: &Pool, age_ms: i32, random: &mut impl Rng) -> Option<u32> {
    match (&pool.draw, table.selection.policy) {
        (Draw::Alias(alias), Policy::Random) => alias.draw(random.next_u64()),
        (Draw::Alias(alias), _) => {
            let (one, other) = (random.next_u64(), random.next_u64());
            Some(better(alias.draw(one)?, alias.draw(other)?, |place| table.key(place)))
        }
        (Draw::Uniform, _) => {
            let members = pool.members();
            let mut any = || members.get(random.random_range(0..members.len().max(1))).copied();
            Some(better(any()?, any()?, |place| table.key(place)))
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

/// The one with the lower key. The order of the two is random, so that ties are too.
fn better(one: u32, other: u32, key: impl Fn(u32) -> u64) -> u32 {
    if one != other && key(other) < key(one) { other } else { one }
}
