//! Fleets made by hand, for tests.

use std::{sync::Arc, time::Duration};

use tidegate_control::snapshot::{AdminState, EdgeView, FleetView, Liveness};
use tidegate_proto::{
    edge::{Capacity, EdgeId, Endpoint, Labels},
    heartbeat::Load,
};

/// A healthy edge with no viewers. Endpoints are written `scheme:port`, parted by blanks.
pub(crate) fn edge(name: &str, host: &str, endpoints: &str) -> EdgeView {
    EdgeView {
        id: EdgeId::random(),
        name: name.parse().expect("a name"),
        redirect_address: host.parse().expect("a host"),
        endpoints: endpoints.split_whitespace().map(endpoint).collect(),
        labels: Labels::new(),
        capacity: Capacity::default(),
        weight: 1.0,
        weighting: None,
        streams: None,
        admin_state: AdminState::Active,
        liveness: Liveness::Up,
        reason: None,
        paused: false,
        eligible: true,
        load: Load { viewers: Some(0), ..Load::default() },
        handed_at_report: 0,
        last_heartbeat_unix_ms: 1_700_000_000_000,
        heard: Duration::ZERO,
        session_reports: 10,
        redirectors: 1,
        first_heard_unix_ms: 1_700_000_000_000,
        fresh_until: Duration::MAX,
        interval: Duration::from_millis(2_500),
        lease: Duration::from_secs(8),
        order: None,
        order_revision: 0,
        agent_version: String::new(),
        server_version: String::new(),
        cell: Arc::default(),
    }
}

fn endpoint(text: &str) -> Endpoint {
    let (scheme, port) = text.split_once(':').expect("a colon");
    Endpoint {
        scheme: scheme.parse().expect("a scheme"),
        port: port.parse().expect("a port that is not 0"),
    }
}

/// A fleet of these edges.
pub(crate) fn fleet(edges: Vec<EdgeView>) -> FleetView {
    let eligible = edges
        .iter()
        .enumerate()
        .filter(|(_, edge)| edge.eligible)
        .map(|(place, _)| place)
        .collect();
    let by_id = edges.iter().enumerate().map(|(place, edge)| (edge.id, place)).collect();
    FleetView {
        by_id: Arc::new(by_id),
        edges: edges.into_iter().map(Arc::new).collect(),
        eligible,
        ..FleetView::default()
    }
}
