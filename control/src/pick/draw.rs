//! What each policy draws from a pool. Nothing is promised of what it draws but that it is a member.

use rand::{Rng, RngExt};

use crate::selection::{Draw, NEVER, Policy, Pool, Table};

/// A member of a pool, and its predicted load now.
pub(super) struct Drawn {
    pub(super) place: u32,
    pub(super) load: f32,
}

/// One of the pool's members, by the policy; `None`: it has none that can be drawn.
#[inline]
pub(super) fn draw(
    table: &Table,
    pool: &Pool,
    age_ms: i32,
    random: &mut impl Rng,
) -> Option<Drawn> {
    let at = |place| Drawn { place, load: table.live_load(place) };
    match (&pool.draw, table.selection.policy) {
        (Draw::Alias(alias), Policy::Random) => Some(at(alias.draw(random.next_u64())?.place)),
        (Draw::Alias(alias), _) => {
            let (one, other) = (random.next_u64(), random.next_u64());
            let (better, load) = table.better(alias.draw(one)?, alias.draw(other)?);
            Some(Drawn { place: better.place, load })
        }
        (Draw::Uniform, _) => {
            let members = pool.members();
            let mut any = || members.get(random.random_range(0..members.len().max(1))).copied();
            let (one, other) = (any()?, any()?);
            // Both are worked out at once, so that neither waits for the other's memory. Their order
            // is random, so that ties are too.
            let (of_one, of_other) = (table.report_key(one), table.report_key(other));
            Some(at(if of_other < of_one { other } else { one }))
        }
        (Draw::Front(front), _) => {
            let key = |place| {
                let is_out = table.is_barred(place) || !table.is_fresh(place, age_ms);
                if is_out { NEVER } else { table.key(place) }
            };
            front.least(pool.members(), key, random).map(at)
        }
    }
}
