//! The one reason that is given for an edge.

use tidegate_proto::admin::ExplainReason;

use super::{
    super::Search,
    chances::{Chances, Standing, Tier},
};
use crate::{
    selection::{Selection, missing_label},
    snapshot::{EdgeView, Liveness},
};

/// Of several reasons the first in the order in which a pick would meet them.
pub(super) fn reason(search: &Search<'_, '_>, chances: &Chances, place: u32) -> ExplainReason {
    let Some(edge) = search.fleet.edges.get(place as usize) else {
        return ExplainReason::Unspecified;
    };
    if edge.cell.is_drained() || edge.order.is_some() {
        return ExplainReason::Drained;
    }
    let standing = chances.of_place(place);
    match standing.tier {
        Some(_) if standing.chance > 0.0 && standing.is_host => return ExplainReason::Host,
        Some(Tier::Member) if standing.chance > 0.0 => return ExplainReason::Candidate,
        Some(_) if standing.chance > 0.0 => return ExplainReason::Fallback,
        _ => {}
    }
    if !standing.is_offered {
        return by_health(edge);
    }
    if !search.table.is_fresh(place, search.age_ms) {
        return ExplainReason::Silent;
    }
    by_demand(search, place, edge).unwrap_or_else(|| by_rank(search, standing, place, edge))
}

/// Why an edge is in no table: by its own word, or by what is heard of it.
fn by_health(edge: &EdgeView) -> ExplainReason {
    match edge.liveness {
        Liveness::Gone => return ExplainReason::Goodbye,
        Liveness::Down => return ExplainReason::Silent,
        _ => {}
    }
    match edge.reason.as_ref().map(|reason| reason.code.as_str()) {
        Some("silent") => ExplainReason::Silent,
        Some("duplicate_name") => ExplainReason::DuplicateName,
        Some("paused") => ExplainReason::Paused,
        Some("flapping") => ExplainReason::Flapping,
        Some("new") => ExplainReason::New,
        Some("restarted") => ExplainReason::Restarted,
        Some(_) => ExplainReason::Trouble,
        None if edge.paused => ExplainReason::Paused,
        None => ExplainReason::Silent,
    }
}

/// Why an edge does not fit the client.
fn by_demand(search: &Search<'_, '_>, place: u32, edge: &EdgeView) -> Option<ExplainReason> {
    let wanted = search.wanted;
    if label_wanting(search.table.selection(), wanted.path, edge).is_some() {
        return Some(ExplainReason::LabelMissing);
    }
    let door = search.table.door(place)?;
    if wanted.scheme.is_some_and(|scheme| !door.serves(scheme)) {
        return Some(ExplainReason::NoEndpoint);
    }
    if door.reach(edge, wanted).is_none() {
        return Some(ExplainReason::OwnAddress);
    }
    wanted.tried.contains(&edge.id).then_some(ExplainReason::Failed)
}

/// The first label demanded for a path that an edge does not carry: its name and what it should be.
pub(super) fn label_wanting<'a>(
    selection: &'a Selection,
    path: &str,
    edge: &EdgeView,
) -> Option<(&'a str, &'a str)> {
    let rule = selection.rule_of(path).and_then(|at| selection.rules.get(at));
    let demanded = std::iter::once(&selection.labels).chain(rule.map(|rule| &rule.labels));
    demanded.filter_map(|labels| missing_label(edge, labels)).next()
}

/// Why others are preferred to an edge that could serve.
fn by_rank(
    search: &Search<'_, '_>,
    standing: Standing,
    place: u32,
    edge: &EdgeView,
) -> ExplainReason {
    if search.chosen(place).is_none() {
        // Everything else that a pick checks was asked before.
        return ExplainReason::SpreadLimit;
    }
    if search.is_full(search.table.live_load(place)) {
        return ExplainReason::Overloaded;
    }
    if !standing.is_asked {
        return ExplainReason::OtherZone;
    }
    match (standing.tier, edge.liveness) {
        (Some(Tier::Late), _) if standing.is_voted_out => ExplainReason::Failed,
        (Some(Tier::Late), _) => ExplainReason::Late,
        (Some(Tier::Unmeasured), _) => ExplainReason::Unmeasured,
        (Some(Tier::StandIn), Liveness::New) => ExplainReason::New,
        (Some(Tier::StandIn), _) => ExplainReason::Restarted,
        _ if !search.table.window_open(place) => ExplainReason::WindowClosed,
        _ => ExplainReason::AboveLevel,
    }
}
