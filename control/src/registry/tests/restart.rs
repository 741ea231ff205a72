//! What is remembered.

use super::*;

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
fn a_restart_of_ours_is_no_new_session_of_an_agent() {
    let mut world = World::new();
    (0..9).for_each(|_| world.hear(1));
    let (edges, beats) = world.registry.take_changed(10);
    let mut world = World::remembering(&Memory { edges, beats, ..Memory::default() });
    world.sequence = 9;
    world.hear(1);
    assert_eq!(world.view(1).session_reports, 10, "it goes on where it was");
    world.session = 2;
    world.hear(1);
    assert_eq!(world.view(1).session_reports, 1, "a new session begins anew all the same");
}

#[test]
fn after_a_restart_only_edges_that_were_alive_and_willing_stand_in() {
    for seen in [Seen::Down, Seen::Gone, Seen::Withdrawn] {
        let mut world = World::remembering(&remembered(1, seen));
        let fleet = world.registry.view(world.now);
        assert!(fleet.fallback.is_empty() && fleet.eligible.is_empty(), "{seen:?}");
    }
}

fn drained_row(order: Order) -> OrderRow {
    OrderRow {
        id: id(1),
        name: "edge-1".parse().expect("a name"),
        order: Some(order),
        weighting: None,
        revision: 7,
        drain_revision: 7,
        weight_revision: 0,
    }
}

#[test]
fn an_order_survives_even_without_its_edge() {
    let order = Order { reason: "disk".into(), author: "ann".into(), created_unix_ms: 1 };
    let row = drained_row(order);
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
    let row = drained_row(order);
    let memory = Memory { orders: vec![row], revision: 7, ..Memory::default() };
    let mut world = World::remembering(&memory);
    world.order(Verb::Undrain, "edge-1").expect("it is known");
    let fleet = world.registry.view(world.now);
    assert!(fleet.eligible.is_empty() && fleet.fallback.is_empty());
}

#[test]
fn a_weight_survives_even_without_its_edge() {
    let order = Order { reason: "big".into(), author: "ann".into(), created_unix_ms: 1 };
    let weight = Weight::try_from(2.0).expect("a weight");
    let row = OrderRow {
        order: None,
        weighting: Some(Weighting { weight, order: order.clone() }),
        drain_revision: 0,
        weight_revision: 7,
        ..drained_row(order)
    };
    let memory = Memory { orders: vec![row], revision: 7, ..Memory::default() };
    let mut world = World::remembering(&memory);
    world.up(&[1]);
    assert_eq!((world.view(1).weight, world.view(1).eligible), (2.0, true));
    assert_eq!(world.view(1).etag(), "7");
}
