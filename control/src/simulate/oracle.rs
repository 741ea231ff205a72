//! Perfect knowledge: what every edge carries, who is on the way to it, and which one is ill.

use super::edge::{Condition, Edge};

/// The edge that carries the least of its capacity once everybody has arrived and one more viewer
/// of `bps` as well.
pub(super) fn choose(edges: &[Edge], bps: u32) -> Option<usize> {
    let mut best = None;
    let mut least = f64::INFINITY;
    for (place, edge) in edges.iter().enumerate() {
        let carried = edge.traffic_bps + edge.bound_bps + u64::from(bps);
        let load = carried as f64 / edge.capacity_bps;
        if edge.condition == Condition::Up && load < least {
            (least, best) = (load, Some(place));
        }
    }
    best
}
