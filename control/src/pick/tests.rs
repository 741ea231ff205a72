mod odd;
mod policies;

use std::collections::HashMap;

use rand::{SeedableRng, rngs::SmallRng};
use tidegate_proto::{
    edge::{Capacity, Endpoint},
    heartbeat::Load,
};

use super::*;
use crate::{
    admin::sample,
    selection::{Policy, Selection},
    snapshot::{Estimates, FleetView, Mode},
};

fn edge(n: u8) -> EdgeView {
    EdgeView {
        capacity: Capacity { viewers: Some(100), bandwidth_bps: None },
        load: Load { viewers: Some(0), ..Load::default() },
        fresh_until: Duration::MAX,
        ..sample::edge(n, &format!("edge-{n}"))
    }
}

fn fleet(edges: Vec<EdgeView>) -> FleetView {
    let by_id: HashMap<_, _> = edges.iter().enumerate().map(|(at, e)| (e.id, at)).collect();
    FleetView {
        eligible: (0..edges.len()).collect(),
        edges: edges.into_iter().map(Arc::new).collect(),
        by_id: Arc::new(by_id),
        ..FleetView::default()
    }
}

fn snapshot(fleet: &FleetView) -> Snapshot {
    by(fleet, Policy::Least)
}

/// As `snapshot`, by a policy, and with a window so wide that it plays no part.
fn by(fleet: &FleetView, policy: Policy) -> Snapshot {
    let selection = Selection { policy, window: 10.0, ..Selection::default() };
    Snapshot::of(Arc::new(fleet.clone()), Arc::new(selection), Duration::ZERO)
}

fn picks(fleet: &FleetView, count: usize) -> HashMap<u8, usize> {
    let own = HashSet::new();
    let wanted = Wanted::new(Some(Scheme::Http), 80, &own);
    let mut random = SmallRng::seed_from_u64(7);
    let mut counts = HashMap::new();
    for _ in 0..count {
        let picked =
            pick(&snapshot(fleet), &wanted, Duration::ZERO, &mut random).expect("there is an edge");
        *counts.entry(picked.edge.id.0[0]).or_default() += 1;
    }
    counts
}

fn viewers(n: u8, viewers: u32) -> EdgeView {
    EdgeView { load: Load { viewers: Some(viewers), ..Load::default() }, ..edge(n) }
}

#[test]
fn redirects_fill_up_the_difference_and_then_alternate() {
    // One redirect in twenty is not expected to come, so the 20 viewers between them take 22.
    let fleet = fleet(vec![viewers(1, 10), viewers(2, 30)]);
    assert_eq!(picks(&fleet, 22), HashMap::from([(1, 22)]));
    assert_eq!(picks(&fleet, 38), HashMap::from([(1, 19), (2, 19)]));
}

#[test]
fn the_share_of_capacity_counts_not_the_number() {
    let large = EdgeView {
        capacity: Capacity { viewers: Some(400), bandwidth_bps: None },
        ..viewers(2, 0)
    };
    assert_eq!(picks(&fleet(vec![viewers(1, 0), large]), 100), HashMap::from([(1, 20), (2, 80)]));
}

#[test]
fn unknown_capacity_is_the_fleets_median() {
    let unknown = EdgeView { capacity: Capacity::default(), ..viewers(2, 0) };
    let mut fleet = fleet(vec![viewers(1, 0), unknown]);
    fleet.estimates = Estimates { viewers: Some(300.0), ..Estimates::default() };
    assert_eq!(picks(&fleet, 100), HashMap::from([(1, 25), (2, 75)]));
}

#[test]
fn an_edge_that_failed_the_client_is_not_picked_again() {
    let (own, mut random) = (HashSet::new(), SmallRng::seed_from_u64(7));
    let fleet = fleet(vec![viewers(1, 0), viewers(2, 50), viewers(3, 90)]);
    let mut tried = Vec::new();
    for n in 1..=3 {
        let wanted = Wanted { tried: &tried, ..Wanted::new(None, 80, &own) };
        let picked =
            pick(&snapshot(&fleet), &wanted, Duration::ZERO, &mut random).expect("one is left");
        assert_eq!(picked.edge.id.0[0], n);
        tried.push(picked.edge.id);
    }
    let wanted = Wanted { tried: &tried, ..Wanted::new(None, 80, &own) };
    let none =
        pick(&snapshot(&fleet), &wanted, Duration::ZERO, &mut random).expect_err("all have failed");
    assert_eq!(none, NoEdge::NoEndpoint);
}

#[test]
fn ties_are_broken_at_random() {
    let seen: HashSet<u8> = (0..64u64)
        .map(|seed| {
            let fleet = fleet((1..=4).map(edge).collect());
            let own = HashSet::new();
            let wanted = Wanted::new(None, 80, &own);
            let mut random = SmallRng::seed_from_u64(seed);
            pick(&snapshot(&fleet), &wanted, Duration::ZERO, &mut random).expect("one").edge.id.0[0]
        })
        .collect();
    assert_eq!(seen.len(), 4);
}

#[test]
fn an_unmeasured_edge_is_never_taken_as_least_loaded() {
    let unmeasured = EdgeView { load: Load::default(), ..edge(1) };
    assert_eq!(picks(&fleet(vec![unmeasured.clone(), viewers(2, 99)]), 50).get(&1), None);
    assert_eq!(picks(&fleet(vec![unmeasured]), 5), HashMap::from([(1, 5)]));
}

#[test]
fn bandwidth_counts_where_it_is_the_worse_resource() {
    let busy = EdgeView {
        capacity: Capacity { viewers: Some(100), bandwidth_bps: Some(1_000) },
        load: Load { viewers: Some(1), bandwidth_out_bps: Some(990), ..Load::default() },
        ..edge(1)
    };
    assert_eq!(picks(&fleet(vec![busy, viewers(2, 60)]), 10), HashMap::from([(2, 10)]));
}

#[test]
fn silence_is_compared_at_the_pick() {
    let stale = EdgeView { fresh_until: Duration::from_secs(1), ..edge(1) };
    let mut fleet = fleet(vec![stale]);
    let own = HashSet::new();
    let wanted = Wanted::new(None, 80, &own);
    let mut random = SmallRng::seed_from_u64(1);
    let mut at = |fleet: &FleetView, secs| {
        pick(&snapshot(fleet), &wanted, Duration::from_secs(secs), &mut random).map(|_| ())
    };
    assert_eq!(at(&fleet, 1), Ok(()));
    assert_eq!(at(&fleet, 2), Err(NoEdge::NoneHealthy));
    fleet.mode = Mode::Panic;
    assert_eq!(at(&fleet, 2), Ok(()), "PANIC forgives silence");
}

#[test]
fn the_flag_holds_whatever_the_snapshot_says() {
    let fleet = fleet(vec![edge(1), edge(2)]);
    fleet.edges[0].cell.set_drained(true);
    assert_eq!(picks(&fleet, 50), HashMap::from([(2, 50)]));
    fleet.edges[1].cell.set_drained(true);
    let own = HashSet::new();
    let wanted = Wanted::new(None, 80, &own);
    let mut random = SmallRng::seed_from_u64(1);
    let none = pick(&snapshot(&fleet), &wanted, Duration::ZERO, &mut random).err();
    assert_eq!(none, Some(NoEdge::AllDrained));
}

fn reached(edge: EdgeView, scheme: Scheme, change: impl FnOnce(&mut Wanted<'_>)) -> Option<u16> {
    let own = HashSet::new();
    let mut wanted = Wanted::new(Some(scheme), 1935, &own);
    change(&mut wanted);
    let mut random = SmallRng::seed_from_u64(1);
    pick(&snapshot(&fleet(vec![edge])), &wanted, Duration::ZERO, &mut random)
        .ok()
        .map(|picked| picked.port)
}

#[test]
fn the_endpoint_rule() {
    let listing = |listed: &[(Scheme, u16)]| EdgeView {
        endpoints: listed
            .iter()
            .map(|(scheme, port)| Endpoint {
                scheme: *scheme,
                port: (*port).try_into().expect("not 0"),
            })
            .collect(),
        ..edge(1)
    };
    let plain = || listing(&[(Scheme::Http, 8080), (Scheme::Rtmp, 1936)]);
    assert_eq!(reached(edge(1), Scheme::Rtmps, |_| {}), Some(1935), "lists none: any scheme");
    assert_eq!(reached(plain(), Scheme::Http, |_| {}), Some(8080));
    assert_eq!(reached(plain(), Scheme::Rtmpt, |_| {}), Some(1936), "rtmpt may use rtmp's port");
    assert_eq!(reached(plain(), Scheme::Https, |_| {}), None, "never falls to plain");
    assert_eq!(reached(plain(), Scheme::Rtmps, |_| {}), None);
    assert_eq!(reached(plain(), Scheme::Rtmpts, |_| {}), None);
    assert_eq!(reached(plain(), Scheme::Http, |w| w.port_override = Some(99)), Some(99));
}

#[test]
fn no_answer_leads_back_here() {
    let own = HashSet::from([("10.0.0.1".parse().expect("an address"), 1935)]);
    let mut random = SmallRng::seed_from_u64(1);
    let mut port = |port| {
        let wanted = Wanted::new(Some(Scheme::Http), port, &own);
        pick(&snapshot(&fleet(vec![edge(1)])), &wanted, Duration::ZERO, &mut random).map(|p| p.port)
    };
    assert_eq!(port(1935), Err(NoEdge::NoEndpoint));
    assert_eq!(port(80), Ok(80));
}
