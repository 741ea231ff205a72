//! Showing the registry: one immutable view of everything, sharing what has not changed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tidegate_proto::{edge::EdgeId, heartbeat::Load};

use super::{Edge, Patience, Registry};
use crate::{
    clock::Now,
    snapshot::{EdgeView, Estimates, FleetView, Liveness, Mode, Reason},
};

/// The order of edges, kept while none comes, goes or is renamed.
#[derive(Debug, Default)]
pub(super) struct Places {
    order: Vec<EdgeId>,
    by_id: Arc<HashMap<EdgeId, usize>>,
    valid: bool,
}

impl Places {
    pub(super) fn invalidate(&mut self) {
        self.valid = false;
    }

    fn renew(&mut self, edges: &HashMap<EdgeId, Edge>) {
        if self.valid {
            return;
        }
        let mut named: Vec<_> = edges.iter().map(|(id, edge)| (&edge.row.name, *id)).collect();
        named.sort_unstable();
        self.order = named.into_iter().map(|(_, id)| id).collect();
        let by_id = self.order.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        self.by_id = Arc::new(by_id);
        self.valid = true;
    }
}

pub(super) fn build(registry: &mut Registry, now: Now) -> Arc<FleetView> {
    registry.places.renew(&registry.edges);
    let mode = registry.silence.mode();
    let mut fleet = FleetView {
        edges: Vec::with_capacity(registry.places.order.len()),
        by_id: Arc::clone(&registry.places.by_id),
        mode,
        order_revision: registry.revision,
        publication: registry.publication,
        ..FleetView::default()
    };
    let mut figures = KnownFigures::default();
    for (place, id) in registry.places.order.iter().enumerate() {
        let Some(edge) = registry.edges.get_mut(id) else { continue };
        let view = show(edge, &registry.patience, mode, now);
        if view.eligible {
            fleet.eligible.push(place);
        } else if may_stand_in(edge) {
            fleet.fallback.push(place);
        }
        figures.add(&view);
        fleet.edges.push(view);
    }
    fleet.estimates = figures.estimates();
    Arc::new(fleet)
}

pub(super) fn show(edge: &mut Edge, patience: &Patience, mode: Mode, now: Now) -> Arc<EdgeView> {
    let eligible = is_eligible(edge, mode, now);
    if let Some(view) = edge.view.as_ref().filter(|view| view.eligible == eligible) {
        return Arc::clone(view);
    }
    let lease = edge.lease(patience);
    let unheard = edge.liveness() == Liveness::Unconfirmed;
    let view = Arc::new(EdgeView {
        id: edge.row.id,
        name: edge.row.name.clone(),
        redirect_address: edge.row.redirect_address.clone(),
        endpoints: edge.row.endpoints.clone(),
        labels: edge.row.labels.clone(),
        capacity: edge.row.capacity,
        weight: edge.weight().get(),
        weighting: edge.weighting.as_ref().map(|weighting| weighting.order.clone()),
        admin_state: edge.admin_state(),
        liveness: shown_liveness(edge),
        reason: reason(edge, patience, now),
        paused: edge.paused,
        eligible,
        load: edge.load,
        handed_at_report: edge.handed_at_report,
        last_heartbeat_unix_ms: edge.last_heard_unix_ms,
        heard: edge.last_heard(),
        session_reports: edge.session_reports,
        redirectors: edge.redirectors,
        streams: edge.streams.clone(),
        first_heard_unix_ms: edge.row.first_heard_unix_ms,
        fresh_until: edge.last_heard() + if unheard { patience.restart_grace } else { lease },
        interval: edge.interval(),
        lease,
        order: edge.order.clone(),
        order_revision: edge.order_revision,
        agent_version: edge.agent_version.clone(),
        server_version: edge.server_version.clone(),
        cell: Arc::clone(&edge.cell),
    });
    edge.view = Some(Arc::clone(&view));
    view
}

/// What the edge says of itself counts beside what is heard of it.
fn shown_liveness(edge: &Edge) -> Liveness {
    match edge.liveness() {
        Liveness::New | Liveness::Up if edge.trouble.is_some() => Liveness::Suspect,
        other => other,
    }
}

/// PANIC forgives silence and flapping; never an order, nor the edge's own word.
fn is_eligible(edge: &Edge, mode: Mode, now: Now) -> bool {
    if !is_willing(edge) {
        return false;
    }
    match edge.liveness() {
        Liveness::Up => mode == Mode::Panic || edge.held_until <= now.monotonic,
        Liveness::New | Liveness::Suspect | Liveness::Unconfirmed => mode == Mode::Panic,
        Liveness::Down | Liveness::Gone => false,
    }
}

/// Edges that serve when no UP edge can: remembered from before a restart, or heard but once.
fn may_stand_in(edge: &Edge) -> bool {
    is_willing(edge) && matches!(edge.liveness(), Liveness::Unconfirmed | Liveness::New)
}

/// Whether an edge gets viewers at once when its order is taken back.
pub(super) fn would_serve(edge: &Edge) -> bool {
    edge.liveness() == Liveness::Up && has_no_doubt(edge)
}

fn is_willing(edge: &Edge) -> bool {
    edge.order.is_none() && has_no_doubt(edge)
}

fn has_no_doubt(edge: &Edge) -> bool {
    !edge.paused && edge.trouble.is_none() && !edge.is_duplicate
}

fn reason(edge: &Edge, patience: &Patience, now: Now) -> Option<Reason> {
    let said = |code: &str, text: String| Some(Reason { code: code.into(), text });
    let silent = |intervals: f64| {
        let limit = Duration::from_millis(edge.row.interval_ms.into()).mul_f64(intervals);
        said("silent", format!("no heartbeat for more than {:.1} s", limit.as_secs_f64()))
    };
    match edge.liveness() {
        Liveness::Down => return silent(patience.down_intervals),
        Liveness::Gone => return said("goodbye", "the agent said goodbye".into()),
        Liveness::Suspect => return silent(patience.suspect_intervals),
        _ => {}
    }
    if edge.is_duplicate {
        let text = "another live edge announced this name first; give one of them another name";
        return said("duplicate_name", text.into());
    }
    if let Some(trouble) = &edge.trouble {
        return said(&trouble.code, trouble.text.clone());
    }
    if edge.paused {
        return said("paused", "the edge asked for no new viewers".into());
    }
    if edge.held_until > now.monotonic {
        return said("flapping", "came back from DOWN repeatedly; kept out for a while".into());
    }
    match edge.liveness() {
        Liveness::New => said("new", "heard once; a second heartbeat makes it UP".into()),
        Liveness::Unconfirmed => {
            said("restarted", "remembered from before the restart, not heard since".into())
        }
        _ => None,
    }
}

/// What edges report, gathered while each is at hand: a fleet does not fit into a cache.
#[derive(Default)]
struct KnownFigures {
    capacity_viewers: Vec<f64>,
    capacity_bps: Vec<f64>,
    viewers: Vec<f64>,
    bps: Vec<f64>,
    /// Over the edges that report both.
    both: (u64, u64),
}

impl KnownFigures {
    fn add(&mut self, edge: &EdgeView) {
        let load = &edge.load;
        self.capacity_viewers.extend(edge.capacity.viewers.map(f64::from));
        self.capacity_bps.extend(edge.capacity.bandwidth_bps.map(|bps| bps as f64));
        self.viewers.extend(load.viewers.map(f64::from));
        self.bps.extend(load.bandwidth_out_bps.map(|bps| bps as f64));
        if let (Some(viewers), Some(bps)) = (load.viewers, load.bandwidth_out_bps) {
            self.both.0 += u64::from(viewers);
            self.both.1 = self.both.1.saturating_add(bps);
        }
    }

    fn estimates(self) -> Estimates {
        let (viewers, bps) = self.both;
        Estimates {
            viewers: median(self.capacity_viewers),
            bandwidth_bps: median(self.capacity_bps),
            viewer_bps: (viewers > 0 && bps > 0).then(|| bps as f64 / viewers as f64),
            load: Load {
                viewers: median(self.viewers).map(|n| n as u32),
                bandwidth_out_bps: median(self.bps).map(|n| n as u64),
                ..Load::default()
            },
        }
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    let middle = figures.len().checked_sub(1)? / 2;
    let (_, median, _) = figures.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}
