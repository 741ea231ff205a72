//! What each policy draws from a pool. Nothing is promised of what it draws but that it is a member.

use std::hint::select_unpredictable;

use rand::{Rng, RngExt};

use crate::{
    cell::Slot,
    selection::{Draw, Gist, NEVER, Policy, Pool, Table},
};

/// A member of a pool, and its predicted load now.
#[derive(Clone, Copy)]
pub(super) struct Drawn<'a> {
    pub(super) place: u32,
    pub(super) cell: &'a Slot,
    pub(super) load: f32,
}

impl<'a> Drawn<'a> {
    #[inline]
    pub(super) fn at(table: &'a Table, place: u32) -> Option<Self> {
        Some(Self { place, cell: table.cell(place)?, load: table.live_load(place) })
    }
}

/// One of the pool's members, by the policy; `None`: it has none that can be drawn.
#[inline]
pub(super) fn draw<'a>(
    table: &'a Table,
    pool: &Pool,
    age_ms: i32,
    random: &mut impl Rng,
) -> Option<Drawn<'a>> {
    match (&pool.draw, table.selection.policy) {
        (Draw::Alias(alias), Policy::Random) => known(table, alias.draw(random.next_u64())?),
        // What one viewer is of a step differs by edge there, and so is in the rows alone.
        (Draw::Alias(alias), Policy::Sticky) => {
            let (one, other) = (random.next_u64(), random.next_u64());
            let (one, other) = (alias.draw(one)?.place, alias.draw(other)?.place);
            let (of_one, of_other) = (table.prediction_key(one), table.prediction_key(other));
            Drawn::at(table, if of_other < of_one { other } else { one })
        }
        (Draw::Alias(alias), _) => {
            let (one, other) = (random.next_u64(), random.next_u64());
            better(table, alias.draw(one)?, alias.draw(other)?)
        }
        (Draw::Uniform, _) => {
            let members = pool.members();
            let mut any = || members.get(random.random_range(0..members.len().max(1))).copied();
            let (one, other) = (any()?, any()?);
            // Both are worked out at once, so that neither waits for the other's memory. Their order
            // is random, so that ties are too.
            let (of_one, of_other) = (table.report_key(one), table.report_key(other));
            Drawn::at(table, if of_other < of_one { other } else { one })
        }
        (Draw::Front(front), _) => {
            let key = |place| {
                let is_out = table.is_barred(place) || !table.is_fresh(place, age_ms);
                if is_out { NEVER } else { table.key(place) }
            };
            Drawn::at(table, front.least(pool.members(), key, random)?)
        }
    }
}

#[inline]
fn known<'a>(table: &'a Table, gist: &Gist) -> Option<Drawn<'a>> {
    let cell = table.cell_of(gist)?;
    Some(Drawn { place: gist.place, cell, load: gist.load(cell.count()) })
}

/// The better of two. Both counts are read before they are compared, so that neither waits for the
/// other's memory. The order of the two is random, so that ties are too.
#[inline]
fn better<'a>(table: &'a Table, one: &Gist, other: &Gist) -> Option<Drawn<'a>> {
    let (cell_of_one, cell_of_other) = (table.cell_of(one)?, table.cell_of(other)?);
    let (of_one, of_other) = (cell_of_one.count(), cell_of_other.count());
    // Nobody can foresee which it is, and a processor that guesses wrongly begins anew.
    let viewer = table.viewer_in_step;
    let is_other = other.key(of_other, viewer) < one.key(of_one, viewer);
    let gist = select_unpredictable(is_other, other, one);
    let cell = select_unpredictable(is_other, cell_of_other, cell_of_one);
    let load = gist.load(select_unpredictable(is_other, of_other, of_one));
    Some(Drawn { place: gist.place, cell, load })
}
