//! Health: heartbeats, silence, goodbyes, the edge's own word.

use super::*;

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
