//! Which edge an operator means: a UUID, or a name that several UUIDs may have announced.

use std::sync::Arc;

use tidegate_proto::edge::EdgeId;

use crate::{
    order::Refused,
    snapshot::{EdgeView, FleetView, Liveness},
};

/// An edge that announced a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bearer {
    pub(crate) id: EdgeId,
    /// Neither DOWN nor GONE.
    pub(crate) is_live: bool,
    pub(crate) last_heard_unix_ms: u64,
}

/// Whom a name means: the live bearer, since the others are what it replaced; among dead ones the
/// one heard last.
pub(crate) fn choose(name: &str, bearers: &[Bearer]) -> Result<EdgeId, Refused> {
    let live: Vec<_> = bearers.iter().filter(|bearer| bearer.is_live).collect();
    match live.as_slice() {
        [one] => Ok(one.id),
        [] => bearers
            .iter()
            .max_by_key(|bearer| bearer.last_heard_unix_ms)
            .map(|bearer| bearer.id)
            .ok_or_else(|| Refused::UnknownEdge(name.to_owned())),
        several => Err(Refused::AmbiguousName {
            name: name.to_owned(),
            edges: several.iter().map(|bearer| bearer.id).collect(),
        }),
    }
}

/// Finds an edge in a view by its UUID, then by its name.
pub fn resolve<'a>(fleet: &'a FleetView, edge: &str) -> Result<&'a Arc<EdgeView>, Refused> {
    let by_id = edge.parse::<EdgeId>().ok().and_then(|id| fleet.get(id));
    if let Some(found) = by_id {
        return Ok(found);
    }
    let bearers: Vec<_> = with_name(fleet, &edge.to_ascii_lowercase())
        .iter()
        .map(|view| Bearer {
            id: view.id,
            is_live: is_live(view),
            last_heard_unix_ms: view.last_heartbeat_unix_ms,
        })
        .collect();
    let id = choose(edge, &bearers)?;
    fleet.get(id).ok_or_else(|| Refused::UnknownEdge(edge.to_owned()))
}

/// The view is sorted by name, so those of one name stand together.
fn with_name<'a>(fleet: &'a FleetView, name: &str) -> &'a [Arc<EdgeView>] {
    let from = fleet.edges.partition_point(|edge| edge.name.as_str() < name);
    let count = fleet.edges[from..].partition_point(|edge| edge.name.as_str() == name);
    &fleet.edges[from..from + count]
}

fn is_live(edge: &EdgeView) -> bool {
    !matches!(edge.liveness, Liveness::Down | Liveness::Gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::sample::{edge, fleet};

    fn named(seed: u8, name: &str, liveness: Liveness) -> EdgeView {
        EdgeView { liveness, last_heartbeat_unix_ms: seed.into(), ..edge(seed, name) }
    }

    #[test]
    fn a_name_means_the_live_edge_that_bears_it() {
        let fleet = fleet(vec![
            named(1, "a", Liveness::Down),
            named(2, "a", Liveness::Up),
            named(3, "b", Liveness::Down),
            named(4, "c", Liveness::Gone),
            named(5, "c", Liveness::Down),
        ]);
        for (asked, found) in [("a", 2), ("A", 2), ("b", 3), ("c", 5)] {
            assert_eq!(resolve(&fleet, asked).map(|edge| edge.id.0[0]), Ok(found), "{asked}");
        }
        let id = fleet.edges[0].id.to_string();
        assert_eq!(resolve(&fleet, &id).map(|edge| edge.id.0[0]), Ok(1));
    }

    #[test]
    fn two_live_edges_with_one_name_are_both_listed() {
        let fleet = fleet(vec![named(1, "a", Liveness::Up), named(2, "a", Liveness::Unconfirmed)]);
        let Err(Refused::AmbiguousName { edges, .. }) = resolve(&fleet, "a") else {
            panic!("the name is ambiguous");
        };
        assert_eq!(edges.len(), 2);
    }

    #[test]
    fn nobody_is_found_by_an_unknown_name() {
        let fleet = fleet(vec![named(1, "a", Liveness::Up)]);
        for asked in ["", "b", "aa", "00000000-0000-4000-8000-000000000000"] {
            assert_eq!(
                resolve(&fleet, asked).err(),
                Some(Refused::UnknownEdge(asked.to_owned())),
                "{asked}"
            );
        }
    }
}
