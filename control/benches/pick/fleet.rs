//! Fleets to pick from.

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::SmallRng, seq::SliceRandom};
use tidegate_control::{
    cell::Slabs,
    snapshot::{AdminState, EdgeView, FleetView, Liveness},
};
use tidegate_proto::{
    edge::{Capacity, EdgeId, Endpoint, Host, Labels, Scheme},
    heartbeat::Load,
    stream::Streams,
};

const INTERVAL: Duration = Duration::from_millis(2_500);
/// One edge in so many reports in 100 ms.
const REPORTING: usize = 25;

/// Edges of one to four times the same capacity, 50 % to 70 % full, and all over the memory.
pub(crate) fn of(count: usize) -> FleetView {
    let mut random = SmallRng::seed_from_u64(7);
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut random);
    // In the order in which they were first heard, as the registry does it.
    let mut slabs = Slabs::default();
    let mut edges: Vec<Option<Arc<EdgeView>>> = vec![None; count];
    for place in order {
        let capacity = 1_000 * random.random_range(1..=4);
        let viewers = (f64::from(capacity) * random.random_range(0.5..0.7)) as u32;
        let cell = Arc::new(slabs.cell());
        edges[place] = Some(Arc::new(EdgeView { cell, ..edge(place, capacity, viewers) }));
    }
    let edges: Vec<_> = edges.into_iter().flatten().collect();
    let by_id = edges.iter().enumerate().map(|(place, edge)| (edge.id, place));
    FleetView {
        by_id: Arc::new(by_id.collect::<HashMap<_, _>>()),
        eligible: (0..edges.len()).collect(),
        edges,
        ..FleetView::default()
    }
}

fn edge(place: usize, capacity: u32, viewers: u32) -> EdgeView {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(place as u64).to_be_bytes());
    let address = Ipv4Addr::from(0x0a00_0000 + place as u32);
    let http = Endpoint { scheme: Scheme::Http, port: 8080.try_into().expect("not 0") };
    EdgeView {
        id: EdgeId(id),
        name: format!("edge-{place:06}").parse().expect("a name"),
        redirect_address: Host::Address(address.into()),
        endpoints: vec![http],
        labels: Labels::from([("zone".into(), "eu".into())]),
        capacity: Capacity { viewers: Some(capacity), bandwidth_bps: None },
        weight: 1.0,
        weighting: None,
        admin_state: AdminState::Active,
        liveness: Liveness::Up,
        reason: None,
        paused: false,
        eligible: true,
        load: Load { viewers: Some(viewers), ..Load::default() },
        handed_at_report: 0,
        last_heartbeat_unix_ms: 1_700_000_000_000,
        heard: Duration::from_secs(100),
        session_reports: 100,
        redirectors: 1,
        streams: Some(Arc::new(streams(place))),
        first_heard_unix_ms: 1_700_000_000_000,
        fresh_until: Duration::MAX,
        interval: INTERVAL,
        lease: INTERVAL * 3,
        order: None,
        order_revision: 0,
        agent_version: String::new(),
        server_version: String::new(),
        cell: Arc::default(),
    }
}

/// Twenty streams out of 2,000, and on every tenth edge the one that clients ask for.
fn streams(place: usize) -> Streams {
    let of_many = (0..20).map(|n| (format!("live/{}", (place * 13 + n * 97) % 2_000), 20));
    let asked = place.is_multiple_of(10).then(|| ("live/cam".to_owned(), 100));
    let named: Vec<_> = of_many.chain(asked).collect();
    Streams::of_names(named.iter().map(|(name, viewers)| (name.as_str(), *viewers)))
}

/// The fleet after the next edges have reported, each in its turn.
pub(crate) fn reported(fleet: &FleetView, now: Duration) -> FleetView {
    let turn = (now.as_millis() / 100) as usize % REPORTING;
    let mut fleet = fleet.clone();
    for edge in fleet.edges.iter_mut().skip(turn).step_by(REPORTING) {
        *edge = Arc::new(EdgeView {
            heard: now,
            handed_at_report: edge.cell.handed(),
            // A count has changed, as in nearly every report.
            streams: edge.streams.as_deref().map(|streams| Arc::new(streams.clone())),
            ..EdgeView::clone(edge)
        });
    }
    fleet
}
