//! Orders and the names they go by.

use super::*;

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

fn weight(figure: f64) -> Verb {
    Verb::SetWeight(Weight::try_from(figure).expect("a weight"))
}

#[test]
fn a_weight_holds_until_another_is_given_and_changes_the_etag() {
    let mut world = World::new();
    world.up(&[1]);
    assert_eq!(world.order(weight(1.0), "edge-1"), Ok(Plan::Holds(id(1))), "1 is usual");
    world.order(weight(2.5), "edge-1").expect("it is known");
    let view = world.view(1);
    assert_eq!((view.weight, view.etag().as_str(), view.eligible), (2.5, "1", true));
    assert_eq!(view.weighting.as_ref().map(|order| order.reason.as_str()), Some("test"));
    assert_eq!(world.order(weight(2.5), "edge-1"), Ok(Plan::Holds(id(1))));
    world.session = 2;
    world.up(&[1]);
    assert_eq!(world.view(1).etag(), "1", "only orders change the etag");
    world.order(weight(1.0), "edge-1").expect("it is known");
    assert_eq!((world.view(1).weight, world.view(1).etag().as_str()), (1.0, "2"));
    assert!(world.view(1).weighting.is_none());
}

#[test]
fn a_weight_and_a_drain_do_not_touch_each_other() {
    let mut world = World::new();
    let empty = |report: &mut Report| report.heartbeat.load.viewers = Some(0);
    world.order_on_new(weight(0.5));
    world.order(Verb::Drain, "edge-1").expect("it is known");
    (0..2).for_each(|_| world.hear_with(1, empty));
    let plan = world.registry.plan(&request(weight(3.0), "edge-1"), world.now).expect("known");
    let shown = world.registry.preview(&plan, world.now).expect("known");
    assert_eq!(shown.admin_state(), tidegate_proto::admin::AdminState::Drained);
    assert!(shown.weight == 3.0 && !shown.eligible && shown.drain.is_some());
    world.registry.apply(&plan);
    let view = world.view(1);
    assert_eq!((view.admin_state, view.weight), (AdminState::Drained, 3.0));
    assert!(view.cell.is_drained());
    world.order(Verb::Undrain, "edge-1").expect("it is known");
    assert_eq!((world.view(1).admin_state, world.view(1).weight), (AdminState::Active, 3.0));
}

#[test]
fn a_weight_that_could_not_be_stored_does_not_hold_and_neither_does_a_drain_with_it() {
    let mut world = World::new();
    world.order_on_new(weight(2.0));
    let plan = world.registry.plan(&request(weight(4.0), "edge-1"), world.now).expect("known");
    world.registry.apply_unsaved(&plan);
    assert_eq!(world.view(1).weight, 2.0);
    world.order(Verb::Drain, "edge-1").expect("it is known");
    let plan = world.registry.plan(&request(weight(4.0), "edge-1"), world.now).expect("known");
    world.registry.apply_unsaved(&plan);
    assert_eq!(world.view(1).weight, 2.0);
}

#[test]
fn a_new_uuid_inherits_the_weight_of_a_dead_one_by_name() {
    let mut world = World::new();
    let rebuilt = |report: &mut Report| report.heartbeat.name = "edge-1".parse().ok();
    world.order_on_new(weight(2.0));
    world.hear_with(1, |report| report.goodbye = true);
    world.hear_with(2, rebuilt);
    assert_eq!((world.view(2).weight, world.view(2).order.is_none()), (2.0, true));
    let inherited = world.registry.take_inherited();
    assert_eq!(
        inherited.iter().map(|row| (row.id, row.weight().get())).collect::<Vec<_>>(),
        [(id(2), 2.0)]
    );
    // Not stored yet, so it must not be found to hold.
    assert!(matches!(world.order(weight(2.0), &id(2).to_string()), Ok(Plan::Set(_))));
    world.order(weight(1.0), &id(2).to_string()).expect("it is known");
    world.hear_with(2, rebuilt);
    assert_eq!(world.view(2).weight, 1.0, "the newer decision stands");
}

#[test]
fn a_later_weight_does_not_keep_a_drain_from_being_inherited() {
    let mut world = World::new();
    let clone = |report: &mut Report| report.heartbeat.name = "edge-1".parse().ok();
    world.up(&[1]);
    world.now.unix_ms += 1;
    world.hear_with(2, clone);
    world.order(Verb::Drain, &id(1).to_string()).expect("it is known");
    world.order(weight(2.0), &id(2).to_string()).expect("it is known");
    world.hear_with(1, |report| report.goodbye = true);
    let heir = world.view(2);
    assert_eq!((heir.admin_state, heir.weight), (AdminState::Draining, 2.0));
    assert!(heir.cell.is_drained());
}

#[test]
fn a_drain_inherited_while_a_weight_was_being_stored_stands_beside_it() {
    let mut world = World::new();
    world.up(&[1, 2]);
    world.order(Verb::Drain, "edge-1").expect("it is known");
    world.hear_with(1, |report| report.goodbye = true);
    let plan = world.registry.plan(&request(weight(2.0), "edge-2"), world.now).expect("known");
    world.hear_with(2, |report| report.heartbeat.name = "edge-1".parse().ok());
    world.registry.apply(&plan);
    let view = world.view(2);
    assert_eq!((view.weight, view.admin_state), (2.0, AdminState::Draining));
    assert!(view.cell.is_drained());
    let rows = world.registry.take_inherited();
    assert!(rows[0].order.is_some() && rows[0].weight().get() == 2.0, "the store gets both");
    assert!(matches!(world.order(Verb::Drain, &id(2).to_string()), Ok(Plan::Set(_))), "unsaved");
}

#[test]
fn a_weighted_edge_is_kept_while_it_is_away_and_can_be_forgotten() {
    let mut world = World::new();
    world.order_on_new(weight(2.0));
    world.pass(secs(40), &[]);
    world.now.monotonic += secs(48 * 3600);
    assert!(world.registry.tick(world.now).is_empty());
    assert_eq!(world.order(Verb::Forget, "edge-1"), Ok(Plan::Forget(id(1))));
    world.up(&[1]);
    assert_eq!(world.view(1).weight, 1.0);
}

#[test]
fn a_weight_that_was_stored_late_does_not_undo_a_newer_one() {
    let mut world = World::new();
    world.up(&[1]);
    let weigh = |figure| Verb::SetWeight(crate::order::Weight::try_from(figure).expect("a weight"));
    let early = world.registry.plan(&request(weigh(2.0), "edge-1"), world.now).expect("a plan");
    world.order(weigh(3.0), "edge-1").expect("it is known");
    world.registry.apply(&early);
    assert_eq!(world.view(1).weight, 3.0);
}

#[test]
fn an_edge_that_said_goodbye_is_left_alone_before_the_next_view() {
    let mut world = World::new();
    world.up(&[1]);
    let shown = world.view(1);
    assert!(!shown.cell.is_paused());
    world.hear_with(1, |report| report.goodbye = true);
    assert!(shown.cell.is_paused());
    world.session = 2;
    world.hear(1);
    assert!(!shown.cell.is_paused(), "it has come back");
}
