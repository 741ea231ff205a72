use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use tidegate_proto::{
    edge::{Capacity, Endpoint, Labels, Scheme},
    heartbeat::Load,
    stream::Streams,
};

use super::*;
use crate::{
    admin::sample,
    cell::Cell,
    pick::pick,
    selection::{Evidence, Policy, Rule, Selection, Zone, Zones},
    snapshot::{EdgeView, FleetView, Liveness, Reason},
};

const NOW: Duration = Duration::from_secs(1_000);

/// An edge of 1,000 viewers, heard a moment ago.
fn edge(n: u8, viewers: u32) -> EdgeView {
    EdgeView {
        capacity: Capacity { viewers: Some(1_000), bandwidth_bps: None },
        load: Load { viewers: Some(viewers), ..Load::default() },
        heard: NOW,
        interval: Duration::from_secs(2),
        fresh_until: NOW + Duration::from_secs(6),
        ..sample::edge(n, &format!("edge-{n}"))
    }
}

/// A fleet in which those that are eligible are, and those that are NEW and not eligible stand in.
fn fleet(edges: Vec<EdgeView>) -> FleetView {
    let mut fleet = sample::fleet(edges);
    for (place, edge) in fleet.edges.iter().enumerate() {
        if edge.eligible {
            fleet.eligible.push(place);
        } else if matches!(edge.liveness, Liveness::New | Liveness::Unconfirmed) {
            fleet.fallback.push(place);
        }
    }
    fleet
}

fn snapshot(edges: Vec<EdgeView>, selection: Selection) -> Snapshot {
    Snapshot::of(Arc::new(fleet(edges)), Arc::new(selection), NOW)
}

/// The reason of each edge by its name.
fn reasons(
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    now: Duration,
) -> BTreeMap<String, ExplainReason> {
    let explanation = explain(snapshot, wanted, now);
    let name = |edge: &Explained| snapshot.fleet.edges[edge.place].name.to_string();
    explanation.edges.iter().map(|edge| (name(edge), edge.reason)).collect()
}

/// The reason of an edge beside edge-2, which anybody can be sent to, for a client of HTTP.
fn reason_of(other: EdgeView) -> ExplainReason {
    let name = other.name.to_string();
    let by = Selection { policy: Policy::Least, ..Selection::default() };
    let own = HashSet::from([(std::net::IpAddr::from([10, 0, 0, 77]), 80)]);
    let wanted = Wanted::new(Some(Scheme::Http), 80, &own);
    let reasons = reasons(&snapshot(vec![other, edge(2, 10)], by), &wanted, NOW);
    assert_eq!(reasons["edge-2"], ExplainReason::Candidate);
    reasons[&name]
}

fn out(liveness: Liveness, code: &str) -> EdgeView {
    let reason = Some(Reason { code: code.into(), text: "because".into() });
    EdgeView { eligible: false, liveness, reason, ..edge(1, 0) }
}

#[test]
fn each_reason_of_health_is_given() {
    for (liveness, code, wanted) in [
        (Liveness::Suspect, "silent", ExplainReason::Silent),
        (Liveness::Down, "silent", ExplainReason::Silent),
        (Liveness::Gone, "goodbye", ExplainReason::Goodbye),
        (Liveness::Up, "duplicate_name", ExplainReason::DuplicateName),
        (Liveness::Up, "flapping", ExplainReason::Flapping),
        (Liveness::Up, "paused", ExplainReason::Paused),
        (Liveness::New, "new", ExplainReason::New),
        (Liveness::Unconfirmed, "restarted", ExplainReason::Restarted),
        (Liveness::Suspect, "disk_full", ExplainReason::Trouble),
    ] {
        assert_eq!(reason_of(out(liveness, code)), wanted, "{liveness:?} {code}");
    }
    let late_to_be_seen = EdgeView { fresh_until: NOW - Duration::from_secs(1), ..edge(1, 0) };
    assert_eq!(reason_of(late_to_be_seen), ExplainReason::Silent);
}

#[test]
fn a_drain_is_the_first_reason_of_all() {
    for other in [edge(1, 0), out(Liveness::Down, "silent")] {
        other.cell.set_drained(true);
        assert_eq!(reason_of(other), ExplainReason::Drained);
    }
}

/// The reasons of edge-1 and edge-2, for a client of HTTP under a policy.
fn pair(
    edges: [EdgeView; 2],
    by: Selection,
    change: impl FnOnce(&mut Wanted<'_>),
) -> [ExplainReason; 2] {
    let own = HashSet::from([(std::net::IpAddr::from([10, 0, 0, 77]), 80)]);
    let mut wanted = Wanted::new(Some(Scheme::Http), 80, &own);
    change(&mut wanted);
    let found = reasons(&snapshot(edges.into(), by), &wanted, NOW);
    [found["edge-1"], found["edge-2"]]
}

fn least() -> Selection {
    Selection { policy: Policy::Least, ..Selection::default() }
}

#[test]
fn each_reason_of_rank_is_given() {
    use ExplainReason::{
        AboveLevel, Candidate, Failed, Fallback, Late, Overloaded, Unmeasured, WindowClosed,
    };
    let of = |edges, by, change: fn(&mut Wanted<'_>)| pair(edges, by, change);
    let nothing = |_: &mut Wanted<'_>| {};
    assert_eq!(of([edge(1, 500), edge(2, 10)], least(), nothing), [AboveLevel, Candidate]);
    let fill = Selection::default();
    assert_eq!(of([edge(1, 500), edge(2, 10)], fill, nothing), [AboveLevel, Candidate]);
    let late = || EdgeView { heard: NOW - Duration::from_secs(3), ..edge(1, 0) };
    let strict = Selection { late_share_max: 0.6, ..least() };
    assert_eq!(of([late(), edge(2, 10)], strict, nothing), [Late, Candidate]);
    let unmeasured = || EdgeView { load: Load::default(), ..edge(1, 0) };
    assert_eq!(of([unmeasured(), edge(2, 10)], least(), nothing), [Unmeasured, Candidate]);
    let ineligible = || EdgeView { eligible: false, liveness: Liveness::Down, ..edge(2, 10) };
    assert_eq!(of([unmeasured(), ineligible()], least(), nothing)[0], Fallback);
    let full = |wanted: &mut Wanted<'_>| wanted.has_overflow = true;
    assert_eq!(of([edge(1, 1_100), edge(2, 10)], least(), full), [Overloaded, Candidate]);
    let tried: &'static [_] = &[tidegate_proto::edge::EdgeId([1; 16])];
    assert_eq!(pair([edge(1, 0), edge(2, 10)], least(), |w| w.tried = tried), [Failed, Candidate]);
    let busy = EdgeView { cell: Arc::new(Cell::having_handed(400)), ..edge(1, 0) };
    assert_eq!(of([busy, edge(2, 950)], least(), nothing), [WindowClosed, Candidate]);
}

#[test]
fn each_reason_of_demand_is_given() {
    use ExplainReason::{Candidate, LabelMissing, NoEndpoint, OwnAddress};
    let rtmp = Endpoint { scheme: Scheme::Rtmp, port: 1935.try_into().expect("a port") };
    let other = EdgeView { endpoints: vec![rtmp], ..edge(1, 0) };
    assert_eq!(pair([other, edge(2, 10)], least(), |_| {}), [NoEndpoint, Candidate]);
    let own = EdgeView { redirect_address: "10.0.0.77".parse().expect("a host"), ..edge(1, 0) };
    assert_eq!(pair([own, edge(2, 10)], least(), |_| {}), [OwnAddress, Candidate]);
    let vip = Labels::from([("tier".to_owned(), "vip".to_owned())]);
    let rule = Rule { path: "/vip/".into(), labels: vip.clone() };
    let by = Selection { rules: vec![rule], ..least() };
    let chosen = EdgeView { labels: vip, ..edge(2, 10) };
    let found = pair([edge(1, 0), chosen.clone()], by.clone(), |wanted| wanted.path = "/vip/cam");
    assert_eq!(found, [LabelMissing, Candidate]);
    assert_eq!(pair([edge(1, 0), chosen.clone()], by.clone(), |_| {})[0], Candidate);
    let own = HashSet::new();
    let wanted = Wanted { path: "/vip/cam", ..Wanted::new(None, 80, &own) };
    let explanation = explain(&snapshot(vec![edge(1, 0), chosen], by), &wanted, NOW);
    assert_eq!(explanation.edges[0].label, Some(("tier".into(), "vip".into())));
    assert_eq!(explanation.rule.as_deref(), Some("/vip/"));
    assert!(explanation.stream.is_some());
}

/// An edge that reports viewers of one stream.
fn carrier(n: u8, viewers: u32) -> EdgeView {
    let streams = Some(Arc::new(Streams::of_names([("live/cam", viewers)])));
    EdgeView { streams, ..edge(n, viewers) }
}

#[test]
fn each_reason_of_streams_is_given() {
    use ExplainReason::{AboveLevel, Candidate, Host, SpreadLimit};
    let asks = |wanted: &mut Wanted<'_>| wanted.path = "/live/cam/playlist.m3u8";
    let sticky = Selection { policy: Policy::Sticky, ..Selection::default() };
    let found = pair([carrier(1, 100), edge(2, 90)], sticky, asks);
    assert_eq!(found, [Host, AboveLevel]);
    let limited = Selection { stream_share_max: 0.5, stream_share_from: 10, ..least() };
    let found = pair([carrier(1, 100), edge(2, 300)], limited.clone(), asks);
    assert_eq!(found, [SpreadLimit, Candidate]);
    assert_eq!(pair([carrier(1, 100), edge(2, 300)], limited, |_| {}), [Candidate, AboveLevel]);
}

#[test]
fn an_edge_of_another_zone_is_explained_by_that() {
    use ExplainReason::{Candidate, OtherZone};
    let zone = Zone {
        name: "north".into(),
        networks: vec!["192.0.2.0/24".parse().expect("a network")],
        ..Zone::default()
    };
    let zones = Zones::new(&[zone]).expect("sound zones");
    let by = Selection { zones, ..least() };
    let near = EdgeView {
        labels: Labels::from([("zone".to_owned(), "north".to_owned())]),
        ..edge(2, 300)
    };
    let client = |text: &str| text.parse().ok();
    let from = |text: &str| {
        pair([edge(1, 0), near.clone()], by.clone(), |wanted| wanted.client = client(text))
    };
    assert_eq!(from("192.0.2.7"), [OtherZone, Candidate]);
    assert_eq!(from("198.51.100.7")[0], Candidate);
}

#[test]
fn an_edge_that_clients_voted_out_is_explained_by_that() {
    use ExplainReason::{Candidate, Failed};
    let by = Selection { failure_evidence: Some(Arc::new(Evidence::default())), ..least() };
    let failing = edge(1, 0);
    failing.cell.vote_out(NOW);
    assert_eq!(pair([failing, edge(2, 300)], by, |_| {}), [Failed, Candidate]);
}

#[test]
fn votes_since_the_table_was_made_are_not_told_and_asking_changes_nothing() {
    use ExplainReason::{Candidate, Failed};
    let evidence = Arc::new(Evidence::default());
    let by = Selection { failure_evidence: Some(Arc::clone(&evidence)), ..least() };
    let (failing, other) = (edge(1, 0), edge(2, 300));
    failing.cell.vote_out(NOW);
    let later = Arc::clone(&other.cell);
    let snapshot = snapshot(vec![failing, other], by);
    // Both of two are too many, so that the next table will have neither out.
    later.vote_out(NOW);
    let own = HashSet::new();
    let found = reasons(&snapshot, &Wanted::new(None, 80, &own), NOW);
    assert_eq!([found["edge-1"], found["edge-2"]], [Failed, Candidate]);
    assert_eq!(evidence.edges_out(), 1);
}

#[test]
fn that_nobody_is_chosen_is_explained_as_a_pick_would() {
    let own = HashSet::new();
    let wanted = Wanted { has_overflow: true, ..Wanted::new(None, 80, &own) };
    let drained = edge(1, 0);
    drained.cell.set_drained(true);
    for (edges, why) in [
        (vec![], NoEdge::EmptyFleet),
        (vec![drained], NoEdge::AllDrained),
        (vec![edge(1, 1_100)], NoEdge::Full),
    ] {
        let explanation = explain(&snapshot(edges, least()), &wanted, NOW);
        assert_eq!(explanation.no_edge, Some(why));
        assert!(explanation.edges.iter().all(|edge| !edge.is_chosen()));
    }
}

#[test]
fn an_edge_is_explained_with_its_figures_and_no_redirect_is_counted() {
    let cell = Arc::new(Cell::having_handed(10));
    let half = EdgeView { weight: 0.5, cell, ..edge(1, 100) };
    let fleet = snapshot(vec![half, edge(2, 900)], least());
    let own = HashSet::new();
    let explanation = explain(&fleet, &Wanted::new(None, 80, &own), NOW);
    let found = &explanation.edges[0];
    assert_eq!((found.reported_load, found.chance), (Some(0.1), 1.0));
    assert!(found.predicted_load.is_some_and(|load| load > 0.2), "{found:?}");
    assert!(found.unconfirmed.is_some_and(|count| (9.0..=11.0).contains(&count)), "{found:?}");
    assert_eq!(fleet.fleet.edges[0].cell.handed(), 10);
    assert_eq!(predicted_load(&fleet, 0), found.predicted_load);
}

prop_compose! {
    fn any_edge()(
        viewers in prop::option::weighted(0.9, 0u32..1_200),
        rtmp_only in any::<bool>(),
        age in 0u64..9,
        reports in 0u32..8,
        weight in prop::sample::select(vec![0.1, 1.0, 3.0]),
        state in 0u8..10,
        tier in prop::sample::select(vec!["", "a", "b"]),
        handed in 0u16..300,
        carried in prop::option::of(1u32..500),
    ) -> EdgeView {
            let mut edge = EdgeView { weight, session_reports: reports, ..edge(0, 0) };
            edge.cell = Arc::new(Cell::having_handed(handed.into()));
            edge.load.viewers = viewers;
            edge.heard = NOW - Duration::from_secs(age);
            edge.fresh_until = edge.heard + Duration::from_secs(6);
            if rtmp_only {
                let port = 1_935.try_into().expect("a port");
                edge.endpoints = vec![Endpoint { scheme: Scheme::Rtmp, port }];
            }
            if !tier.is_empty() {
                edge.labels = Labels::from([("tier".to_owned(), tier.to_owned())]);
            }
            let streams = carried.map(|count| Streams::of_names([("live/cam", count)]));
            edge.streams = streams.map(Arc::new);
            match state {
                0 => edge.eligible = false,
                1 => (edge.eligible, edge.liveness) = (false, Liveness::New),
                2 => edge.cell.set_drained(true),
                _ => {}
            }
            edge
    }
}

fn any_edges() -> impl Strategy<Value = Vec<EdgeView>> {
    let numbered = |(n, made): (u8, EdgeView)| {
        let EdgeView { id, name, redirect_address, .. } = edge(n, 0);
        EdgeView { id, name, redirect_address, ..made }
    };
    prop::collection::vec(any_edge(), 0..12)
        .prop_map(move |all| (1..).zip(all).map(numbered).collect())
}

proptest! {
    #[test]
    fn whoever_is_picked_was_explained_with_a_chance_and_the_chances_add_up(
        edges in any_edges(),
        policy in prop::sample::select(Policy::ALL.to_vec()),
        scheme in prop::sample::select(vec![None, Some(Scheme::Http), Some(Scheme::Rtmp)]),
        path in prop::sample::select(vec!["", "/live/cam", "/vip/cam"]),
        (has_overflow, seed, later) in (any::<bool>(), any::<u64>(), 0u64..4),
        tried in prop::collection::vec(1u8..12, 0..3),
        stream_share_max in prop::sample::select(vec![1.0, 0.4]),
    ) {
        let labels = Labels::from([("tier".to_owned(), "a".to_owned())]);
        let rules = vec![Rule { path: "/vip/".into(), labels }];
        let (overflow_at, stream_share_from) = (0.7, 5);
        let by = Selection {
            policy, rules, overflow_at, stream_share_max, stream_share_from, ..Selection::default()
        };
        let snapshot = snapshot(edges, by);
        let own = HashSet::from([(std::net::IpAddr::from([10, 0, 0, 3]), 80)]);
        let tried: Vec<_> = tried.into_iter().map(|n| tidegate_proto::edge::EdgeId([n; 16])).collect();
        let wanted = Wanted { path, has_overflow, tried: &tried, ..Wanted::new(scheme, 80, &own) };
        let now = NOW + Duration::from_secs(later);
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..20 {
            let explanation = explain(&snapshot, &wanted, now);
            let sum: f64 = explanation.edges.iter().map(|edge| edge.chance).sum();
            for edge in &explanation.edges {
                let speaks_for = matches!(
                    edge.reason,
                    ExplainReason::Candidate | ExplainReason::Host | ExplainReason::Fallback
                );
                prop_assert_eq!(edge.is_chosen(), speaks_for, "{:?}", edge);
                prop_assert!(edge.reason != ExplainReason::Unspecified);
            }
            match pick(&snapshot, &wanted, now, &mut random) {
                Ok(picked) => {
                    let place = snapshot.fleet.by_id[&picked.edge.id];
                    prop_assert!(explanation.edges[place].is_chosen(), "{explanation:?}");
                    prop_assert_eq!(explanation.no_edge, None);
                }
                Err(why) => prop_assert!(sum < 1.0 - 1e-9 || explanation.no_edge == Some(why)),
            }
            prop_assert!(sum < 1.0 + 1e-6, "{sum}");
            if explanation.no_edge.is_none() && !has_overflow {
                prop_assert!((sum - 1.0).abs() < 1e-6, "{sum}: {explanation:?}");
            }
        }
    }

    #[test]
    fn chances_are_what_picks_do(
        loads in prop::collection::vec(0u32..400, 2..6),
        policy in prop::sample::select(Policy::ALL.to_vec()),
        seed in any::<u64>(),
    ) {
        let edges = (1..).zip(&loads).map(|(n, viewers)| edge(n, *viewers)).collect();
        let snapshot = snapshot(edges, Selection { policy, ..Selection::default() });
        let own = HashSet::new();
        let wanted = Wanted::new(None, 80, &own);
        let chances = explain(&snapshot, &wanted, NOW).edges;
        let mut random = SmallRng::seed_from_u64(seed);
        let mut counts = vec![0u32; loads.len()];
        const PICKS: u32 = 2_000;
        let search = Search::new(&snapshot, &wanted, NOW);
        for _ in 0..PICKS {
            let pool = snapshot.table.pools(&wanted).pop().expect("all of them");
            let found = crate::pick::find(&search, pool, &mut random).expect("one");
            counts[found.place as usize] += 1;
        }
        for (edge, count) in chances.iter().zip(&counts) {
            let share = f64::from(*count) / f64::from(PICKS);
            prop_assert!((share - edge.chance).abs() < 0.08, "{policy}: {share} {edge:?}");
        }
    }
}
