//! What the store records of orders: who asked for what, and what came of it.

use tidegate_proto::admin;

use crate::{
    clock::Now,
    order::{Order, Request, Verb},
    snapshot::{AdminState, EdgeView},
    store::{AuditRow, OrderRow},
};

/// An order that somebody gave.
pub(super) fn of_order(request: &Request, result: &str, redirector: &str, now: Now) -> AuditRow {
    AuditRow {
        time_unix_ms: now.unix_ms,
        principal: request.principal.name.clone(),
        role: request.principal.role.clone(),
        peer: request.principal.peer.clone(),
        method: request.verb.method().into(),
        edge: request.edge.clone(),
        before: String::new(),
        after: String::new(),
        reason: request.reason.clone(),
        request_id: request.request_id.clone(),
        result: result.into(),
        redirector: redirector.into(),
    }
}

/// Orders that came to an edge through its name. Nobody asked for them, so they name no principal.
pub(super) fn of_inherited(row: &OrderRow, redirector: &str, now: Now) -> Vec<AuditRow> {
    let drained = row.order.as_ref().filter(|_| row.drains_last()).map(|order| {
        let (before, after) = (AdminState::Active.as_str(), AdminState::Draining.as_str());
        ("InheritDrain", before.to_owned(), after.to_owned(), order)
    });
    let weighted = row.weighting.as_ref().filter(|_| row.weighs_last()).map(|weighting| {
        let after = said_weight(weighting.weight.get());
        ("InheritWeight", String::new(), after, &weighting.order)
    });
    let audit = |(method, before, after, order): (&str, String, String, &Order)| AuditRow {
        time_unix_ms: now.unix_ms,
        method: method.into(),
        edge: format!("{} {}", row.name, row.id),
        before,
        after,
        reason: order.reason.clone(),
        result: "ok".into(),
        redirector: redirector.into(),
        ..AuditRow::default()
    };
    drained.into_iter().chain(weighted).map(audit).collect()
}

/// What an order's record says of its edge once the order holds.
pub(super) fn after(verb: Verb, edge: &admin::Edge) -> String {
    match verb {
        Verb::SetWeight(_) => said_weight(edge.weight),
        Verb::Forget => "FORGOTTEN".into(),
        Verb::Drain | Verb::Undrain => short_state(edge.admin_state()).into(),
    }
}

/// And before it.
pub(super) fn before(verb: Verb, edge: &EdgeView) -> String {
    match verb {
        Verb::SetWeight(_) => said_weight(edge.weight),
        _ => edge.admin_state.as_str().into(),
    }
}

fn said_weight(weight: f64) -> String {
    format!("weight {weight}")
}

/// `DRAINING` for `ADMIN_STATE_DRAINING`.
fn short_state(state: admin::AdminState) -> &'static str {
    state.as_str_name().trim_start_matches("ADMIN_STATE_")
}
