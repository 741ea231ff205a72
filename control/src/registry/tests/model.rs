//! Whatever happens, in any order.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Beat(u8),
    Pause(u8),
    Goodbye(u8),
    Rename(u8, u8),
    Drain(u8),
    Undrain(u8),
    Weight(u8, u8),
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
        2 => (edge.clone(), 1u8..4).prop_map(|(edge, weight)| Op::Weight(edge, weight)),
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
        .map(Edge::order_row)
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
        let mut weights: HashMap<EdgeId, f64> = HashMap::new();
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
                Op::Weight(n, weight) => {
                    let weight = Weight::try_from(f64::from(weight)).expect("a weight");
                    let verb = Verb::SetWeight(weight);
                    if let Ok(plan) = world.order(verb, &id(n).to_string()) {
                        weights.insert(plan.edge(), weight.get());
                    }
                }
                Op::Forget(n) => {
                    if world.order(Verb::Forget, &id(n).to_string()).is_ok() {
                        weights.remove(&id(n));
                    }
                }
                Op::NewSession => world.session = world.session.wrapping_add(1),
                Op::Pass(ms) => {
                    world.now.monotonic += Duration::from_millis(ms.into());
                    world.now.unix_ms += u64::from(ms);
                    world.registry.tick(world.now);
                }
                Op::Restart => restart(&mut world, &mut memory),
            }
            for row in world.registry.take_inherited() {
                drained.extend(row.order.as_ref().map(|_| row.id));
                weights.insert(row.id, row.weight().get());
            }
            let fleet = world.registry.view(world.now);
            prop_assert_eq!(fleet.edges.len(), world.registry.len());
            for edge in &fleet.edges {
                let ordered = drained.contains(&edge.id);
                prop_assert_eq!(edge.order.is_some(), ordered);
                prop_assert_eq!(edge.cell.is_drained(), ordered);
                let weight = weights.get(&edge.id).copied().unwrap_or(1.0);
                prop_assert_eq!(edge.weight, weight, "a weight was lost or made up");
                prop_assert!(!(edge.eligible && (ordered || edge.paused)));
            }
            for place in fleet.eligible.iter().chain(&fleet.fallback) {
                let edge = &fleet.edges[*place];
                prop_assert!(!edge.cell.is_drained() && !edge.paused);
                prop_assert!(!matches!(edge.liveness, Liveness::Down | Liveness::Gone));
            }
            let known: HashSet<_> = fleet.edges.iter().map(|edge| edge.id).collect();
            weights.retain(|id, weight| known.contains(id) || *weight != 1.0);
            prop_assert!(weights.keys().all(|id| known.contains(id)), "a weight was lost");
            prop_assert!(drained.is_subset(&known), "an order was lost with its edge");
        }
    }
}
