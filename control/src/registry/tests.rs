use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use tidegate_proto::heartbeat::{Load, Status, Trouble};

use super::*;
use crate::{
    order::{Order, Principal, Refused, Request, Verb},
    snapshot::{AdminState, EdgeView, Mode},
    store::Seen,
};

/// A registry under a clock of its own.
struct World {
    registry: Registry,
    now: Now,
    session: u8,
    sequence: u64,
}

impl World {
    fn new() -> Self {
        Self::remembering(&Memory::default())
    }

    fn remembering(memory: &Memory) -> Self {
        let now = Now { monotonic: Duration::from_secs(1_000), unix_ms: 1_700_000_000_000 };
        let registry = Registry::restore(Patience::default(), memory, now);
        Self { registry, now, session: 1, sequence: 0 }
    }

    fn report(&mut self, n: u8) -> Report {
        self.sequence += 1;
        Report {
            edge: id(n),
            session: SessionId([self.session; 16]),
            sequence: self.sequence,
            goodbye: false,
            heartbeat: Heartbeat {
                name: format!("edge-{n}").parse().ok(),
                load: Load { viewers: Some(5), ..Load::default() },
                ..Heartbeat::default()
            },
            source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)),
        }
    }

    fn hear_with(&mut self, n: u8, change: impl FnOnce(&mut Report)) {
        let mut report = self.report(n);
        change(&mut report);
        self.registry.hear(&report, self.now);
    }

    fn hear(&mut self, n: u8) {
        self.hear_with(n, |_| {});
    }

    /// Lets time pass while the given edges send heartbeats.
    fn pass(&mut self, time: Duration, heard: &[u8]) {
        let step = Duration::from_millis(250);
        for tick in 0..time.as_millis() / step.as_millis() {
            self.now.monotonic += step;
            self.now.unix_ms += step.as_millis() as u64;
            if tick % 10 == 0 {
                heard.iter().for_each(|n| self.hear(*n));
            }
            self.registry.tick(self.now);
        }
    }

    fn up(&mut self, edges: &[u8]) {
        for n in edges {
            self.hear(*n);
            self.hear(*n);
        }
    }

    fn view(&mut self, n: u8) -> Arc<EdgeView> {
        let fleet = self.registry.view(self.now);
        Arc::clone(fleet.get(id(n)).expect("the edge is known"))
    }

    fn liveness(&mut self, n: u8) -> Liveness {
        self.view(n).liveness
    }

    fn order(&mut self, verb: Verb, edge: &str) -> Result<Plan, Refused> {
        let plan = self.registry.plan(&request(verb, edge), self.now)?;
        self.registry.apply(&plan);
        Ok(plan)
    }
}

fn id(n: u8) -> EdgeId {
    EdgeId([n; 16])
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn request(verb: Verb, edge: &str) -> Request {
    Request {
        verb,
        edge: edge.into(),
        reason: "test".into(),
        request_id: String::new(),
        etag: String::new(),
        principal: Principal::default(),
    }
}

#[test]
fn two_heartbeats_make_an_edge_up() {
    let mut world = World::new();
    world.hear(1);
    assert_eq!(world.liveness(1), Liveness::New);
    assert!(!world.view(1).eligible);
    world.hear(1);
    assert_eq!(world.liveness(1), Liveness::Up);
    assert!(world.view(1).eligible);
}

#[test]
fn silence_makes_an_edge_suspect_then_down_then_forgotten() {
    let mut world = World::new();
    world.up(&[1]);
    world.pass(secs(8), &[]);
    assert_eq!(world.liveness(1), Liveness::Up);
    world.pass(Duration::from_millis(500), &[]);
    assert_eq!(world.liveness(1), Liveness::Suspect);
    world.pass(secs(21), &[]);
    assert_eq!(world.liveness(1), Liveness::Suspect);
    world.pass(secs(2), &[]);
    assert_eq!(world.liveness(1), Liveness::Down);
    world.now.monotonic += secs(24 * 3600);
    assert_eq!(world.registry.tick(world.now), [id(1)]);
    assert!(world.registry.is_empty());
}

#[test]
fn an_edge_with_an_order_is_never_forgotten() {
    let mut world = World::new();
    world.up(&[1]);
    world.order(Verb::Drain, "edge-1").expect("it is known");
    world.pass(secs(40), &[]);
    world.now.monotonic += secs(48 * 3600);
    assert!(world.registry.tick(world.now).is_empty());
    assert_eq!(world.view(1).admin_state, AdminState::Draining);
}

#[test]
fn an_edge_is_not_forgotten_while_its_drain_is_on_its_way_to_the_store() {
    let mut world = World::new();
    world.up(&[1]);
    world.pass(secs(40), &[]);
    let drain = request(Verb::Drain, "edge-1");
    let plan = world.registry.plan(&drain, world.now).expect("it is known");
    world.registry.block(plan.edge());
    world.now.monotonic += secs(48 * 3600);
    assert!(world.registry.tick(world.now).is_empty());
    world.registry.apply(&plan);
    assert_eq!(world.view(1).admin_state, AdminState::Draining);
}

#[test]
fn a_goodbye_takes_an_edge_out_and_late_heartbeats_of_its_session_do_not_bring_it_back() {
    let mut world = World::new();
    world.up(&[1]);
    world.hear_with(1, |report| report.goodbye = true);
    world.hear(1);
    assert_eq!(world.liveness(1), Liveness::Gone);
    world.session = 2;
    world.up(&[1]);
    assert_eq!(world.liveness(1), Liveness::Up);
}

#[test]
fn the_edges_own_word_keeps_viewers_away() {
    let mut world = World::new();
    world.up(&[1, 2]);
    world.hear_with(1, |report| report.heartbeat.status = Status::Paused);
    let trouble = Trouble { code: "source_missing".into(), text: "no file".into() };
    world.hear_with(2, |report| report.heartbeat.trouble = Some(trouble));
    let (paused, doubtful) = (world.view(1), world.view(2));
    assert!(paused.paused && !paused.eligible && paused.liveness == Liveness::Up);
    assert!(!doubtful.eligible && doubtful.liveness == Liveness::Suspect);
    assert_eq!(doubtful.reason.as_ref().map(|r| r.code.as_str()), Some("source_missing"));
    world.up(&[1, 2]);
    assert!(world.view(1).eligible && world.view(2).eligible);
}

#[test]
fn intent_and_health_do_not_touch_each_other() {
    let mut world = World::new();
    world.up(&[1]);
    world.order(Verb::Drain, "edge-1").expect("it is known");
    world.session = 2;
    world.up(&[1]);
    let view = world.view(1);
    assert_eq!((view.admin_state, view.liveness), (AdminState::Draining, Liveness::Up));
    assert!(!view.eligible);
    let etag = view.etag();
    world.pass(secs(60), &[]);
    assert_eq!(world.view(1).etag(), etag, "only orders change the etag");
    world.order(Verb::Undrain, "edge-1").expect("it is known");
    assert_eq!(world.liveness(1), Liveness::Down, "an order does not change health");
    assert_ne!(world.view(1).etag(), etag);
}

#[test]
fn drained_takes_two_empty_reports_after_the_order() {
    let mut world = World::new();
    let viewers = |n| move |report: &mut Report| report.heartbeat.load.viewers = n;
    (0..3).for_each(|_| world.hear_with(1, viewers(Some(0))));
    world.order(Verb::Drain, "edge-1").expect("it is known");
    assert_eq!(world.view(1).admin_state, AdminState::Draining);
    world.hear_with(1, viewers(None));
    world.hear_with(1, viewers(Some(0)));
    assert_eq!(world.view(1).admin_state, AdminState::Draining);
    world.hear_with(1, viewers(Some(0)));
    assert_eq!(world.view(1).admin_state, AdminState::Drained);
    world.hear_with(1, viewers(Some(1)));
    assert_eq!(world.view(1).admin_state, AdminState::Draining);
}

#[test]
fn orders_answer_for_their_arguments() {
    let mut world = World::new();
    world.up(&[1]);
    let refused = |world: &mut World, request: &Request| {
        world.registry.plan(request, world.now).expect_err("to be refused")
    };
    let unknown = request(Verb::Drain, "edge-9");
    assert!(matches!(refused(&mut world, &unknown), Refused::UnknownEdge(_)));
    let stale = Request { etag: "77".into(), ..request(Verb::Drain, "edge-1") };
    assert!(matches!(refused(&mut world, &stale), Refused::StaleEtag { .. }));
    let live = request(Verb::Forget, "edge-1");
    assert!(matches!(refused(&mut world, &live), Refused::NotForgettable(_)));

    let by_uuid = world.order(Verb::Drain, &id(1).to_string()).expect("a UUID names it too");
    assert!(matches!(by_uuid, Plan::Set(_)));
    assert_eq!(world.order(Verb::Drain, "EDGE-1"), Ok(Plan::Holds(id(1))));
    world.pass(secs(40), &[]);
    let drained = request(Verb::Forget, "edge-1");
    assert!(matches!(refused(&mut world, &drained), Refused::NotForgettable(_)));
    world.order(Verb::Undrain, "edge-1").expect("it is known");
    assert_eq!(world.order(Verb::Forget, "edge-1"), Ok(Plan::Forget(id(1))));
    assert!(world.registry.is_empty());
}

#[test]
fn of_two_live_edges_with_one_name_the_newer_gets_no_viewers() {
    let mut world = World::new();
    let clone = |report: &mut Report| report.heartbeat.name = "edge-1".parse().ok();
    world.up(&[1]);
    world.now.unix_ms += 1;
    world.hear_with(2, clone);
    world.hear_with(2, clone);
    let newer = world.view(2);
    assert!(!newer.eligible && world.view(1).eligible);
    assert_eq!(newer.reason.as_ref().map(|r| r.code.as_str()), Some("duplicate_name"));
    let said = world.order(Verb::Drain, "edge-1").expect_err("ambiguous").to_string();
    assert!(said.contains(&id(1).to_string()) && said.contains(&id(2).to_string()), "{said}");
    world.hear_with(1, |report| report.goodbye = true);
    assert!(world.view(2).eligible, "the name is free again");
}

#[test]
fn a_new_uuid_inherits_the_order_of_a_dead_one_by_name_and_only_once() {
    let mut world = World::new();
    let rebuilt = |report: &mut Report| report.heartbeat.name = "edge-1".parse().ok();
    world.up(&[1]);
    world.order(Verb::Drain, "edge-1").expect("it is known");
    world.hear_with(1, |report| report.goodbye = true);
    world.hear_with(2, rebuilt);
    world.hear_with(2, rebuilt);
    assert_eq!(world.view(2).admin_state, AdminState::Draining);
    assert!(world.view(2).cell.is_drained());
    let inherited = world.registry.take_inherited();
    assert_eq!(inherited.iter().map(|row| row.id).collect::<Vec<_>>(), [id(2)]);

    world.order(Verb::Undrain, &id(2).to_string()).expect("it is known");
    world.hear_with(2, rebuilt);
    world.pass(secs(3), &[]);
    assert_eq!(world.view(2).admin_state, AdminState::Active);
    assert_eq!(world.view(1).admin_state, AdminState::Draining, "its own drain is not lost");
}

#[test]
fn an_order_inherited_while_an_older_one_was_being_stored_stands() {
    let mut world = World::new();
    world.up(&[1, 2]);
    world.order(Verb::Drain, "edge-1").expect("it is known");
    world.hear_with(1, |report| report.goodbye = true);
    let plan = world.registry.plan(&request(Verb::Drain, "edge-2"), world.now).expect("known");
    world.hear_with(2, |report| report.heartbeat.name = "edge-1".parse().ok());
    let plan_revision = 2;
    let etag = world.view(2).etag();
    assert_ne!(etag, plan_revision.to_string());
    world.registry.apply(&plan);
    assert_eq!(world.view(2).etag(), etag, "memory holds what the store will hold");
}

#[test]
fn losing_many_edges_at_once_freezes_down_but_serves_only_the_fresh() {
    let mut world = World::new();
    let all: Vec<u8> = (1..=10).collect();
    world.up(&all);
    world.pass(secs(60), &all[..7]);
    let fleet = world.registry.view(world.now);
    assert_eq!(fleet.mode, Mode::Preserve);
    assert_eq!(fleet.eligible.len(), 7);
    assert_eq!(world.liveness(10), Liveness::Suspect, "DOWN is frozen");
}

#[test]
fn losing_most_edges_forgives_silence_but_no_order_and_not_the_edges_own_word() {
    let mut world = World::new();
    let all: Vec<u8> = (1..=10).collect();
    world.up(&all);
    world.order(Verb::Drain, "edge-1").expect("it is known");
    world.hear_with(2, |report| report.heartbeat.status = Status::Paused);
    world.hear_with(3, |report| report.goodbye = true);
    let trouble = Trouble { code: "x".into(), text: String::new() };
    world.hear_with(4, |report| report.heartbeat.trouble = Some(trouble));
    world.pass(secs(60), &[]);
    let fleet = world.registry.view(world.now);
    assert_eq!(fleet.mode, Mode::Panic);
    let eligible: Vec<_> = fleet.eligible.iter().map(|place| fleet.edges[*place].id.0[0]).collect();
    assert_eq!(eligible, [10, 5, 6, 7, 8, 9]);

    world.pass(secs(29), &[5, 6, 7, 8, 9, 10, 1, 2, 4]);
    assert_eq!(world.registry.view(world.now).mode, Mode::Panic);
    world.pass(secs(3), &[5, 6, 7, 8, 9, 10, 1, 2, 4]);
    assert_eq!(world.registry.view(world.now).mode, Mode::Normal);
}

#[test]
fn a_planned_scale_down_looks_like_no_failure() {
    let mut world = World::new();
    let all: Vec<u8> = (1..=10).collect();
    world.up(&all);
    for n in 4..=10 {
        world.hear_with(n, |report| report.goodbye = true);
    }
    world.pass(secs(20), &all[..3]);
    assert_eq!(world.registry.view(world.now).mode, Mode::Normal);
}

#[test]
fn a_freeze_ends_slowly() {
    let mut world = World::new();
    let all: Vec<u8> = (1..=20).collect();
    world.up(&all);
    world.pass(secs(14 * 60), &all[..12]);
    let down =
        |world: &mut World| all.iter().filter(|n| world.liveness(**n) == Liveness::Down).count();
    assert_eq!(down(&mut world), 0);
    world.pass(secs(3 * 60), &all[..12]);
    assert!((1..=5).contains(&down(&mut world)), "{} are DOWN", down(&mut world));
}

#[test]
fn a_freeze_ends_slowly_for_the_last_edges_too() {
    let mut world = World::new();
    let all: Vec<u8> = (1..=10).collect();
    world.up(&all);
    world.pass(secs((15 + 7) * 60), &[]);
    let down =
        |world: &mut World| all.iter().filter(|n| world.liveness(**n) == Liveness::Down).count();
    let before = down(&mut world);
    world.pass(secs(30), &[]);
    assert!((6..10).contains(&before) && down(&mut world) <= before + 1, "{before}");
    world.pass(secs(5 * 60), &[]);
    assert_eq!(down(&mut world), 10);
    assert_eq!(world.registry.view(world.now).mode, Mode::Normal);
}

#[test]
fn small_fleets_know_no_panic() {
    let mut world = World::new();
    world.up(&[1, 2, 3]);
    world.pass(secs(40), &[]);
    let fleet = world.registry.view(world.now);
    assert_eq!((fleet.mode, fleet.eligible.len()), (Mode::Normal, 0));
}

#[test]
fn repeated_returns_from_down_are_held_back() {
    let mut world = World::new();
    let come_back = |world: &mut World| {
        world.pass(secs(35), &[]);
        world.up(&[1]);
        world.view(1).eligible
    };
    world.up(&[1]);
    assert!(come_back(&mut world), "one repair is no flapping");
    assert!(!come_back(&mut world));
    world.pass(secs(11), &[1]);
    assert!(world.view(1).eligible);
}

fn remembered(n: u8, seen: Seen) -> Memory {
    let mut world = World::new();
    world.up(&[n]);
    let (edges, mut beats) = world.registry.take_changed(10);
    beats[0].seen = seen;
    Memory { edges, beats, revision: 4, ..Memory::default() }
}

#[test]
fn after_a_restart_remembered_edges_stand_in_until_the_grace_is_over() {
    let mut world = World::remembering(&remembered(1, Seen::Alive));
    let fleet = world.registry.view(world.now);
    assert_eq!((fleet.eligible.len(), fleet.fallback.len()), (0, 1));
    assert_eq!(world.liveness(1), Liveness::Unconfirmed);
    world.pass(secs(8), &[]);
    assert_eq!(world.liveness(1), Liveness::Suspect);
    assert!(world.registry.view(world.now).fallback.is_empty());
    world.hear(1);
    assert_eq!(world.liveness(1), Liveness::Up, "one heartbeat confirms a remembered edge");
}

#[test]
fn after_a_restart_only_edges_that_were_alive_and_willing_stand_in() {
    for seen in [Seen::Down, Seen::Gone, Seen::Withdrawn] {
        let mut world = World::remembering(&remembered(1, seen));
        let fleet = world.registry.view(world.now);
        assert!(fleet.fallback.is_empty() && fleet.eligible.is_empty(), "{seen:?}");
    }
}

#[test]
fn an_order_survives_even_without_its_edge() {
    let order = Order { reason: "disk".into(), author: "ann".into(), created_unix_ms: 1 };
    let row = OrderRow {
        id: id(1),
        name: "edge-1".parse().expect("a name"),
        order: Some(order),
        revision: 7,
    };
    let memory = Memory { orders: vec![row], revision: 7, ..Memory::default() };
    let mut world = World::remembering(&memory);
    assert_eq!(world.view(1).admin_state, AdminState::Draining);
    world.up(&[1]);
    let view = world.view(1);
    assert_eq!((view.admin_state, view.eligible), (AdminState::Draining, false));
    assert_eq!(view.redirect_address.to_string(), "10.0.0.1");
    world.order(Verb::Undrain, "edge-1").expect("it is known");
    assert!(world.view(1).eligible);
}

#[test]
fn nobody_is_sent_to_an_edge_of_which_only_the_order_survived() {
    let order = Order { reason: "disk".into(), author: "ann".into(), created_unix_ms: 1 };
    let name = "edge-1".parse().expect("a name");
    let row = OrderRow { id: id(1), name, order: Some(order), revision: 7 };
    let memory = Memory { orders: vec![row], revision: 7, ..Memory::default() };
    let mut world = World::remembering(&memory);
    world.order(Verb::Undrain, "edge-1").expect("it is known");
    let fleet = world.registry.view(world.now);
    assert!(fleet.eligible.is_empty() && fleet.fallback.is_empty());
}

#[derive(Debug, Clone)]
enum Op {
    Beat(u8),
    Pause(u8),
    Goodbye(u8),
    Rename(u8, u8),
    Drain(u8),
    Undrain(u8),
    Forget(u8),
    NewSession,
    Pass(u16),
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let edge = 1u8..7;
    let op = prop_oneof![
        8 => edge.clone().prop_map(Op::Beat),
        1 => edge.clone().prop_map(Op::Pause),
        1 => edge.clone().prop_map(Op::Goodbye),
        1 => (edge.clone(), edge.clone()).prop_map(|(a, b)| Op::Rename(a, b)),
        2 => edge.clone().prop_map(Op::Drain),
        1 => edge.clone().prop_map(Op::Undrain),
        1 => edge.prop_map(Op::Forget),
        1 => Just(Op::NewSession),
        3 => (1u16..60_000).prop_map(Op::Pass),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..120)
}

/// Restarts from what a store would have been given.
fn restart(world: &mut World, memory: &mut Memory) {
    let (edges, beats) = world.registry.take_changed(usize::MAX);
    for row in edges {
        memory.edges.retain(|old| old.id != row.id);
        memory.edges.push(row);
    }
    for row in beats {
        memory.beats.retain(|old| old.id != row.id);
        memory.beats.push(row);
    }
    memory.edges.retain(|row| world.registry.edges.contains_key(&row.id));
    memory.beats.retain(|row| world.registry.edges.contains_key(&row.id));
    memory.orders = world
        .registry
        .edges
        .values()
        .filter(|edge| edge.order_revision > 0)
        .map(|edge| OrderRow {
            id: edge.row.id,
            name: edge.row.name.clone(),
            order: edge.order.clone(),
            revision: edge.order_revision,
        })
        .collect();
    memory.revision = world.registry.revision();
    world.registry = Registry::restore(Patience::default(), memory, world.now);
}

proptest! {
    #[test]
    fn whatever_happens_a_drained_edge_gets_no_viewers_and_an_order_is_never_lost(ops in ops()) {
        let mut world = World::new();
        let mut memory = Memory::default();
        let mut drained: HashSet<EdgeId> = HashSet::new();
        for op in ops {
            match op {
                Op::Beat(n) => world.hear(n),
                Op::Pause(n) => world.hear_with(n, |r| r.heartbeat.status = Status::Paused),
                Op::Goodbye(n) => world.hear_with(n, |r| r.goodbye = true),
                Op::Rename(n, other) => world.hear_with(n, |r| {
                    r.heartbeat.name = format!("edge-{other}").parse().ok();
                }),
                Op::Drain(n) => {
                    if let Ok(plan) = world.order(Verb::Drain, &id(n).to_string()) {
                        drained.insert(plan.edge());
                    }
                }
                Op::Undrain(n) => {
                    if let Ok(plan) = world.order(Verb::Undrain, &id(n).to_string()) {
                        drained.remove(&plan.edge());
                    }
                }
                Op::Forget(n) => {
                    let _ = world.order(Verb::Forget, &id(n).to_string());
                }
                Op::NewSession => world.session = world.session.wrapping_add(1),
                Op::Pass(ms) => {
                    world.now.monotonic += Duration::from_millis(ms.into());
                    world.now.unix_ms += u64::from(ms);
                    world.registry.tick(world.now);
                }
                Op::Restart => restart(&mut world, &mut memory),
            }
            drained.extend(world.registry.take_inherited().iter().map(|row| row.id));
            let fleet = world.registry.view(world.now);
            prop_assert_eq!(fleet.edges.len(), world.registry.len());
            for edge in &fleet.edges {
                let ordered = drained.contains(&edge.id);
                prop_assert_eq!(edge.order.is_some(), ordered);
                prop_assert_eq!(edge.cell.is_drained(), ordered);
                prop_assert!(!(edge.eligible && (ordered || edge.paused)));
            }
            for place in fleet.eligible.iter().chain(&fleet.fallback) {
                let edge = &fleet.edges[*place];
                prop_assert!(!edge.cell.is_drained() && !edge.paused);
                prop_assert!(!matches!(edge.liveness, Liveness::Down | Liveness::Gone));
            }
            let known: HashSet<_> = fleet.edges.iter().map(|edge| edge.id).collect();
            prop_assert!(drained.is_subset(&known), "an order was lost with its edge");
        }
    }
}
