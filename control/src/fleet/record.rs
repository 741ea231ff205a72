//! What the store records of orders: who asked for what, and what came of it.

use tidegate_proto::admin;

use crate::{
    clock::Now,
    order::Request,
    snapshot::AdminState,
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

/// A drain that came to an edge through its name. Nobody asked for it, so it names no principal.
pub(super) fn of_inherited(row: &OrderRow, redirector: &str, now: Now) -> AuditRow {
    AuditRow {
        time_unix_ms: now.unix_ms,
        method: "InheritDrain".into(),
        edge: format!("{} {}", row.name, row.id),
        before: AdminState::Active.as_str().into(),
        after: AdminState::Draining.as_str().into(),
        reason: row.order.as_ref().map(|order| order.reason.clone()).unwrap_or_default(),
        result: "ok".into(),
        redirector: redirector.into(),
        ..AuditRow::default()
    }
}

/// `DRAINING` for `ADMIN_STATE_DRAINING`.
pub(super) fn short_state(state: admin::AdminState) -> &'static str {
    state.as_str_name().trim_start_matches("ADMIN_STATE_")
}
