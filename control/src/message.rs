//! An edge as the admin API's messages show it. Nothing here decides anything.

use prost_types::Timestamp;
use tidegate_proto::admin;

use crate::{
    order::Order,
    pick::predicted_load,
    publish::Snapshot,
    snapshot::{AdminState, EdgeView, Liveness},
};

/// The admin API's message of an edge.
#[must_use]
pub fn edge_message(view: &EdgeView) -> admin::Edge {
    let load = &view.load;
    admin::Edge {
        name: view.name.to_string(),
        edge_id: view.id.to_string(),
        redirect_address: view.redirect_address.to_string(),
        endpoints: view
            .endpoints
            .iter()
            .map(|endpoint| admin::Endpoint {
                scheme: endpoint.scheme.to_string(),
                port: endpoint.port.get().into(),
            })
            .collect(),
        labels: view.labels.clone(),
        capacity: Some(admin::Capacity {
            viewers: view.capacity.viewers.unwrap_or(0),
            bandwidth_bps: view.capacity.bandwidth_bps.unwrap_or(0),
        }),
        weight: view.weight,
        admin_state: admin_state(view.admin_state).into(),
        liveness: liveness(view.liveness).into(),
        liveness_reason: view.reason.as_ref().map(|reason| admin::LivenessReason {
            code: reason.code.clone(),
            text: reason.text.clone(),
        }),
        paused: view.paused,
        load: Some(admin::Load {
            viewers: load.viewers,
            publishers: load.publishers,
            bandwidth_out_bps: load.bandwidth_out_bps,
            bandwidth_in_bps: load.bandwidth_in_bps,
            cpu_utilization: load.cpu_utilization,
            memory_utilization: load.memory_utilization,
        }),
        pending: u32::try_from(view.pending()).unwrap_or(u32::MAX),
        last_heartbeat_time: (view.last_heartbeat_unix_ms > 0)
            .then(|| timestamp(view.last_heartbeat_unix_ms)),
        drain: view.order.as_ref().map(drain_message),
        etag: view.etag(),
        eligible: view.eligible && !view.cell.is_drained(),
        agent_version: view.agent_version.clone(),
        server_version: view.server_version.clone(),
        predicted_load: None,
        weighting: view.weighting.as_ref().map(weighting_message),
    }
}

/// The same with its predicted load, for an edge by its place in the fleet.
#[must_use]
pub fn edge_message_at(snapshot: &Snapshot, place: usize) -> Option<admin::Edge> {
    let view = snapshot.fleet.edges.get(place)?;
    Some(admin::Edge { predicted_load: predicted_load(snapshot, place), ..edge_message(view) })
}

/// The admin API's message of a standing order.
#[must_use]
pub fn drain_message(order: &Order) -> admin::Drain {
    admin::Drain {
        reason: order.reason.clone(),
        author: order.author.clone(),
        create_time: Some(timestamp(order.created_unix_ms)),
    }
}

/// The admin API's message of who gave an edge its weight.
#[must_use]
pub fn weighting_message(order: &Order) -> admin::Weighting {
    admin::Weighting {
        reason: order.reason.clone(),
        author: order.author.clone(),
        create_time: Some(timestamp(order.created_unix_ms)),
    }
}

/// A wall-clock time as messages carry it.
#[must_use]
pub fn timestamp(unix_ms: u64) -> Timestamp {
    let nanos = i32::try_from(unix_ms % 1_000).unwrap_or(0) * 1_000_000;
    Timestamp { seconds: i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX), nanos }
}

fn admin_state(state: AdminState) -> admin::AdminState {
    match state {
        AdminState::Active => admin::AdminState::Active,
        AdminState::Draining => admin::AdminState::Draining,
        AdminState::Drained => admin::AdminState::Drained,
    }
}

fn liveness(state: Liveness) -> admin::Liveness {
    match state {
        Liveness::New => admin::Liveness::New,
        Liveness::Up => admin::Liveness::Up,
        Liveness::Suspect => admin::Liveness::Suspect,
        Liveness::Down => admin::Liveness::Down,
        Liveness::Gone => admin::Liveness::Gone,
        Liveness::Unconfirmed => admin::Liveness::Unconfirmed,
    }
}
