//! Where a stream is opened when none of its hosts has room: on a ring that every redirector draws
//! alike, so that they open the same host without talking to each other.
//!
//! An edge has points in proportion to what it can carry, placed by its id alone; an edge that comes
//! or goes moves no other one's.

use tidegate_proto::stream::StreamHash;

use super::mix;
use crate::snapshot::{EdgeView, FleetView};

/// Points of an edge of the fleet's median capacity.
const POINTS: f64 = 32.0;
const POINTS_MAX: f64 = 8.0 * POINTS;
/// Fleets larger than this have fewer points for each edge.
const EDGES_MAX: f64 = 8_192.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    at: u32,
    place: u32,
}

/// The ring of one fleet.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// By position.
    points: Vec<Point>,
    /// Where the positions of each beginning start.
    starts: Vec<u32>,
    shift: u32,
}

impl Ring {
    /// The ring of the edges that may be chosen. Those that stand in are on it too: they will be.
    pub(super) fn of(fleet: &FleetView) -> Self {
        let places = || fleet.eligible.iter().chain(&fleet.fallback);
        let edges = || places().filter_map(|place| Some((*place, fleet.edges.get(*place)?)));
        let size = Sizes::of(edges().map(|(_, edge)| edge.as_ref()));
        let mut points = Vec::new();
        for (place, edge) in edges() {
            let number = mix::of_edge(edge.id);
            let point =
                |turn| Point { at: (mix::nth(number, turn) >> 32) as u32, place: place as u32 };
            points.extend((0..size.points(edge)).map(point));
        }
        // Places follow names, which redirectors agree on as they do on ids.
        points.sort_unstable();
        Self::indexed(points)
    }

    fn indexed(points: Vec<Point>) -> Self {
        let bits = points.len().max(1).ilog2() + 1;
        let shift = 32 - bits;
        let mut starts = vec![0; 1 << bits];
        let mut next = 0;
        for (beginning, start) in starts.iter_mut().enumerate() {
            while points.get(next).is_some_and(|point| ((point.at >> shift) as usize) < beginning) {
                next += 1;
            }
            *start = next as u32;
        }
        Self { points, starts, shift }
    }

    /// The `turn`-th edge to try for a stream, and a number from 0 to 1 to accept it by, which
    /// depends on nothing else. `None`: the ring is empty.
    pub(super) fn try_for(&self, stream: StreamHash, turn: u32) -> Option<(u32, f32)> {
        let number = mix::nth_of_stream(stream, turn);
        let at = (number >> 32) as u32;
        let start = *self.starts.get((at >> self.shift) as usize)? as usize;
        let point = self.points.get(start..)?.iter().find(|point| point.at >= at);
        let place = point.or_else(|| self.points.first())?.place;
        Some((place, (number & 0xff_ffff) as f32 / 16_777_216.0))
    }
}

/// How large edges are beside each other, by what they say they can carry. Loads play no part, as
/// redirectors do not quite agree on them.
struct Sizes {
    viewers: Option<f64>,
    bandwidth_bps: Option<f64>,
    points: f64,
}

impl Sizes {
    fn of<'a>(edges: impl Iterator<Item = &'a EdgeView> + Clone) -> Self {
        let count = edges.clone().count() as f64;
        let viewers = edges.clone().filter_map(|edge| edge.capacity.viewers.map(f64::from));
        let bandwidth = edges.filter_map(|edge| edge.capacity.bandwidth_bps.map(|bps| bps as f64));
        Self {
            viewers: median(viewers.collect()),
            bandwidth_bps: median(bandwidth.collect()),
            points: POINTS * (EDGES_MAX / count.max(1.0)).min(1.0),
        }
    }

    fn points(&self, edge: &EdgeView) -> u32 {
        let beside = |own: Option<f64>, median: Option<f64>| Some(own? / median?.max(1.0));
        let viewers = beside(edge.capacity.viewers.map(f64::from), self.viewers);
        let bps = beside(edge.capacity.bandwidth_bps.map(|bps| bps as f64), self.bandwidth_bps);
        let size = viewers.into_iter().chain(bps).reduce(f64::min).unwrap_or(1.0) * edge.weight;
        (self.points * size).round().clamp(1.0, POINTS_MAX) as u32
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    let middle = figures.len().checked_sub(1)? / 2;
    let (_, median, _) = figures.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use proptest::prelude::*;
    use tidegate_proto::edge::{Capacity, EdgeId};

    use super::*;
    use crate::admin::sample;

    fn fleet(capacities: &[(u64, u32)]) -> FleetView {
        let edge = |(id, viewers): &(u64, u32)| {
            let mut bytes = [7; 16];
            bytes[..8].copy_from_slice(&id.to_be_bytes());
            Arc::new(EdgeView {
                id: EdgeId(bytes),
                capacity: Capacity { viewers: Some(*viewers), bandwidth_bps: None },
                ..sample::edge(1, "edge")
            })
        };
        FleetView {
            edges: capacities.iter().map(edge).collect(),
            eligible: (0..capacities.len()).collect(),
            ..FleetView::default()
        }
    }

    fn first(ring: &Ring, stream: u32) -> u32 {
        ring.try_for(StreamHash(stream), 0).expect("not empty").0
    }

    #[test]
    fn the_numbers_are_the_same_in_every_build() {
        assert_eq!(mix::mix(1), 0x5692_161d_100b_05e5);
        let ring = Ring::of(&fleet(&[(1, 100), (2, 100), (3, 100)]));
        let firsts: Vec<_> = (0..8).map(|stream| first(&ring, stream)).collect();
        assert_eq!(firsts, FIRSTS);
    }

    const FIRSTS: [u32; 8] = [0, 1, 1, 1, 0, 1, 2, 2];

    #[test]
    fn a_ring_without_edges_has_nobody() {
        assert_eq!(Ring::default().try_for(StreamHash(1), 0), None);
        assert_eq!(Ring::of(&FleetView::default()).try_for(StreamHash(1), 0), None);
    }

    #[test]
    fn edges_get_streams_in_proportion_to_what_they_can_carry() {
        let capacities: Vec<_> =
            (0..100).map(|n| (n, if n < 50 { 1_000 } else { 4_000 })).collect();
        let ring = Ring::of(&fleet(&capacities));
        let to_large = (0..40_000u32).filter(|stream| first(&ring, stream * 977) >= 50).count();
        assert!((30_000..34_000).contains(&to_large), "{to_large} of 40,000, not about 32,000");
    }

    #[test]
    fn the_way_of_a_stream_leads_past_every_edge() {
        let ring = Ring::of(&fleet(&(0..10).map(|n| (n, 100)).collect::<Vec<_>>()));
        let mut seen = HashMap::new();
        for turn in 0..400 {
            let (place, chance) = ring.try_for(StreamHash(9), turn).expect("not empty");
            assert!((0.0..1.0).contains(&chance));
            *seen.entry(place).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 10, "{seen:?}");
    }

    proptest! {
        #[test]
        fn an_edge_that_goes_moves_its_own_streams_alone(
            ids in prop::collection::btree_set(any::<u64>(), 2..40),
            gone in any::<prop::sample::Index>(),
            streams in prop::collection::vec(any::<u32>(), 50),
        ) {
            let all: Vec<_> = ids.iter().map(|id| (*id, 100)).collect();
            let gone = gone.index(all.len());
            let mut rest = all.clone();
            let (gone_id, _) = rest.remove(gone);
            let (before, after) = (Ring::of(&fleet(&all)), Ring::of(&fleet(&rest)));
            for stream in streams {
                let old = all[first(&before, stream) as usize].0;
                let new = rest[first(&after, stream) as usize].0;
                prop_assert!(old == new || old == gone_id);
            }
        }
    }
}
