//! The operator's orders: what each would change, and changing it.

use std::sync::Arc;

use tidegate_proto::{admin, edge::EdgeId};

use super::{Edge, Registry};
use crate::{
    clock::Now,
    message::{drain_message, edge_message, weighting_message},
    order::{Order, Refused, Request, Verb, Weighting},
    snapshot::{AdminState, EdgeView, Liveness},
    store::OrderRow,
};

/// What a request comes to. Nothing has changed yet.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// What is asked for holds already.
    Holds(EdgeId),
    /// This record is to be stored and then applied.
    Set(OrderRow),
    /// This edge is to be removed from the store and then here.
    Forget(EdgeId),
}

impl Plan {
    /// The edge in question.
    #[must_use]
    pub fn edge(&self) -> EdgeId {
        match self {
            Self::Holds(id) | Self::Forget(id) => *id,
            Self::Set(row) => row.id,
        }
    }
}

impl Registry {
    /// What a request would change.
    pub fn plan(&mut self, request: &Request, now: Now) -> Result<Plan, Refused> {
        let id = self.resolve(&request.edge)?;
        let revision = self.revision + 1;
        let unknown = || Refused::UnknownEdge(request.edge.clone());
        let edge = self.edges.get(&id).ok_or_else(unknown)?;
        let current = edge.order_revision.to_string();
        if !request.etag.is_empty() && request.etag != current {
            return Err(Refused::StaleEtag { given: request.etag.clone(), current });
        }
        let before = OrderRow { revision, ..edge.order_row() };
        let (drain_revision, weight_revision) = (revision, revision);
        let plan = match request.verb {
            Verb::Drain if edge.order.is_some() && !edge.order_unsaved => Plan::Holds(id),
            Verb::Drain => {
                let order = Some(order_of(request, now));
                Plan::Set(OrderRow { order, drain_revision, ..before })
            }
            Verb::Undrain if edge.order.is_none() => Plan::Holds(id),
            Verb::Undrain => Plan::Set(OrderRow { order: None, drain_revision, ..before }),
            Verb::SetWeight(weight) if edge.weight() == weight && !edge.order_unsaved => {
                Plan::Holds(id)
            }
            Verb::SetWeight(weight) => {
                let order = order_of(request, now);
                let weighting = (!weight.is_usual()).then_some(Weighting { weight, order });
                Plan::Set(OrderRow { weighting, weight_revision, ..before })
            }
            Verb::Forget => {
                check_forgettable(edge)?;
                Plan::Forget(id)
            }
        };
        if matches!(plan, Plan::Set(_)) {
            // Taken even if the store refuses it: a revision never means two things.
            self.revision = revision;
        }
        Ok(plan)
    }

    /// The edge as it will be once the plan is applied.
    #[must_use]
    pub fn preview(&mut self, plan: &Plan, now: Now) -> Option<admin::Edge> {
        let mode = self.silence.mode();
        let edge = self.edges.get_mut(&plan.edge())?;
        let mut message = edge_message(&super::view::show(edge, &self.patience, mode, now));
        if let Plan::Set(row) = plan {
            message.etag = row.revision.to_string();
            message.weight = row.weight().get();
            message.weighting =
                row.weighting.as_ref().map(|weighting| weighting_message(&weighting.order));
        }
        if let Plan::Set(row) = plan
            && row.drains_last()
        {
            let state = match row.order {
                Some(_) => admin::AdminState::Draining,
                None => admin::AdminState::Active,
            };
            message.set_admin_state(state);
            message.drain = row.order.as_ref().map(drain_message);
            message.eligible = row.order.is_none() && super::view::would_serve(edge);
        }
        Some(message)
    }

    /// Stops every pick of an edge at once, before the order is durable: the safe side.
    pub fn block(&mut self, id: EdgeId) {
        if let Some(edge) = self.edges.get(&id) {
            edge.cell.set_drained(true);
        }
    }

    /// Applies a plan that the store has made durable.
    pub fn apply(&mut self, plan: &Plan) {
        match plan {
            Plan::Holds(_) => {}
            Plan::Set(row) => self.set_order(row),
            Plan::Forget(id) => self.remove(*id),
        }
    }

    /// Applies a plan that the store may have lost: a drain holds all the same until this process
    /// ends, anything else does not.
    pub fn apply_unsaved(&mut self, plan: &Plan) {
        if let Plan::Set(row @ OrderRow { order: Some(_), .. }) = plan
            && row.drains_last()
        {
            self.set_order(row);
            self.mark_unsaved(row);
        }
    }

    /// An inherited order is in the store now.
    pub fn inheritance_saved(&mut self, row: &OrderRow) {
        let heir = self.edges.get_mut(&row.id);
        if let Some(edge) = heir.filter(|edge| edge.order_revision == row.revision) {
            edge.order_unsaved = false;
        }
    }

    /// An edge as it is now, orders and all.
    pub fn edge(&mut self, id: EdgeId, now: Now) -> Option<Arc<EdgeView>> {
        let mode = self.silence.mode();
        let edge = self.edges.get_mut(&id)?;
        Some(super::view::show(edge, &self.patience, mode, now))
    }

    /// Whether there is something for [`take_inherited`](Self::take_inherited).
    #[must_use]
    pub fn has_inherited(&self) -> bool {
        !self.inherited.is_empty()
    }

    /// Orders that edges inherited through their names since the last call. They hold already, and
    /// count as unsaved until [`inheritance_saved`](Self::inheritance_saved). If storing them fails
    /// they are inherited again after a restart.
    pub fn take_inherited(&mut self) -> Vec<OrderRow> {
        let heirs = std::mem::take(&mut self.inherited);
        heirs.iter().filter_map(|id| self.edges.get(id)).map(Edge::order_row).collect()
    }

    /// Asked for again, the order is stored anew instead of found to hold already.
    pub(super) fn mark_unsaved(&mut self, row: &OrderRow) {
        if let Some(edge) = self.edges.get_mut(&row.id) {
            edge.order_unsaved = true;
        }
    }

    pub(super) fn set_order(&mut self, row: &OrderRow) {
        self.revision = self.revision.max(row.revision);
        self.stale = true;
        let Some(edge) = self.edges.get_mut(&row.id) else { return };
        // The edge may have inherited an order while this one was being stored; the store gets that
        // next, so what is newer stays.
        if row.drain_revision > edge.drain_revision {
            edge.set_drain(row);
        }
        if row.weight_revision > edge.weight_revision {
            edge.weighting.clone_from(&row.weighting);
            edge.weight_revision = row.weight_revision;
        }
        if row.revision > edge.order_revision {
            edge.order_revision = row.revision;
            edge.order_unsaved = false;
        }
        edge.view = None;
    }

    pub(super) fn restore_order(&mut self, row: &OrderRow, now: Now) {
        if row.is_standing() && !self.edges.contains_key(&row.id) {
            // Only the order survived: it must hold when the edge is heard again.
            self.insert(Edge::ordered(row, now));
        }
        let empty_reports = self.edges.get(&row.id).map_or(0, |edge| edge.empty_reports);
        self.set_order(row);
        if let Some(edge) = self.edges.get_mut(&row.id) {
            edge.empty_reports = empty_reports;
        }
    }
}

impl Edge {
    fn set_drain(&mut self, row: &OrderRow) {
        if row.order.is_some() && self.order.is_none() {
            // Clients may be on their way, so only reports from now on can show it empty.
            self.empty_reports = 0;
        }
        self.order.clone_from(&row.order);
        self.drain_revision = row.drain_revision;
        self.cell.set_drained(row.order.is_some());
    }

    pub(super) fn admin_state(&self) -> AdminState {
        match &self.order {
            None => AdminState::Active,
            Some(_) if self.empty_reports >= super::edge::REPORTS_TO_DRAINED => AdminState::Drained,
            Some(_) => AdminState::Draining,
        }
    }
}

fn order_of(request: &Request, now: Now) -> Order {
    Order {
        reason: request.reason.clone(),
        author: request.principal.name.clone(),
        created_unix_ms: now.unix_ms,
    }
}

fn check_forgettable(edge: &Edge) -> Result<(), Refused> {
    if edge.order.is_some() {
        let said = "the edge has a drain order; undrain it first, then forget it";
        return Err(Refused::NotForgettable(said.into()));
    }
    match edge.liveness() {
        Liveness::Down | Liveness::Gone => Ok(()),
        other => Err(Refused::NotForgettable(format!(
            "the edge is {}; only an edge that is DOWN or GONE can be forgotten, so stop its agent first",
            other.as_str()
        ))),
    }
}
