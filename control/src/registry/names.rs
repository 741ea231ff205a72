//! Who answers to a name. Operators speak of edges by name, but a name is only announced: a cloned
//! image announces it twice, and a rebuilt machine comes back under it with a new UUID.

use tidegate_proto::edge::{EdgeId, EdgeName};

use super::{Edge, Registry};
use crate::{
    order::Refused,
    resolve::{Bearer, choose},
    store::OrderRow,
};

impl Registry {
    /// The edge an operator means by its name or UUID.
    pub fn resolve(&self, edge: &str) -> Result<EdgeId, Refused> {
        let unknown = || Refused::UnknownEdge(edge.to_owned());
        if let Ok(id) = edge.parse::<EdgeId>() {
            return self.edges.contains_key(&id).then_some(id).ok_or_else(unknown);
        }
        let name: EdgeName = edge.parse().map_err(|_| unknown())?;
        let ids = self.names.get(&name).map(Vec::as_slice).unwrap_or_default();
        let bearers: Vec<_> = ids
            .iter()
            .filter_map(|id| self.edges.get(id))
            .map(|edge| Bearer {
                id: edge.row.id,
                is_live: edge.is_live(),
                last_heard_unix_ms: edge.last_heard_unix_ms,
            })
            .collect();
        choose(edge, &bearers)
    }

    pub(super) fn note_name(&mut self, id: EdgeId) {
        if let Some(edge) = self.edges.get(&id) {
            self.names.entry(edge.row.name.clone()).or_default().push(id);
            self.places.invalidate();
        }
    }

    pub(super) fn forget_name(&mut self, name: &EdgeName, id: EdgeId) {
        if let Some(bearers) = self.names.get_mut(name) {
            bearers.retain(|bearer| *bearer != id);
            if bearers.is_empty() {
                self.names.remove(name);
            }
        }
        self.places.invalidate();
    }

    pub(super) fn settle_name_of(&mut self, id: EdgeId) {
        if let Some(edge) = self.edges.get(&id) {
            let name = edge.row.name.clone();
            self.settle_name(&name);
        }
    }

    /// Of several live edges with one name the one known longest keeps its viewers; a live edge
    /// inherits the order of a dead one.
    pub(super) fn settle_name(&mut self, name: &EdgeName) {
        let Some(bearers) = self.names.get(name).cloned() else { return };
        let live = self.live(&bearers);
        let first = live
            .iter()
            .copied()
            .min_by_key(|id| (self.edges.get(id).map(|edge| edge.row.first_heard_unix_ms), *id));
        for id in &bearers {
            if let Some(edge) = self.edges.get_mut(id) {
                let is_duplicate = live.contains(id) && Some(*id) != first;
                if edge.is_duplicate != is_duplicate {
                    edge.is_duplicate = is_duplicate;
                    edge.view = None;
                    self.stale = true;
                }
            }
        }
        if let Some(heir) = first {
            self.inherit(heir, &bearers);
        }
    }

    /// The newer decision stands, of drains and of weights alike: an heir that was ordered otherwise
    /// since keeps its own.
    fn inherit(&mut self, heir: EdgeId, bearers: &[EdgeId]) {
        let dead: Vec<_> = bearers
            .iter()
            .filter_map(|id| self.edges.get(id))
            .filter(|edge| edge.row.id != heir && !edge.is_live())
            .map(Edge::order_row)
            .collect();
        let Some(own) = self.edges.get(&heir).map(Edge::order_row) else { return };
        let revision = self.revision + 1;
        let mut row = OrderRow { revision, ..own.clone() };
        let drained = dead.iter().max_by_key(|row| row.drain_revision);
        let newer = |dead: &&OrderRow| dead.drain_revision > own.drain_revision;
        if let Some(OrderRow { order: Some(order), .. }) = drained.filter(newer) {
            row = OrderRow { order: Some(order.clone()), drain_revision: revision, ..row };
        }
        let weighted = dead.iter().max_by_key(|row| row.weight_revision);
        let newer = |dead: &&OrderRow| dead.weight_revision > own.weight_revision;
        if let Some(OrderRow { weighting: Some(weighting), .. }) = weighted.filter(newer) {
            row = OrderRow { weighting: Some(weighting.clone()), weight_revision: revision, ..row };
        }
        if row.drains_last() || row.weighs_last() {
            self.revision = revision;
            self.set_order(&row);
            self.mark_unsaved(&row);
            self.inherited.insert(heir);
        }
    }

    fn live(&self, ids: &[EdgeId]) -> Vec<EdgeId> {
        let is_live = |id: &&EdgeId| self.edges.get(id).is_some_and(Edge::is_live);
        ids.iter().filter(is_live).copied().collect()
    }
}
