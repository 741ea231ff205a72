//! The planner under a clock of its own: what reports, redirects and time make of a table.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tidegate_proto::{
    edge::{Capacity, Endpoint, Scheme},
    heartbeat::Load,
};

use super::*;
use crate::{
    admin::sample,
    snapshot::{EdgeView, FleetView, Mode},
};

const INTERVAL: Duration = Duration::from_millis(2_500);

/// A planner, its edges, and the time.
struct Course {
    planner: Planner,
    fleet: FleetView,
    now: Duration,
}

impl Course {
    /// Edges for 1,000 viewers each, of which they have 100.
    fn new(edges: u8, selection: Selection) -> Self {
        let mut course = Self {
            planner: Planner::new(Arc::new(selection)),
            fleet: FleetView::default(),
            now: Duration::from_secs(1_000),
        };
        course.replace((0..edges).map(|n| Arc::new(edge(n, course.now))).collect());
        course
    }

    fn replace(&mut self, edges: Vec<Arc<EdgeView>>) {
        let by_id: HashMap<_, _> = edges.iter().enumerate().map(|(at, e)| (e.id, at)).collect();
        self.fleet.eligible = (0..edges.len()).collect();
        self.fleet.by_id = Arc::new(by_id);
        self.fleet.edges = edges;
    }

    fn plan(&mut self) -> Table {
        self.planner.plan(&Arc::new(self.fleet.clone()), self.now)
    }

    /// Lets time pass, with a table every 100 ms.
    fn pass(&mut self, time: Duration) -> Table {
        for _ in 0..time.as_millis() / 100 {
            self.now += Duration::from_millis(100);
            self.plan();
        }
        self.plan()
    }

    /// As picks do that use the newest table.
    fn hand_out(&mut self, place: u32, count: u32) {
        let table = self.plan();
        let cell = table.cell(place).expect("a cell");
        (0..count).for_each(|_| table.hand_out(cell));
    }

    fn change(&mut self, place: usize, change: impl FnOnce(&mut EdgeView)) {
        let mut edge = EdgeView::clone(&self.fleet.edges[place]);
        change(&mut edge);
        self.fleet.edges[place] = Arc::new(edge);
    }

    fn report(&mut self, place: usize, viewers: u32) {
        let now = self.now;
        self.change(place, |edge| {
            edge.heard = now;
            edge.load.viewers = Some(viewers);
            edge.session_reports += 1;
            edge.handed_at_report = edge.cell.handed();
        });
    }

    fn load(&mut self, place: usize) -> f32 {
        self.plan().rows[place].load
    }
}

fn edge(n: u8, heard: Duration) -> EdgeView {
    EdgeView {
        capacity: Capacity { viewers: Some(1_000), bandwidth_bps: None },
        load: Load { viewers: Some(100), ..Load::default() },
        heard,
        interval: INTERVAL,
        fresh_until: Duration::MAX,
        ..sample::edge(n, &format!("edge-{n}"))
    }
}

fn near(found: f32, wanted: f32) {
    assert!((found - wanted).abs() < 1e-4, "{found} instead of {wanted}");
}

#[test]
fn a_report_confirms_what_is_older_than_the_landing_delay() {
    let mut course = Course::new(1, Selection::default());
    course.pass(Duration::from_secs(2));
    course.hand_out(0, 100);
    course.pass(Duration::from_millis(1_800));
    course.hand_out(0, 40);
    course.pass(Duration::from_millis(400));
    near(course.load(0), 0.1 + 0.95 * 0.14);
    course.report(0, 200);
    near(course.load(0), 0.2 + 0.95 * 0.04);
    course.pass(Duration::from_millis(1_800));
    course.report(0, 240);
    near(course.load(0), 0.24);
}

#[test]
fn without_a_landing_delay_a_report_confirms_all_before_it() {
    let selection = Selection { landing_delay: Duration::ZERO, ..Selection::default() };
    let mut course = Course::new(1, selection);
    course.hand_out(0, 100);
    course.pass(Duration::from_millis(200));
    course.report(0, 195);
    course.hand_out(0, 10);
    near(course.load(0), 0.195 + 0.95 * 0.01);
}

#[test]
fn a_lost_report_confirms_nothing_and_the_next_one_everything() {
    let mut course = Course::new(1, Selection::default());
    course.hand_out(0, 50);
    course.pass(INTERVAL * 2);
    near(course.load(0), 0.1 + 0.95 * 0.05);
    course.report(0, 148);
    near(course.load(0), 0.148);
}

#[test]
fn each_redirect_stands_for_those_of_the_other_redirectors() {
    let set = Selection { redirectors: 3, ..Selection::default() };
    let told = |course: &mut Course| course.change(0, |edge| edge.redirectors = 3);
    let mut by_setting = Course::new(1, set);
    let mut by_agents = Course::new(1, Selection::default());
    told(&mut by_agents);
    for course in [&mut by_setting, &mut by_agents] {
        course.hand_out(0, 10);
        near(course.load(0), 0.1 + 3.0 * 0.95 * 0.01);
        let table = course.plan();
        course.hand_out(0, 10);
        near(table.live_load(0), 0.1 + 3.0 * 0.95 * 0.02);
        near(table.load_with_one_more(0), 0.1 + 3.0 * 0.95 * 0.02 + 0.001);
    }
}

#[test]
fn a_frozen_source_confirms_nothing_for_a_while() {
    let mut course = Course::new(1, Selection::default());
    course.pass(INTERVAL);
    course.report(0, 100);
    course.plan();
    course.hand_out(0, 100);
    for _ in 0..12 {
        course.pass(INTERVAL);
        course.report(0, 100);
        near(course.load(0), 0.1 + 0.95 * 0.1);
    }
    course.pass(INTERVAL);
    course.report(0, 100);
    near(course.load(0), 0.1);
}

#[test]
fn the_window_closes_and_a_report_opens_it() {
    let mut course = Course::new(4, Selection::default());
    let table = course.plan();
    near(table.room(0), 0.2 / 0.00095);
    course.hand_out(0, 210);
    assert!(table.window_open(0));
    course.hand_out(0, 1);
    assert!(!table.window_open(0));
    course.pass(INTERVAL);
    course.report(0, 300);
    assert!(course.plan().window_open(0));
}

#[test]
fn a_new_session_grows_to_the_full_window() {
    let mut course = Course::new(4, Selection::default());
    course.change(0, |edge| edge.session_reports = 0);
    for part in [1.0 / 16.0, 0.125, 0.25, 0.5, 1.0, 1.0] {
        course.report(0, 100);
        near(course.plan().room(0), part * 0.2 / 0.00095);
    }
}

#[test]
fn nobody_is_held_back_where_most_sessions_are_new() {
    let mut course = Course::new(4, Selection::default());
    for place in 0..2 {
        course.change(place, |edge| edge.session_reports = 1);
    }
    assert!(course.plan().room(0) < 20.0, "half of them is not most");
    course.change(2, |edge| edge.session_reports = 1);
    near(course.plan().room(0), 0.2 / 0.00095);
}

#[test]
fn the_window_widens_with_the_joins() {
    let mut course = Course::new(2, Selection::default());
    for turn in 0..50 {
        course.hand_out(0, 100);
        course.hand_out(1, 100);
        course.pass(Duration::from_millis(100));
        (0..2).for_each(|place| course.report(place, 100 + turn));
    }
    // 2,000 a second to edges for 2,000, a round takes 3.5 s: 7 times the capacity.
    let limit = course.plan().room(0) + 1_000.0;
    assert!((limit * 0.00095 - 7.0).abs() < 0.1, "{limit}");
}

fn pool(table: &Table) -> &Pool {
    table.pool(None, None, None).expect("there is one for all")
}

fn reserve(table: &Table, at: usize) -> Vec<u32> {
    pool(table).reserves().nth(at).expect("there are four").to_vec()
}

#[test]
fn a_late_edge_is_held_in_reserve() {
    let mut course = Course::new(4, Selection::default());
    course.pass(INTERVAL.mul_f64(1.0));
    (1..4).for_each(|place| course.report(place, 100));
    let table = course.pass(INTERVAL.mul_f64(0.2));
    assert_eq!(pool(&table).members(), [0, 1, 2, 3]);
    let table = course.pass(Duration::from_millis(100));
    assert_eq!((pool(&table).members(), reserve(&table, 0)), ([1, 2, 3].as_slice(), vec![0]));
}

#[test]
fn being_late_is_forgiven_where_many_are() {
    let mut course = Course::new(4, Selection::default());
    course.pass(INTERVAL);
    (2..4).for_each(|place| course.report(place, 100));
    let table = course.pass(INTERVAL / 2);
    assert_eq!(pool(&table).members(), [0, 1, 2, 3]);
}

#[test]
fn sticky_is_more_patient() {
    let mut course = Course::new(4, Selection { policy: Policy::Sticky, ..Selection::default() });
    for _ in 0..2 {
        (1..4).for_each(|place| course.report(place, 100));
        course.pass(INTERVAL);
    }
    assert_eq!(pool(&course.plan()).members(), [0, 1, 2, 3]);
    let table = course.pass(Duration::from_secs(1));
    assert_eq!(pool(&table).members(), [1, 2, 3]);
}

#[test]
fn an_unmeasured_edge_is_held_in_reserve_even_if_it_reports_its_processors() {
    let mut course = Course::new(2, Selection::default());
    course.change(0, |edge| {
        edge.load = Load { cpu_utilization: Some(0.1), ..Load::default() };
    });
    let table = course.plan();
    assert_eq!((pool(&table).members(), reserve(&table, 1)), ([1].as_slice(), vec![0]));
}

#[test]
fn stand_ins_come_last() {
    let mut course = Course::new(3, Selection::default());
    course.change(2, |edge| edge.load = Load::default());
    course.fleet.eligible = vec![0];
    course.fleet.fallback = vec![1, 2];
    let table = course.plan();
    assert_eq!(pool(&table).members(), [0]);
    assert_eq!((reserve(&table, 2), reserve(&table, 3)), (vec![1], vec![2]));
}

#[test]
fn an_edge_short_of_processors_has_a_smaller_capacity() {
    let mut course = Course::new(2, Selection::default());
    course.plan();
    let busy = Load { viewers: Some(250), cpu_utilization: Some(0.425), ..Load::default() };
    for _ in 0..100 {
        course.pass(INTERVAL);
        course.report(0, 250);
        course.change(0, |edge| edge.load = busy);
    }
    let table = course.plan();
    near(table.rows[0].load, 0.5);
    let capacity = table.rows[0].capacity_bps / table.rows[1].capacity_bps;
    assert!((capacity - 0.5).abs() < 0.01, "half of its processors carry a quarter: {capacity}");
}

#[test]
fn an_edge_that_is_full_of_something_else_keeps_a_quarter_of_its_capacity() {
    let mut course = Course::new(2, Selection::default());
    course.change(0, |edge| edge.load.memory_utilization = Some(0.95));
    let table = course.plan();
    near(table.rows[0].load, 1.0);
    near(table.rows[0].capacity_bps / table.rows[1].capacity_bps, 0.25);
}

#[test]
fn weight_multiplies_capacity() {
    let mut course = Course::new(2, Selection::default());
    course.change(0, |edge| edge.weight = 2.0);
    let table = course.plan();
    near(table.rows[0].load, 0.05);
    near(table.rows[0].step, table.rows[1].step / 2.0);
}

#[test]
fn in_panic_the_median_stands_for_everybody() {
    let mut course = Course::new(3, Selection::default());
    course.change(0, |edge| {
        edge.load.viewers = Some(900);
        edge.fresh_until = Duration::ZERO;
    });
    course.change(1, |edge| edge.load = Load::default());
    course.fleet.mode = Mode::Panic;
    course.fleet.estimates.load = Load { viewers: Some(300), ..Load::default() };
    let table = course.pass(INTERVAL * 3);
    assert_eq!(pool(&table).members(), [0, 1, 2], "neither late nor unmeasured");
    assert!((0..3).all(|place| table.is_fresh(place, i32::MAX)));
    (0..3).for_each(|place| near(table.rows[place].load, 0.3));
}

#[test]
fn what_is_known_of_an_edge_moves_with_it() {
    let mut course = Course::new(3, Selection::default());
    course.hand_out(1, 100);
    course.pass(INTERVAL);
    course.hand_out(2, 50);
    course.plan();
    let [_, second, third] = &course.fleet.edges[..] else { panic!("there are three") };
    let newcomer = Arc::new(edge(9, course.now));
    course.replace(vec![newcomer, Arc::clone(third), Arc::clone(second)]);
    course.report(2, 195);
    course.report(1, 100);
    let table = course.plan();
    near(table.rows[0].load, 0.1);
    near(table.rows[1].load, 0.1 + 0.95 * 0.05);
    near(table.rows[2].load, 0.195);
}

#[test]
fn an_edge_that_comes_back_as_another_begins_anew() {
    let mut course = Course::new(1, Selection::default());
    course.hand_out(0, 100);
    course.pass(Duration::from_millis(200));
    course.replace(vec![Arc::new(edge(0, course.now))]);
    near(course.load(0), 0.1);
}

#[test]
fn a_pick_by_a_table_of_other_places_is_confirmed_like_any_other() {
    let mut course = Course::new(2, Selection::default());
    let old = course.plan();
    let edges = course.fleet.edges.iter().cloned().chain([Arc::new(edge(2, course.now))]).collect();
    course.replace(edges);
    course.plan();
    // It was under way while the new table was made.
    let cell = old.cell(0).expect("a cell");
    (0..50).for_each(|_| old.hand_out(cell));
    course.hand_out(0, 1);
    course.pass(Duration::from_secs(3));
    course.report(0, 150);
    near(course.load(0), 0.15);
}

#[test]
fn clients_of_equal_choice_share_a_pool() {
    let mut course = Course::new(3, Selection::default());
    assert_eq!(course.plan().pools.len(), 1);
    course.change(1, |edge| {
        let port = 80.try_into().expect("not 0");
        edge.endpoints = vec![Endpoint { scheme: Scheme::Http, port }];
    });
    let table = course.plan();
    assert_eq!(table.pools.len(), 2);
    let rtmp = table.pool(None, None, Some(Scheme::Rtmp));
    assert_eq!(rtmp.expect("one").members(), [0, 2]);
    assert_eq!(pool(&table).members(), [0, 2, 1]);
}

#[test]
fn kinds_that_no_edge_has_any_more_are_forgotten_and_joins_stay_with_those_that_remain() {
    let tier = |n: usize| [("tier".to_owned(), n.to_string())].into();
    let rules = (0..16).map(|n| Rule { path: format!("/{n:x}/"), labels: tier(n) }).collect();
    let mut course = Course::new(4, Selection { rules, ..Selection::default() });
    let ports = |bits: u16| {
        Scheme::ALL
            .into_iter()
            .zip(1..)
            .filter(|(_, port)| bits >> port & 1 == 1)
            .map(|(scheme, port)| Endpoint { scheme, port: port.try_into().expect("not 0") })
            .collect()
    };
    for turn in 0..300_u16 {
        course.now += Duration::from_millis(100);
        course.change(0, |edge| {
            edge.labels = tier(usize::from(turn % 16));
            edge.endpoints = ports(2 + turn / 16 * 2);
        });
        if turn == 10 {
            // So that its kind stands behind many that will be forgotten.
            course.change(1, |edge| edge.labels = tier(7));
        }
        course.hand_out(1, 10);
        let table = course.plan();
        assert!(table.layout.kinds() <= 2 * 4 + 16, "at {turn}");
        let members = |rule| {
            let mut members = table.pool(rule, None, None).expect("one").members().to_vec();
            members.sort_unstable();
            members
        };
        if turn < 20 {
            continue;
        }
        let is_alone = turn % 16 != 7;
        assert_eq!(members(None), [0, 1, 2, 3], "at {turn}");
        assert_eq!(members(Some(7)), if is_alone { vec![1] } else { vec![0, 1] }, "at {turn}");
        // The joins of a second, 100, fill an edge of 1,000 by a quarter in the time looked ahead.
        let of_seven = table.pool(Some(7), None, None).expect("one");
        let ahead = of_seven.level() - of_seven.mean();
        assert!(!is_alone || (0.12..0.28).contains(&ahead), "{ahead} at {turn}");
    }
}

#[test]
fn a_table_is_due_when_something_was_handed_out_or_an_edge_becomes_late() {
    let mut course = Course::new(4, Selection::default());
    let table = course.plan();
    assert!(!course.planner.is_due(course.now));
    table.hand_out(table.cell(0).expect("a cell"));
    assert!(course.planner.is_due(course.now));
    course.plan();
    assert!(!course.planner.is_due(course.now));
    assert!(course.planner.is_due(course.now + INTERVAL.mul_f64(1.3)));
}

#[test]
fn openings_and_hosts_follow_the_edges_to_other_places() {
    let selection = Selection { policy: Policy::Sticky, ..Selection::default() };
    let mut course = Course::new(2, selection);
    let stream = stream_of("/live/cam").expect("a stream");
    let now = course.now;
    course.plan().affinity.expect("it is needed").note(stream, 0, now);
    let streams = tidegate_proto::stream::Streams::of_names([("live/other", 3)]);
    let streams = Some(Arc::new(streams));
    course.change(1, |edge| edge.streams.clone_from(&streams));
    let not_eligible = EdgeView { streams, eligible: false, ..edge(2, now) };
    let edges = std::iter::once(Arc::new(not_eligible)).chain(course.fleet.edges.clone());
    course.replace(edges.collect());
    let affinity = course.plan().affinity.expect("it is needed");
    assert_eq!(affinity.openings(stream, now).collect::<Vec<_>>(), [1]);
    let other = stream_of("/live/other").expect("a stream");
    let hosts: Vec<_> = affinity.hosts(other).iter().map(|host| host.place).collect();
    assert_eq!(hosts, [2], "an edge that nobody is sent to is no host");
}

#[test]
fn in_panic_what_an_edge_said_of_its_processors_plays_no_part() {
    let mut course = Course::new(2, Selection::default());
    course.change(0, |edge| edge.load.cpu_utilization = Some(0.85));
    near(course.load(0), 1.0);
    course.fleet.mode = Mode::Panic;
    course.fleet.estimates.load.viewers = Some(100);
    near(course.load(0), course.load(1));
}

#[test]
fn what_was_handed_out_before_an_edge_was_known_is_no_join_of_now() {
    let mut course = Course::new(1, Selection::default());
    (0..1_000).for_each(|_| course.fleet.edges[0].cell.hand_out());
    let table = course.pass(Duration::from_millis(300));
    assert_eq!(pool(&table).join_bps_per_s(), 0.0);
}

#[test]
fn what_most_agents_say_of_redirectors_counts() {
    let mut course = Course::new(5, Selection::default());
    for (place, redirectors) in [1, 1, 3, 3, 3].into_iter().enumerate() {
        course.change(place, |edge| edge.redirectors = redirectors);
    }
    assert_eq!(course.plan().redirectors(), 3.0);
}
