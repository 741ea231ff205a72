//! What holds whatever the policy is, and what each policy promises.

use proptest::prelude::*;
use tidegate_proto::edge::Labels;

use super::*;
use crate::{cell::Cell, selection::Rule};

/// An edge with anything known of it or nothing.
fn any_edge() -> impl Strategy<Value = EdgeView> {
    let figure = || prop_oneof![Just(None), Just(Some(0)), (1u32..5_000).prop_map(Some)];
    let share = || prop_oneof![Just(None), (0.0..1.0f64).prop_map(Some)];
    let bps = || prop_oneof![Just(None), Just(Some(0)), (1u64..u64::MAX).prop_map(Some)];
    let load = (figure(), bps(), share());
    let state = (0..4u8, any::<bool>(), 0..20u32, 0.0..10.0f64);
    (figure(), bps(), load, state).prop_map(|(viewers, bandwidth_bps, load, state)| {
        let (said, bandwidth_out_bps, cpu_utilization) = load;
        let (turn, stale, session_reports, weight) = state;
        let edge = EdgeView {
            capacity: Capacity { viewers, bandwidth_bps },
            load: Load { viewers: said, bandwidth_out_bps, cpu_utilization, ..Load::default() },
            fresh_until: if stale { Duration::from_secs(1) } else { Duration::MAX },
            heard: Duration::from_secs(u64::from(turn)),
            session_reports,
            weight,
            ..edge(1)
        };
        edge.cell.set_drained(turn == 0);
        edge
    })
}

/// Each with an id of its own.
fn numbered(edges: Vec<EdgeView>) -> Vec<EdgeView> {
    let number = |(n, edge)| EdgeView { id: EdgeId([n; 16]), cell: Arc::default(), ..edge };
    let flag = |edge: &EdgeView| edge.cell.is_drained();
    let flags: Vec<_> = edges.iter().map(flag).collect();
    let edges: Vec<_> = (0u8..).zip(edges).map(number).collect();
    edges.iter().zip(flags).for_each(|(edge, drained)| edge.cell.set_drained(drained));
    edges
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop::sample::select(Policy::ALL.to_vec())
}

proptest! {
    #[test]
    fn an_edge_is_found_if_there_is_one_and_only_one_that_serves(
        edges in prop::collection::vec(any_edge(), 1..30),
        policy in any_policy(),
        window in prop_oneof![Just(0.01), Just(10.0)],
        standing_in in any::<bool>(),
        tried in prop::collection::vec(0u8..30, 0..4),
        redirectors in 0..9u32,
        seed in any::<u64>(),
    ) {
        let mut fleet = fleet(numbered(edges));
        if standing_in {
            std::mem::swap(&mut fleet.eligible, &mut fleet.fallback);
        }
        let selection = Selection { policy, window, redirectors, ..Selection::default() };
        let snapshot =
            Snapshot::of(Arc::new(fleet.clone()), Arc::new(selection), Duration::ZERO);
        let own = HashSet::new();
        let tried: Vec<_> = tried.into_iter().map(|n| EdgeId([n; 16])).collect();
        let wanted = Wanted { tried: &tried, ..Wanted::new(None, 80, &own) };
        let now = Duration::from_secs(2);
        let serves = |edge: &EdgeView| {
            !edge.cell.is_drained() && edge.fresh_until >= now && !tried.contains(&edge.id)
        };
        let can_serve = fleet.edges.iter().any(|edge| serves(edge));
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..50 {
            match pick(&snapshot, &wanted, now, &mut random) {
                Ok(picked) => {
                    prop_assert!(serves(&picked.edge));
                    prop_assert!(picked.load.is_finite() && picked.load >= 0.0);
                }
                Err(_) => prop_assert!(!can_serve),
            }
        }
        for place in 0..fleet.edges.len() {
            let row = snapshot.table.row(place).expect("each edge has a row");
            let figures = [row.load, row.step, row.room, row.capacity_bps, row.score];
            prop_assert!(figures.iter().all(|figure| figure.is_finite()), "{row:?}");
            prop_assert!(row.step > 0.0 && row.capacity_bps > 0.0, "{row:?}");
        }
    }

    #[test]
    fn a_drain_holds_from_one_pick_to_the_next(
        policy in any_policy(),
        count in 1u8..40,
        seed in any::<u64>(),
    ) {
        let fleet = fleet((0..count).map(|n| viewers(n, n.into())).collect());
        let snapshot = by(&fleet, policy);
        let own = HashSet::new();
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..count {
            let picked = pick(&snapshot, &Wanted::new(None, 80, &own), Duration::ZERO, &mut random);
            let edge = picked.expect("not all are drained").edge;
            prop_assert!(!edge.cell.is_drained());
            edge.cell.set_drained(true);
        }
        let none = pick(&snapshot, &Wanted::new(None, 80, &own), Duration::ZERO, &mut random);
        prop_assert_eq!(none.err(), Some(NoEdge::AllDrained));
    }

    #[test]
    fn least_takes_the_least_whatever_was_handed_out(
        loads in prop::collection::vec(0u32..100, 1..60),
        picks in 1usize..200,
        seed in any::<u64>(),
    ) {
        let fleet = fleet((0u8..).zip(&loads).map(|(n, load)| viewers(n, *load)).collect());
        let snapshot = by(&fleet, Policy::Least);
        let own = HashSet::new();
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..picks {
            let live = |place| snapshot.table.live_load(place);
            let least = (0..loads.len() as u32).map(live).fold(f32::INFINITY, f32::min);
            let wanted = Wanted::new(None, 80, &own);
            let picked = pick(&snapshot, &wanted, Duration::ZERO, &mut random).expect("one");
            let place = u32::from(picked.edge.id.0[0]);
            prop_assert!((picked.load - least).abs() < 1e-6, "{} instead of {least}", picked.load);
            prop_assert!(live(place) > picked.load);
        }
    }
}

fn shares(fleet: &FleetView, policy: Policy, count: usize) -> Vec<f64> {
    let snapshot = by(fleet, policy);
    let own = HashSet::new();
    let mut random = SmallRng::seed_from_u64(3);
    let mut counts = vec![0; fleet.edges.len()];
    for _ in 0..count {
        let wanted = Wanted::new(None, 80, &own);
        let picked = pick(&snapshot, &wanted, Duration::ZERO, &mut random).expect("an edge");
        counts[usize::from(picked.edge.id.0[0])] += 1;
    }
    counts.into_iter().map(|n| f64::from(n) / count as f64).collect()
}

fn large(n: u8, load: u32) -> EdgeView {
    EdgeView {
        capacity: Capacity { viewers: Some(1_000_000), bandwidth_bps: None },
        ..viewers(n, load)
    }
}

#[test]
fn fill_sends_nobody_above_the_level_and_most_where_the_gap_is_widest() {
    let edges = vec![large(0, 500_000), large(1, 400_000), large(2, 399_000)];
    let shares = shares(&fleet(edges), Policy::Fill, 10_000);
    assert_eq!(shares[0], 0.0);
    assert!(shares[2] > shares[1] && shares[1] > 0.2, "{shares:?}");
}

#[test]
fn fill_does_not_send_everybody_to_an_empty_edge_beside_many_that_are_level() {
    let mut edges: Vec<_> = (1..=99).map(|n| large(n, 700_000)).collect();
    edges.insert(0, large(0, 690_000));
    let shares = shares(&fleet(edges), Policy::Fill, 10_000);
    assert!((0.02..0.2).contains(&shares[0]), "{}", shares[0]);
}

#[test]
fn random_goes_by_capacity_and_not_by_load() {
    let mut big = large(0, 999_999);
    big.capacity.viewers = Some(3_000_000);
    let shares = shares(&fleet(vec![big, large(1, 0)]), Policy::Random, 10_000);
    assert!((shares[0] - 0.75).abs() < 0.02, "{shares:?}");
}

#[test]
fn wowza_counts_viewers_and_redirects_and_knows_no_capacity() {
    let small = viewers(0, 90);
    let shares = shares(&fleet(vec![small, large(1, 100)]), Policy::Wowza, 10);
    assert_eq!(shares, [1.0, 0.0]);
}

#[test]
fn report_goes_by_the_last_report_alone() {
    let shares = shares(&fleet(vec![viewers(0, 50), viewers(1, 49)]), Policy::Report, 1_000);
    assert_eq!(shares, [0.0, 1.0]);
}

#[test]
fn p2c_avoids_the_fullest_but_when_it_is_drawn_twice() {
    let edges = (0..4).map(|n| large(n, u32::from(n) * 1_000)).collect();
    let shares = shares(&fleet(edges), Policy::P2c, 16_000);
    for (share, sixteenths) in shares.iter().zip([7.0, 5.0, 3.0, 1.0]) {
        assert!((share - sixteenths / 16.0).abs() < 0.02, "{shares:?}");
    }
}

#[test]
fn each_policy_that_looks_for_the_least_breaks_ties_at_random() {
    for policy in [Policy::Least, Policy::Wowza, Policy::Report, Policy::P2c, Policy::Fill] {
        let fleet = fleet((0..4).map(|n| large(n, 5)).collect());
        let shares = shares(&fleet, policy, 400);
        assert!(shares.iter().all(|share| *share > 0.1), "{policy}: {shares:?}");
    }
}

#[test]
fn where_every_window_is_closed_the_less_full_is_taken() {
    let handed = |count| Arc::new(Cell::having_handed(count));
    let fleet = fleet(vec![
        EdgeView { cell: handed(20_000), ..large(0, 100) },
        EdgeView { cell: handed(15_000), ..large(1, 200_000) },
    ]);
    let selection = Selection { policy: Policy::Least, window: 0.01, ..Selection::default() };
    let snapshot = Snapshot::of(Arc::new(fleet), Arc::new(selection), Duration::ZERO);
    let (own, mut random) = (HashSet::new(), SmallRng::seed_from_u64(1));
    let wanted = Wanted::new(None, 80, &own);
    let picked = pick(&snapshot, &wanted, Duration::ZERO, &mut random).expect("it is a soft limit");
    assert_eq!(picked.edge.id.0[0], 1);
}

fn overflowing(loads: &[u32], policy: Policy) -> (Result<u8, NoEdge>, u64) {
    let fleet = fleet((0u8..).zip(loads).map(|(n, load)| viewers(n, *load)).collect());
    let snapshot = by(&fleet, policy);
    let (own, mut random) = (HashSet::new(), SmallRng::seed_from_u64(1));
    let wanted = Wanted { has_overflow: true, ..Wanted::new(None, 80, &own) };
    let picked = pick(&snapshot, &wanted, Duration::ZERO, &mut random);
    let handed = fleet.edges.iter().map(|edge| edge.cell.handed()).sum();
    (picked.map(|picked| picked.edge.id.0[0]), handed)
}

#[test]
fn where_another_place_can_serve_no_full_edge_is_chosen_nor_counted() {
    for policy in Policy::ALL {
        assert_eq!(overflowing(&[101, 150], policy), (Err(NoEdge::Full), 0), "{policy}");
        assert_eq!(overflowing(&[150, 120, 99, 130], policy), (Ok(2), 1), "{policy}");
    }
}

#[test]
fn an_edge_must_carry_the_labels_demanded() {
    let vip = |n| EdgeView { labels: Labels::from([("tier".into(), "vip".into())]), ..edge(n) };
    let fleet = Arc::new(fleet(vec![edge(0), vip(1)]));
    let rule = |path: &str, tier: &str| Rule {
        path: path.into(),
        labels: Labels::from([("tier".into(), tier.into())]),
    };
    let rules = vec![rule("/vip/", "vip"), rule("/none", "none")];
    let selection = Selection { rules, ..Selection::default() };
    let snapshot = Snapshot::of(fleet, Arc::new(selection), Duration::ZERO);
    let own = HashSet::new();
    let mut random = SmallRng::seed_from_u64(1);
    let mut picked = |path| {
        let wanted = Wanted { path, ..Wanted::new(Some(Scheme::Http), 80, &own) };
        let picked = pick(&snapshot, &wanted, Duration::ZERO, &mut random);
        picked.map(|picked| picked.edge.id.0[0])
    };
    for _ in 0..20 {
        assert_eq!(picked("/vip/cam.m3u8"), Ok(1));
        assert_eq!(picked("vip/cam"), Ok(1), "as RTMP says it");
    }
    assert_eq!(picked("/none/cam"), Err(NoEdge::NoLabel));
    assert!((0..50).any(|_| picked("/live/cam") == Ok(0)));
}

#[test]
fn a_zone_without_a_measured_edge_gives_way_to_the_others() {
    let zone = |name: &str, network: &str| crate::selection::Zone {
        name: name.into(),
        networks: vec![network.parse().expect("a network")],
        ..Default::default()
    };
    let zones = [zone("eu", "192.0.2.0/24"), zone("us", "198.51.100.0/24")];
    let zones = crate::selection::Zones::new(&zones).expect("two zones");
    let in_zone = |n, viewers, name: &str| EdgeView {
        load: Load { viewers, ..Load::default() },
        labels: Labels::from([("zone".into(), name.into())]),
        ..edge(n)
    };
    let fleet = fleet(vec![in_zone(1, None, "eu"), in_zone(2, Some(0), "us")]);
    let selection = Arc::new(Selection { zones, ..Selection::default() });
    let snapshot = Snapshot::of(Arc::new(fleet), selection, Duration::ZERO);
    let own = HashSet::new();
    let client = Some(IpAddr::from([192, 0, 2, 7]));
    let wanted = Wanted { client, ..Wanted::new(None, 80, &own) };
    let mut random = SmallRng::seed_from_u64(1);
    let picked = pick(&snapshot, &wanted, Duration::ZERO, &mut random).expect("an edge");
    assert_eq!(picked.edge.id.0[0], 2);
}
