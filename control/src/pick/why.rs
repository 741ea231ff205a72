//! Why there is no edge for a client.

use super::{NoEdge, search::Search};

pub(super) fn no_edge(search: &Search<'_, '_>) -> NoEdge {
    let fleet = search.fleet;
    if fleet.edges.is_empty() {
        return NoEdge::EmptyFleet;
    }
    if fleet.edges.iter().all(|edge| edge.cell.is_drained() || edge.paused) {
        return NoEdge::AllDrained;
    }
    let selection = search.table.selection();
    let demands_labels =
        !selection.labels.is_empty() || selection.rule_of(search.wanted.path).is_some();
    let mut reason = NoEdge::NoneHealthy;
    for &place in fleet.eligible.iter().chain(&fleet.fallback) {
        let Some(edge) = fleet.edges.get(place) else { continue };
        if edge.cell.is_drained() || !search.table.is_fresh(place as u32, search.age_ms) {
            continue;
        }
        let door = search.table.door(place as u32);
        let can_serve = door.is_some_and(|door| door.reach(edge, search.wanted).is_some());
        if demands_labels && can_serve && !search.wanted.tried.contains(&edge.id) {
            // It would have been chosen, but for its labels.
            return NoEdge::NoLabel;
        }
        reason = NoEdge::NoEndpoint;
    }
    reason
}
