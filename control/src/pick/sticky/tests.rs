mod course;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use rand::{SeedableRng, rngs::SmallRng};
use tidegate_proto::{
    edge::{Capacity, EdgeId, Labels, Scheme},
    heartbeat::Load,
    stream::Streams,
};

use crate::{
    admin::sample,
    cell::Cell,
    pick::{Picked, Wanted, pick},
    publish::Snapshot,
    selection::{Planner, Policy, Rule, Selection},
    snapshot::{EdgeView, FleetView},
};

const CAPACITY: u32 = 1_000;
const NO_STREAMS: &[(&str, u32)] = &[];
const CARRIED: &[(&str, u32)] = &[("live/cam", 7)];

/// An edge's viewers, and the streams it reports.
type Carried<'a> = (u32, &'a [(&'a str, u32)]);

/// Edges by their number.
fn fleet(edges: &[Carried<'_>]) -> Arc<FleetView> {
    let edge = |(n, (viewers, streams)): (u8, &Carried<'_>)| {
        Arc::new(EdgeView {
            capacity: Capacity { viewers: Some(CAPACITY), bandwidth_bps: None },
            load: Load { viewers: Some(*viewers), ..Load::default() },
            streams: Some(Arc::new(Streams::of_names(streams.iter().copied()))),
            fresh_until: Duration::MAX,
            cell: Arc::new(Cell::default()),
            ..sample::edge(n, &format!("edge-{n}"))
        })
    };
    let edges: Vec<_> = (0..).zip(edges).map(edge).collect();
    Arc::new(FleetView {
        by_id: Arc::new(edges.iter().enumerate().map(|(at, edge)| (edge.id, at)).collect()),
        eligible: (0..edges.len()).collect(),
        edges,
        ..FleetView::default()
    })
}

/// The same reports at another redirector: nothing it handed out is known here.
fn elsewhere(fleet: &FleetView) -> Arc<FleetView> {
    let edge = |edge: &Arc<EdgeView>| {
        Arc::new(EdgeView { cell: Arc::new(Cell::default()), ..edge.as_ref().clone() })
    };
    Arc::new(FleetView { edges: fleet.edges.iter().map(edge).collect(), ..fleet.clone() })
}

fn selection(change: impl FnOnce(&mut Selection)) -> Arc<Selection> {
    let mut selection =
        Selection { policy: Policy::Sticky, slow_start_reports: 0, ..Selection::default() };
    change(&mut selection);
    Arc::new(selection)
}

/// A redirector under a clock and dice of its own.
struct Redirector {
    planner: Planner,
    snapshot: Snapshot,
    now: Duration,
    random: SmallRng,
}

impl Redirector {
    fn new(fleet: &Arc<FleetView>, selection: Arc<Selection>) -> Self {
        let mut planner = Planner::new(selection);
        let now = Duration::from_secs(100);
        let table = Arc::new(planner.plan(fleet, now));
        let snapshot = Snapshot { fleet: Arc::clone(fleet), table };
        Self { planner, snapshot, now, random: SmallRng::seed_from_u64(7) }
    }

    fn plan(&mut self, fleet: &Arc<FleetView>) {
        let table = Arc::new(self.planner.plan(fleet, self.now));
        self.snapshot = Snapshot { fleet: Arc::clone(fleet), table };
    }

    fn send(&mut self, path: &str) -> u8 {
        self.send_without(path, &[])
    }

    fn send_without(&mut self, path: &str, tried: &[EdgeId]) -> u8 {
        let own = HashSet::new();
        let wanted = Wanted { path, tried, ..Wanted::new(Some(Scheme::Http), 80, &own) };
        number(&pick(&self.snapshot, &wanted, self.now, &mut self.random).expect("there is one"))
    }
}

fn number(picked: &Picked) -> u8 {
    picked.edge.id.0[0]
}

#[test]
fn a_client_is_sent_to_an_edge_that_carries_its_stream() {
    let fleet = fleet(&[(0, &[]), (200, &[("live/cam", 200)]), (100, &[("live/b", 9)])]);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    for path in ["/live/cam/playlist.m3u8", "live/cam", "/live/cam.m3u8?x=1"] {
        assert_eq!(here.send(path), 1, "{path}");
    }
    assert_eq!(here.send("/live/b/manifest.mpd"), 2);
}

#[test]
fn a_host_far_above_the_mean_is_left_for_a_new_one() {
    let fleet = fleet(&[(300, &[]), (500, &[("live/cam", 200)]), (300, &[]), (300, &[])]);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    let new = here.send("/live/cam/playlist.m3u8");
    assert_ne!(new, 1, "the mean is 35 %, the host is at 50 %");
    assert_eq!(here.send("/live/cam/playlist.m3u8"), new, "the new one is a host now");
}

#[test]
fn a_stream_nobody_carries_is_opened_once_in_a_burst_between_two_tables() {
    let edges = vec![(10, NO_STREAMS); 50];
    let fleet = fleet(&edges);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    for stream in 0..20 {
        let path = format!("/live/{stream}/playlist.m3u8");
        let hosts: HashSet<_> = (0..20).map(|_| here.send(&path)).collect();
        assert_eq!(hosts.len(), 1, "{path}: {hosts:?}");
    }
    let first: Vec<_> = (0..20).map(|n| here.send(&format!("live/{n}"))).collect();
    here.now += Duration::from_secs(5);
    here.plan(&fleet);
    let later: Vec<_> = (0..20).map(|n| here.send(&format!("live/{n}"))).collect();
    assert_eq!(first, later, "openings outlive their table");
}

#[test]
fn redirectors_with_the_same_reports_open_the_same_hosts() {
    let loads: Vec<_> = (0..60u32).map(|n| (300 + n * 37 % 60, NO_STREAMS)).collect();
    let fleet = fleet(&loads);
    let mut hosts = HashSet::new();
    for path in (0..200).map(|n| format!("/live/{n}/index.m3u8")) {
        let mut here = Redirector::new(&elsewhere(&fleet), selection(|_| {}));
        let mut there = Redirector::new(&elsewhere(&fleet), selection(|_| {}));
        there.random = SmallRng::seed_from_u64(8);
        let opened = here.send(&path);
        assert_eq!(opened, there.send(&path), "{path}");
        hosts.insert(opened);
    }
    assert!(hosts.len() > 20, "hosts are spread over the fleet: {hosts:?}");
}

#[test]
fn redirectors_open_mostly_the_same_hosts_whatever_else_each_sent_before() {
    let loads: Vec<_> = (0..60u32).map(|n| (300 + n * 37 % 60, NO_STREAMS)).collect();
    let fleet = fleet(&loads);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    let mut there = Redirector::new(&elsewhere(&fleet), selection(|_| {}));
    let paths: Vec<_> = (0..200).map(|n| format!("/live/{n}/index.m3u8")).collect();
    let ours: Vec<_> = paths.iter().map(|path| here.send(path)).collect();
    let theirs: Vec<_> = paths.iter().rev().map(|path| there.send(path)).collect();
    let same = ours.iter().zip(theirs.iter().rev()).filter(|(a, b)| a == b).count();
    assert!(same >= 150, "only {same} of 200 the same");
}

#[test]
fn a_drained_host_is_never_chosen_nor_one_that_failed_the_client() {
    let carries: &[(&str, u32)] = &[("live/cam", 50)];
    let fleet = fleet(&[(50, carries), (50, carries), (50, &[]), (50, &[])]);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    let tried = [fleet.edges[0].id];
    assert!((0..50).all(|_| here.send_without("live/cam", &tried) == 1));
    fleet.edges[1].cell.set_drained(true);
    assert!((0..50).all(|_| here.send("live/cam") == 0));
    fleet.edges[0].cell.set_drained(true);
    let new = here.send("live/cam");
    assert!(new >= 2);
    fleet.edges[usize::from(new)].cell.set_drained(true);
    let last = here.send("live/cam");
    assert!(last >= 2 && last != new);
}

#[test]
fn a_silent_host_is_not_chosen() {
    let mut edges = fleet(&[(50, &[("live/cam", 50)]), (50, &[])]).as_ref().clone();
    let silent =
        EdgeView { fresh_until: Duration::from_secs(100), ..edges.edges[0].as_ref().clone() };
    edges.edges[0] = Arc::new(silent);
    let fleet = Arc::new(edges);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    assert_eq!(here.send("live/cam"), 0);
    here.now += Duration::from_millis(10);
    assert_eq!(here.send("live/cam"), 1);
}

#[test]
fn without_a_stream_the_fleet_is_filled() {
    let fleet = fleet(&[(400, &[("live/cam", 400)]), (100, &[]), (100, &[])]);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    for path in ["", "/", "live"] {
        assert!((0..50).all(|_| here.send(path) != 0), "{path}");
    }
}

#[test]
fn openings_and_hosts_follow_edges_to_other_places() {
    let small = fleet(&[(0, &[]), (0, &[]), (0, &[("live/b", 1)])]);
    let mut here = Redirector::new(&small, selection(|_| {}));
    let opened = here.send("live/cam");
    let mut edges: Vec<_> = small.edges.clone();
    edges.insert(
        0,
        Arc::new(EdgeView {
            cell: Arc::default(),
            fresh_until: Duration::MAX,
            ..sample::edge(9, "edge-9")
        }),
    );
    let large = Arc::new(FleetView {
        by_id: Arc::new(edges.iter().enumerate().map(|(at, edge)| (edge.id, at)).collect()),
        eligible: (0..edges.len()).collect(),
        edges,
        ..FleetView::default()
    });
    here.plan(&large);
    assert!((0..20).all(|_| here.send("live/cam") == opened));
    assert_eq!(here.send("live/b"), 2);
}

#[test]
fn a_new_report_of_streams_is_known_by_the_next_table() {
    let before = fleet(&[(100, &[]), (100, &[])]);
    let mut here = Redirector::new(&before, selection(|_| {}));
    for host in [1usize, 0] {
        let mut after = before.as_ref().clone();
        let streams = Some(Arc::new(Streams::of_names([("live/cam", 3)])));
        let carrier = EdgeView { streams, ..after.edges[host].as_ref().clone() };
        after.edges[host] = Arc::new(carrier);
        here.now += Duration::from_secs(60);
        here.plan(&Arc::new(after));
        assert_eq!(usize::from(here.send("live/cam")), host);
    }
}

#[test]
fn an_edge_that_is_far_below_the_mean_gets_popular_streams_though_they_have_hosts() {
    let carries: &[(&str, u32)] = &[("live/cam", 500)];
    let fleet = fleet(&[(500, carries), (500, carries), (500, carries), (0, &[])]);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    let mut to_cold = 0;
    for _ in 0..100 {
        here.now += Duration::from_millis(100);
        here.plan(&fleet);
        to_cold += usize::from((0..5).any(|_| here.send("live/cam") == 3));
    }
    assert!(to_cold > 0, "a cold edge was left alone");
}

#[test]
fn a_stream_on_one_host_stays_there_and_one_on_two_fills_a_cold_edge() {
    let to_cold = |hosts: usize| {
        let carries: &[(&str, u32)] = &[("live/cam", 400)];
        let others = (hosts..4).map(|_| (900, NO_STREAMS));
        let mut edges: Vec<_> = (0..hosts).map(|_| (400, carries)).chain(others).collect();
        edges.push((0, NO_STREAMS));
        let fleet = fleet(&edges);
        let mut here = Redirector::new(&fleet, selection(|_| {}));
        let mut sent = HashSet::new();
        for _ in 0..100 {
            here.now += Duration::from_millis(100);
            here.plan(&fleet);
            sent.insert(usize::from(here.send("live/cam")));
        }
        assert!(sent.iter().all(|edge| *edge < hosts || *edge == 4), "{sent:?}");
        sent.contains(&4)
    };
    assert_eq!([1, 2, 3].map(to_cold), [false, true, true]);
}

#[test]
fn a_host_without_the_labels_demanded_is_none() {
    let mut edges = fleet(&[(0, &[("vip/cam", 9)]), (0, &[]), (0, &[])]).as_ref().clone();
    let labels: Labels = [("tier".to_owned(), "vip".to_owned())].into();
    edges.edges[1] =
        Arc::new(EdgeView { labels: labels.clone(), ..edges.edges[1].as_ref().clone() });
    let rule = Rule { path: "/vip/".into(), labels };
    let mut here = Redirector::new(&Arc::new(edges), selection(|s| s.rules.push(rule)));
    assert!((0..20).all(|_| here.send("/vip/cam/playlist.m3u8") == 1));
}

#[test]
fn a_host_with_a_closed_window_is_left_for_a_new_one() {
    let fleet = fleet(&[(0, &[("live/cam", 1)]), (0, &[]), (0, &[])]);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    let sent: Vec<_> = (0..300).map(|_| here.send("live/cam")).collect();
    let first = sent.iter().take_while(|edge| **edge == 0).count();
    assert!((240..290).contains(&first), "a quarter of 1,000 unconfirmed, not {first}");
    assert!(sent[first..].iter().all(|edge| *edge == sent[first]), "and one new host takes over");
}

#[test]
fn a_stream_on_every_edge_finds_room_on_one_of_them() {
    let carries: &[(&str, u32)] = &[("live/cam", 100)];
    let edges: Vec<_> = (0..200).map(|n| (if n < 150 { 600 } else { 100 }, carries)).collect();
    let fleet = fleet(&edges);
    let mut here = Redirector::new(&fleet, selection(|_| {}));
    assert!((0..100).all(|_| here.send("live/cam") >= 150), "the mean is 47 %");
}

fn counted(here: &mut Redirector, path: &str, clients: usize) -> HashMap<u8, usize> {
    let mut counts = HashMap::new();
    for client in 0..clients {
        if client % 10 == 0 {
            here.now += Duration::from_millis(10);
            let fleet = Arc::clone(&here.snapshot.fleet);
            here.plan(&fleet);
        }
        *counts.entry(here.send(path)).or_default() += 1;
    }
    counts
}

#[test]
fn a_share_that_nobody_can_keep_to_gives_way_to_the_viewer() {
    let fleet = fleet(&[(0, &[]), (0, &[])]);
    let limited = selection(|selection| {
        (selection.stream_share_max, selection.stream_share_from) = (0.2, 10);
    });
    let mut here = Redirector::new(&fleet, limited);
    let counts = counted(&mut here, "live/cam", 200);
    assert_eq!(counts.values().sum::<usize>(), 200);
}

#[test]
fn reported_viewers_count_for_the_share() {
    let fleet = fleet(&[(90, &[("live/cam", 90)]), (90, &[("live/cam", 10)]), (90, &[])]);
    let limited = selection(|selection| selection.stream_share_max = 0.5);
    let mut here = Redirector::new(&fleet, limited);
    assert!((0..50).all(|_| here.send("live/cam") != 0), "it has nine tenths of the stream");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn who_is_drained_or_has_failed_is_never_chosen_and_a_client_is_lost_only_without_any(
        hosts in prop::collection::vec((0..1_200u32, any::<bool>(), any::<bool>()), 1..20),
        failed in prop::collection::vec(0..20usize, 0..4),
        share in prop_oneof![Just(1.0), Just(0.3)],
        seed in any::<u64>(),
    ) {
        let loads: Vec<Carried<'_>> = hosts
            .iter()
            .map(|(viewers, carries, _)| (*viewers, if *carries { CARRIED } else { NO_STREAMS }))
            .collect();
        let fleet = fleet(&loads);
        let limited = selection(|selection| {
            (selection.stream_share_max, selection.stream_share_from) = (share, 5);
        });
        let mut here = Redirector::new(&fleet, limited);
        here.random = SmallRng::seed_from_u64(seed);
        let failed: Vec<_> =
            failed.iter().filter_map(|at| fleet.edges.get(*at)).map(|edge| edge.id).collect();
        for (edge, (_, _, drained)) in fleet.edges.iter().zip(&hosts) {
            edge.cell.set_drained(*drained);
        }
        let serves = |edge: &EdgeView| !edge.cell.is_drained() && !failed.contains(&edge.id);
        let own = HashSet::new();
        for path in ["live/cam", "live/new", ""] {
            let wanted =
                Wanted { path, tried: &failed, ..Wanted::new(Some(Scheme::Http), 80, &own) };
            for _ in 0..20 {
                let picked = pick(&here.snapshot, &wanted, here.now, &mut here.random);
                prop_assert_eq!(picked.is_ok(), fleet.edges.iter().any(|edge| serves(edge)));
                prop_assert!(picked.is_err() || picked.is_ok_and(|picked| serves(&picked.edge)));
            }
        }
    }

    #[test]
    fn no_edge_gets_more_than_its_share_of_a_stream(
        policy in prop::sample::select(Policy::ALL.to_vec()),
        share in 0.15..0.9f64,
        edges in 8..30usize,
        clients in 100..600usize,
        seed in any::<u64>(),
    ) {
        let loads: Vec<_> =
            (0..edges as u32).map(|n| (n * 13 % 300, NO_STREAMS)).collect();
        let limited = selection(|selection| {
            selection.policy = policy;
            (selection.stream_share_max, selection.stream_share_from) = (share, 20);
        });
        let mut here = Redirector::new(&fleet(&loads), limited);
        here.random = SmallRng::seed_from_u64(seed);
        let counts = counted(&mut here, "/live/cam/playlist.m3u8", clients);
        let most = counts.values().max().copied().unwrap_or(0);
        prop_assert!(most as f64 <= (share * clients as f64).max(20.0) + 1.0, "{counts:?}");
    }
}
