//! Fleets that nobody would build, through everything that can happen to them.

use proptest::prelude::*;
use tidegate_proto::stream::Streams;

use super::*;
use crate::selection::Planner;

const PATH: &str = "/live/cam/playlist.m3u8";

#[derive(Debug, Clone)]
enum Event {
    Joins(u8, u8, Odd),
    Leaves(u8),
    Drains(u8, bool),
    Pauses(u8, bool),
    Reports(u8, Odd),
    Passes(u64),
    Panics(bool),
    Picks(u16),
}

/// An edge's figures, between nothing and what the types hold.
#[derive(Debug, Clone, Copy)]
struct Odd {
    viewers: Option<u32>,
    bps: Option<u64>,
    cpu: Option<f64>,
    capacity: Capacity,
    weight: f64,
    interval_ms: u64,
    reports: u32,
    redirectors: u32,
    viewer_bps: Option<f64>,
}

fn any_odd() -> impl Strategy<Value = Odd> {
    let viewers = || {
        prop_oneof![Just(None), prop::sample::select(vec![0, 1, 4_000, u32::MAX]).prop_map(Some)]
    };
    let bps = || {
        let bps = vec![0, 1, 10_000_000_000, 100_000_000_000_000, u64::MAX];
        prop_oneof![Just(None), prop::sample::select(bps).prop_map(Some)]
    };
    let shares = prop::sample::select(vec![None, Some(0.0), Some(0.85), Some(1.0)]);
    let weight = prop::sample::select(vec![0.01, 1.0, 100.0]);
    let interval_ms = prop::sample::select(vec![100, 2_500, 60_000]);
    let viewer_bps =
        prop::sample::select(vec![None, Some(0.0), Some(1.0), Some(4e6), Some(1.8e19)]);
    let rest = (weight, interval_ms, 0..9u32, 0..99u32, viewer_bps);
    (viewers(), bps(), shares, viewers(), bps(), rest).prop_map(|figures| {
        let (viewers, bps, cpu, viewers_max, bps_max, rest) = figures;
        let (weight, interval_ms, reports, redirectors, viewer_bps) = rest;
        let capacity = Capacity { viewers: viewers_max, bandwidth_bps: bps_max };
        Odd { viewers, bps, cpu, capacity, weight, interval_ms, reports, redirectors, viewer_bps }
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let n = || 0..6u8;
    prop_oneof![
        (n(), any::<u8>(), any_odd()).prop_map(|(n, name, odd)| Event::Joins(n, name, odd)),
        n().prop_map(Event::Leaves),
        (n(), any::<bool>()).prop_map(|(n, drained)| Event::Drains(n, drained)),
        (n(), any::<bool>()).prop_map(|(n, paused)| Event::Pauses(n, paused)),
        (n(), any_odd()).prop_map(|(n, odd)| Event::Reports(n, odd)),
        prop::sample::select(vec![1, 100, 2_000, 40_000]).prop_map(Event::Passes),
        any::<bool>().prop_map(Event::Panics),
        (1..200u16).prop_map(Event::Picks),
    ]
}

struct World {
    planner: Planner,
    fleet: FleetView,
    /// The last tables, some of other places, as picks may still hold them.
    snapshots: Vec<Snapshot>,
    now: Duration,
}

impl World {
    fn edge(&mut self, n: u8, change: impl FnOnce(&mut EdgeView)) {
        let edges = &mut self.fleet.edges;
        if let Some(edge) = edges.iter_mut().find(|edge| edge.id.0[0] == n) {
            change(Arc::make_mut(edge));
        }
    }

    fn happen(&mut self, event: &Event) {
        let now = self.now;
        match *event {
            Event::Joins(n, name, odd) => {
                let mut new = EdgeView {
                    name: format!("edge-{name}").parse().expect("a name"),
                    cell: Arc::default(),
                    ..edge(n)
                };
                let old = self.fleet.edges.iter().find(|edge| edge.id.0[0] == n);
                new.cell = old.map_or(new.cell, |old| Arc::clone(&old.cell));
                odd.tell(&mut new, now);
                self.fleet.edges.retain(|edge| edge.id.0[0] != n);
                self.fleet.edges.push(Arc::new(new));
            }
            Event::Leaves(n) => self.fleet.edges.retain(|edge| edge.id.0[0] != n),
            Event::Drains(n, drained) => self.edge(n, |edge| edge.cell.set_drained(drained)),
            Event::Pauses(n, paused) => self.edge(n, |edge| edge.cell.set_paused(paused)),
            Event::Reports(n, odd) => {
                self.fleet.estimates.viewer_bps = odd.viewer_bps;
                self.edge(n, |edge| odd.tell(edge, now));
            }
            Event::Passes(ms) => self.now += Duration::from_millis(ms),
            Event::Panics(panics) => {
                self.fleet.mode = if panics { Mode::Panic } else { Mode::Normal };
            }
            Event::Picks(_) => {}
        }
    }

    fn publish(&mut self) {
        self.fleet.edges.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let fleet = &mut self.fleet;
        let by_id = fleet.edges.iter().enumerate().map(|(at, edge)| (edge.id, at)).collect();
        fleet.by_id = Arc::new(by_id);
        let willing = |place: &usize| {
            let cell = &fleet.edges[*place].cell;
            !cell.is_drained() && !cell.is_paused()
        };
        fleet.eligible = (0..fleet.edges.len()).filter(willing).collect();
        let fleet = Arc::new(self.fleet.clone());
        let table = Arc::new(self.planner.plan(&fleet, self.now));
        self.snapshots.push(Snapshot { fleet, table });
        if self.snapshots.len() > 3 {
            self.snapshots.remove(0);
        }
    }
}

impl Odd {
    fn tell(self, edge: &mut EdgeView, now: Duration) {
        edge.load = Load {
            viewers: self.viewers,
            bandwidth_out_bps: self.bps,
            cpu_utilization: self.cpu,
            ..Load::default()
        };
        edge.capacity = self.capacity;
        edge.weight = self.weight;
        edge.interval = Duration::from_millis(self.interval_ms);
        edge.session_reports = self.reports;
        edge.redirectors = self.redirectors;
        edge.streams = self
            .viewers
            .map(|viewers| Arc::new(Streams::of_names([(PATH, viewers), ("live/other", 1)])));
        edge.heard = now;
        edge.fresh_until = now + edge.interval * 3;
        edge.handed_at_report = edge.cell.handed();
    }
}

fn serves(snapshot: &Snapshot, edge: &EdgeView, now: Duration) -> bool {
    let fresh = snapshot.fleet.mode == Mode::Panic || now <= edge.fresh_until;
    fresh && !edge.cell.is_drained() && !edge.cell.is_paused()
}

proptest! {
    #[test]
    fn whatever_happens_who_can_serve_is_found_and_nobody_else(
        policy in prop::sample::select(Policy::ALL.to_vec()),
        stream_share_max in prop::sample::select(vec![0.01, 0.3, 1.0]),
        landing_delay in prop::sample::select(vec![0, 1, 30]).prop_map(Duration::from_secs),
        slow_start_reports in prop::sample::select(vec![0, 4, 16]),
        events in prop::collection::vec(any_event(), 1..60),
        seed in any::<u64>(),
    ) {
        let selection = Selection {
            policy, stream_share_max, stream_share_from: 0, landing_delay, slow_start_reports,
            ..Selection::default()
        };
        let mut world = World {
            planner: Planner::new(Arc::new(selection)),
            fleet: FleetView::default(),
            snapshots: Vec::new(),
            now: Duration::from_secs(1_000),
        };
        let own = HashSet::new();
        let mut random = SmallRng::seed_from_u64(seed);
        for event in &events {
            world.happen(event);
            if !matches!(event, Event::Drains(..) | Event::Pauses(..)) {
                world.publish();
            }
            let Event::Picks(count) = *event else { continue };
            let wanted = Wanted { path: PATH, ..Wanted::new(Some(Scheme::Http), 80, &own) };
            let now = world.now;
            for turn in 0..usize::from(count) {
                let snapshot = &world.snapshots[turn % world.snapshots.len()];
                let eligible = &snapshot.fleet.eligible;
                let mut edges = eligible.iter().map(|place| &snapshot.fleet.edges[*place]);
                match pick(snapshot, &wanted, now, &mut random) {
                    Ok(picked) => {
                        prop_assert!(serves(snapshot, &picked.edge, now), "{:?}", picked.edge);
                        prop_assert!(picked.load.is_finite() && picked.load >= 0.0);
                        for other in alternates(snapshot, &wanted, now, &picked, 3) {
                            prop_assert!(serves(snapshot, &other.edge, now));
                            prop_assert!(other.edge.id != picked.edge.id);
                        }
                    }
                    Err(_) => prop_assert!(!edges.any(|edge| serves(snapshot, edge, now))),
                }
            }
            let snapshot = world.snapshots.last().expect("one was made");
            let explained = explain(snapshot, &wanted, now);
            let sum: f64 = explained.edges.iter().map(|edge| edge.chance).sum();
            let wanted_sum = if explained.no_edge.is_some() { 0.0 } else { 1.0 };
            prop_assert!((sum - wanted_sum).abs() < 1e-3, "{sum} {explained:?}");
            for place in 0..snapshot.fleet.edges.len() {
                let row = snapshot.table.row(place).expect("each edge has a row");
                let figures =
                    [row.load, row.step, row.room, row.capacity_bps, row.score, row.score_step];
                prop_assert!(figures.iter().all(|figure| figure.is_finite()), "{row:?}");
                prop_assert!(row.step > 0.0 && row.load >= 0.0, "{row:?}");
            }
        }
    }
}
