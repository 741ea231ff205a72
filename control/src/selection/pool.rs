//! The edges that one kind of client can go to, ready to be drawn from.

use super::{Gist, Policy, Table, alias::Alias, front::Front, level::level};

/// A pool's level is where its edges would stand after the joins of so many seconds.
const HORIZON_S: f64 = 2.5;
/// Or after this share of its capacity, if that is more. It is the slow start of empty edges: they
/// share the joins with all edges this close to the level.
const VOLUME_MIN: f64 = 0.01;
/// Under `sticky`, edges below this share of the mean are filled in so many seconds, once the mean
/// is above so much.
const COLD_SHARE: f64 = 0.7;
const COLD_FILLED_S: f64 = 60.0;
const COLD_MEAN_MIN: f64 = 0.3;

/// Edges by their place in the fleet, in the order in which they are to be tried.
#[derive(Debug, Clone, Default)]
pub(super) struct Tiers {
    /// Eligible, measured, heard lately, and not spoken against by clients.
    pub(super) members: Vec<u32>,
    /// Late, then unmeasured, then those that stand in: measured, then unmeasured.
    pub(super) reserves: [Vec<u32>; RESERVES],
}

const RESERVES: usize = 4;

/// What is to be thought of an edge's last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Measured,
    /// It says what the edge carries, but should have been followed by another one, or clients say
    /// that the edge has failed them since.
    Late,
    /// It does not say what the edge carries.
    Unmeasured,
}

impl Tiers {
    pub(super) fn of_eligible(&mut self, standing: Standing) -> &mut Vec<u32> {
        match standing {
            Standing::Measured => &mut self.members,
            Standing::Late => &mut self.reserves[0],
            Standing::Unmeasured => &mut self.reserves[1],
        }
    }

    pub(super) fn of_stand_in(&mut self, standing: Standing) -> &mut Vec<u32> {
        match standing {
            Standing::Measured | Standing::Late => &mut self.reserves[2],
            Standing::Unmeasured => &mut self.reserves[3],
        }
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.members.extend_from_slice(&other.members);
        for (own, others) in self.reserves.iter_mut().zip(&other.reserves) {
            own.extend_from_slice(others);
        }
    }
}

/// What is drawn from, by the policy.
#[derive(Debug)]
pub(crate) enum Draw {
    /// Any member is as good as another.
    Uniform,
    /// By weight.
    Alias(Alias<Gist>),
    /// The lowest key, see [`Table::key`](super::Table).
    Front(Front),
}

/// The edges of one kind of client.
#[derive(Debug)]
pub struct Pool {
    pub(super) tiers: Tiers,
    pub(crate) draw: Draw,
    mean: f32,
    lowest: f32,
    level: f32,
    capacity_bps: f64,
    join_bps_per_s: f64,
    /// One bit for each place, by the word; empty where the policy does not ask.
    membership: Vec<u64>,
    spread_chance: f32,
    /// The lowest [`fresh_ms`](super::Row::fresh_ms) of a member.
    fresh_ms: i32,
}

impl Pool {
    /// A pool of these edges of a table, which are joined at a rate of `join_bps_per_s`.
    pub(super) fn of(tiers: Tiers, table: &Table, join_bps_per_s: f64) -> Self {
        let edges = Edges::of(&tiers.members, table);
        let Edges { capacity_bps, carried_bps, .. } = edges;
        let volume = (HORIZON_S * join_bps_per_s).max(VOLUME_MIN * capacity_bps);
        let level = level(&edges.loads, volume);
        let mean = if capacity_bps > 0.0 { carried_bps / capacity_bps } else { 0.0 };
        let is_sticky = table.selection.policy == Policy::Sticky;
        Self {
            draw: draw(&tiers.members, &edges.loads, table, level),
            mean: mean as f32,
            spread_chance: spread_chance(&edges.loads, mean, join_bps_per_s) as f32,
            membership: if is_sticky { membership(&tiers.members) } else { Vec::new() },
            fresh_ms: edges.fresh_ms,
            lowest: if edges.loads.is_empty() { 0.0 } else { edges.lowest },
            level: level as f32,
            capacity_bps,
            join_bps_per_s,
            tiers,
        }
    }

    /// The edges that are drawn from: eligible, measured and heard lately.
    #[must_use]
    pub fn members(&self) -> &[u32] {
        &self.tiers.members
    }

    /// Whether the edge at a place is a member. Only the policy `sticky` may ask.
    pub(crate) fn has(&self, place: u32) -> bool {
        self.membership.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Whether every member is to be heard still when the table is so old. Where it is not, each is
    /// to be asked for itself.
    #[inline]
    pub(crate) fn is_fresh(&self, age_ms: i32) -> bool {
        age_ms <= self.fresh_ms
    }

    /// How often a client of a stream with hosts is to open a further one all the same, so that
    /// edges far below the mean fill up within a minute.
    #[must_use]
    pub(crate) fn spread_chance(&self) -> f32 {
        self.spread_chance
    }

    /// Those tried when none of the members can be chosen, list after list: late, unmeasured, and
    /// then edges that stand in for all others, measured and unmeasured.
    pub fn reserves(&self) -> impl Iterator<Item = &[u32]> {
        self.tiers.reserves.iter().map(Vec::as_slice)
    }

    /// The members' predicted load together, as a share of their capacity together.
    #[must_use]
    pub fn mean(&self) -> f32 {
        self.mean
    }

    /// The lowest predicted load of a member when the table was made.
    #[must_use]
    pub fn lowest(&self) -> f32 {
        self.lowest
    }

    /// Where the lower members would stand after the joins of the next seconds.
    #[must_use]
    pub fn level(&self) -> f32 {
        self.level
    }

    /// The members' capacity together, in bits per second.
    #[must_use]
    pub fn capacity_bps(&self) -> f64 {
        self.capacity_bps
    }

    /// How fast all redirectors together send viewers to these edges, in bits per second each
    /// second.
    #[must_use]
    pub fn join_bps_per_s(&self) -> f64 {
        self.join_bps_per_s
    }
}

/// What a pool's members carry.
struct Edges {
    /// Of each member its load and its capacity.
    loads: Vec<(f64, f64)>,
    capacity_bps: f64,
    carried_bps: f64,
    lowest: f32,
    fresh_ms: i32,
}

impl Edges {
    fn of(members: &[u32], table: &Table) -> Self {
        let mut edges = Self {
            loads: Vec::with_capacity(members.len()),
            capacity_bps: 0.0,
            carried_bps: 0.0,
            lowest: f32::INFINITY,
            fresh_ms: i32::MAX,
        };
        for row in members.iter().filter_map(|place| table.row(*place as usize)) {
            let (load, capacity_bps) = (f64::from(row.load), f64::from(row.capacity_bps));
            edges.loads.push((load, capacity_bps));
            edges.capacity_bps += capacity_bps;
            edges.carried_bps += load * capacity_bps;
            edges.lowest = edges.lowest.min(row.load);
            edges.fresh_ms = edges.fresh_ms.min(row.fresh_ms);
        }
        edges
    }
}

/// What the policy draws from, of members of these loads and capacities.
fn draw(members: &[u32], edges: &[(f64, f64)], table: &Table, level: f64) -> Draw {
    match table.selection.policy {
        // A client whose stream is not known has nothing to stick to.
        Policy::Fill | Policy::Sticky => {
            alias(members, edges, table, |(load, capacity)| (level - load).max(0.0) * capacity)
        }
        Policy::Random => alias(members, edges, table, |(_, capacity)| capacity),
        Policy::P2c => Draw::Uniform,
        Policy::Least | Policy::Wowza | Policy::Report => {
            let keys: Vec<_> = members.iter().map(|place| table.key(*place)).collect();
            Draw::Front(Front::of(&keys))
        }
    }
}

fn alias(
    members: &[u32],
    edges: &[(f64, f64)],
    table: &Table,
    weight: impl Fn((f64, f64)) -> f64,
) -> Draw {
    let gist = |place: u32| {
        let row = table.row(place as usize).copied().unwrap_or_default();
        let way = table.cells.way(place as usize).unwrap_or_default();
        Gist::of(place, way, &row)
    };
    let weighted = members.iter().zip(edges).map(|(place, edge)| (*place, weight(*edge)));
    // Most edges are above the level, and their rows are not looked at again.
    let drawn = weighted.filter(|(_, weight)| *weight > 0.0);
    Draw::Alias(Alias::of(drawn.map(|(place, weight)| (gist(place), weight))))
}

/// What edges below most of the mean lack, as a share of what a minute's clients bring. A fleet that
/// is hardly used lets them be.
fn spread_chance(edges: &[(f64, f64)], mean: f64, join_bps_per_s: f64) -> f64 {
    let joins = COLD_FILLED_S * join_bps_per_s;
    if mean <= COLD_MEAN_MIN || joins <= 0.0 {
        return 0.0;
    }
    let lack = |(load, capacity): &(f64, f64)| (COLD_SHARE * mean - load).max(0.0) * capacity;
    (edges.iter().map(lack).sum::<f64>() / joins).min(1.0)
}

fn membership(members: &[u32]) -> Vec<u64> {
    let last = members.iter().max().map_or(0, |last| *last as usize / 64 + 1);
    let mut words = vec![0; last];
    for place in members {
        words[*place as usize / 64] |= 1 << (place % 64);
    }
    words
}
