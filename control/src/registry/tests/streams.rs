use tidegate_proto::stream::{StreamPart, Streams};

use super::*;

fn part(names: &[&str], turn: u64, room_bytes: usize) -> Option<StreamPart> {
    Streams::of_names(names.iter().map(|name| (*name, 7))).part(turn, room_bytes)
}

fn known(world: &mut World, n: u8) -> Option<Vec<u32>> {
    let streams = world.view(n).streams.clone()?;
    Some(streams.counts().iter().map(|count| count.viewers).collect())
}

#[test]
fn parts_gather_and_replace_their_own_streams_alone() {
    let mut world = World::new();
    let names = ["live/a", "live/b", "live/c", "live/d", "live/e", "live/f"];
    world.hear(1);
    assert_eq!(known(&mut world, 1), None, "an edge that does not say carries unknown streams");
    for turn in 0..64 {
        world.hear_with(1, |report| report.heartbeat.streams = part(&names, turn, 30));
    }
    assert_eq!(known(&mut world, 1), Some(vec![7; 6]));
    world.hear_with(1, |report| report.heartbeat.streams = part(&[], 0, 30));
    assert_eq!(known(&mut world, 1), Some(vec![]));
}

#[test]
fn views_share_streams_until_they_change() {
    let mut world = World::new();
    let shown = |world: &mut World| world.view(1).streams.clone().expect("they are known");
    world.hear_with(1, |report| report.heartbeat.streams = part(&["live/a"], 0, 99));
    let before = shown(&mut world);
    world.hear_with(1, |report| report.heartbeat.streams = part(&["live/a"], 1, 99));
    assert!(Arc::ptr_eq(&before, &shown(&mut world)));
    world.hear_with(1, |report| report.heartbeat.streams = part(&["live/b"], 2, 99));
    assert!(!Arc::ptr_eq(&before, &shown(&mut world)));
    assert_eq!(before, Arc::new(Streams::of_names([("live/a", 7)])), "old views stay as they were");
}

#[test]
fn a_fleet_that_names_more_streams_than_are_kept_loses_those_of_the_last_edges_alone() {
    let mut world = World::new();
    world.registry.streams_max = 5;
    let names = ["live/a", "live/b"];
    for n in 1..=3 {
        world.hear_with(n, |report| report.heartbeat.streams = part(&names, 0, 99));
    }
    assert_eq!(known(&mut world, 1), Some(vec![7; 2]));
    assert_eq!(known(&mut world, 2), Some(vec![7; 2]));
    assert_eq!(known(&mut world, 3), None);
    world.registry.remove(id(1));
    world.hear_with(3, |report| report.heartbeat.streams = part(&names, 0, 99));
    assert_eq!(known(&mut world, 3), Some(vec![7; 2]), "there is room again");
}

#[test]
fn a_new_session_starts_without_streams_and_silence_about_them_takes_them_back() {
    let mut world = World::new();
    world.hear_with(1, |report| report.heartbeat.streams = part(&["live/a"], 0, 99));
    let trouble = Trouble { code: "source_slow".into(), text: String::new() };
    world.hear_with(1, |report| report.heartbeat.trouble = Some(trouble));
    assert_eq!(known(&mut world, 1), Some(vec![7]), "an edge in trouble is not one that forgot");
    world.hear(1);
    assert_eq!(known(&mut world, 1), None);

    world.hear_with(1, |report| report.heartbeat.streams = part(&["live/a", "live/b"], 0, 99));
    world.session = 2;
    world.hear_with(1, |report| {
        report.heartbeat.streams = part(&["live/a", "live/b", "live/c"], 1, 20);
    });
    let after = known(&mut world, 1).expect("they are known");
    assert!(after.len() < 3, "of the new session only one part was heard: {after:?}");
}
