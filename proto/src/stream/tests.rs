use proptest::prelude::*;

use super::*;
use crate::{
    heartbeat::{Heartbeat, Unacceptable},
    seal::PAYLOAD_LEN_MAX,
    wire,
};

fn streams(counts: &[(u32, u32)]) -> Streams {
    let count =
        |(hash, viewers): &(u32, u32)| StreamCount { stream: StreamHash(*hash), viewers: *viewers };
    counts.iter().map(count).collect()
}

fn sent(part: &StreamPart) -> Vec<u8> {
    Heartbeat { streams: Some(part.clone()), ..Heartbeat::default() }.encode()
}

fn room() -> usize {
    PAYLOAD_LEN_MAX - Heartbeat::default().encode().len()
}

#[test]
fn the_hash_is_the_one_zlib_computes() {
    assert_eq!(StreamHash::of("123456789"), StreamHash(0xcbf4_3926));
    assert_eq!(StreamHash::of(""), StreamHash(0));
    assert_eq!(StreamHash::of("/live/cam/"), StreamHash::of("live/cam"));
    assert_ne!(StreamHash::of(&"x".repeat(4_096)), StreamHash::of(&"x".repeat(4_095)));
}

#[test]
fn names_that_mean_one_stream_are_added_up_and_never_beyond_the_most() {
    let known = Streams::of_names([("live/cam", 7), ("/live/cam/", 5), ("live/b", u32::MAX)]);
    assert_eq!(known.counts().len(), 2);
    assert_eq!(known.viewers(StreamHash::of("live/cam")), Some(12));
    assert_eq!(known.viewers(StreamHash::of("live/b")), Some(STREAM_VIEWERS_MAX));
    assert_eq!(known.viewers(StreamHash::of("live")), None);
}

#[test]
fn an_edge_without_streams_says_so_and_one_that_does_not_say_says_nothing() {
    let none = Streams::default().part(9, room()).expect("there is room for an empty part");
    assert_eq!(none.number(), (0, 1));
    let told = Heartbeat::decode(&sent(&none)).expect("within bounds").streams;
    assert_eq!(told.as_ref(), Some(&none));
    let mut known = streams(&[(1, 1), (2, 2)]);
    assert!(known.replace(&none));
    assert_eq!(known, Streams::default());
    assert_eq!(Heartbeat::decode(&[0x08, 0x01]).expect("within bounds").streams, None);
}

#[test]
fn a_part_that_is_none_is_refused() {
    let fine = wire::Streams { hashes: vec![5, 2], viewers: vec![1, 9], part: 2, parts: 3 };
    let part = StreamPart::try_from(fine.clone()).expect("each leaves the rest 2");
    assert_eq!(part.streams(), &streams(&[(2, 9), (5, 1)]));
    let too_many = vec![2; STREAMS_PER_PART_MAX + 1];
    for wrong in [
        wire::Streams { parts: 0, ..fine.clone() },
        wire::Streams { part: 0, parts: 0, ..Default::default() },
        wire::Streams { part: 3, ..fine.clone() },
        wire::Streams { part: 3, parts: 3, ..Default::default() },
        wire::Streams { part: 64, parts: 65, hashes: vec![64], viewers: vec![1] },
        wire::Streams { viewers: vec![1], ..fine.clone() },
        wire::Streams { viewers: vec![1, 2, 3], ..fine.clone() },
        wire::Streams { hashes: vec![5, 3], ..fine.clone() },
        wire::Streams { hashes: too_many.clone(), viewers: too_many, ..fine.clone() },
    ] {
        let mut message = wire::Heartbeat::from(&Heartbeat::default());
        message.streams = Some(wrong.clone());
        assert_eq!(Heartbeat::try_from(message), Err(Unacceptable::BadStreams), "{wrong:?}");
    }
}

#[test]
fn ten_thousand_streams_keep_the_most_watched_and_fit() {
    let many: Streams = (0..10_000u32)
        .map(|n| StreamCount { stream: StreamHash(n.wrapping_mul(2_654_435_761)), viewers: n })
        .collect();
    let mut known = Streams::default();
    for turn in 0..64 {
        let part = many.part(turn, 600).expect("there is room");
        assert!(sent(&part).len() - Heartbeat::default().encode().len() <= 600);
        known.replace(&part);
    }
    assert!((5_000..7_000).contains(&known.counts().len()), "{}", known.counts().len());
    let least = known.counts().iter().map(|count| count.viewers).min();
    assert!(least > Some(3_000), "the least watched are left out: {least:?}");
}

#[test]
fn without_room_nothing_is_told() {
    assert_eq!(streams(&[(1, 1)]).part(0, 12), None);
    let empty = streams(&[(1, 1)]).part(0, 13).expect("room for the numbers alone");
    assert!(empty.streams().counts().is_empty());
}

#[test]
fn all_room_is_used_and_no_more() {
    let told = |counts, room| streams(counts).part(0, room).expect("there is room");
    for (counts, room) in
        [(&[(0, 127)][..], 18), (&[(0, 128)], 19), (&[(0, 127), (3, 1)], 23), (&[(7, 16_383)], 19)]
    {
        let part = told(counts, room);
        assert_eq!((part.number(), part.streams()), ((0, 1), &streams(counts)), "{room}");
        assert_ne!(told(counts, room - 1).number(), (0, 1), "a byte less is too little: {room}");
    }
    let most = told(&[(0, 1), (64, 5), (128, 9)], 23);
    assert_eq!(most.streams(), &streams(&[(64, 5), (128, 9)]), "in the order of hashes");
}

#[test]
fn no_sender_makes_more_be_kept_than_all_parts_hold() {
    let mut known = Streams::default();
    for parts in (33..=PARTS_MAX).rev() {
        for part in 0..parts {
            let hashes: Vec<_> = (0..STREAMS_PER_PART_MAX as u32)
                .map(|n| (n + parts * 1_000) * parts + part)
                .collect();
            let viewers = vec![1; hashes.len()];
            let message = wire::Streams { hashes, viewers, part, parts };
            known.replace(&StreamPart::try_from(message).expect("a part"));
            assert!(known.counts().len() <= STREAMS_MAX);
        }
        assert!(parts < PARTS_MAX || known.counts().len() == STREAMS_MAX, "the most there may be");
    }
}

proptest! {
    #[test]
    fn every_part_fits_and_all_turns_together_tell_everything(
        counts in prop::collection::vec((any::<u32>(), 0..20_000u32), 0..1_500),
        rooms in prop::collection::vec(300..1_080usize, 64),
        first in any::<u64>(),
    ) {
        let all = streams(&counts);
        let mut known = streams(&[(3, 3), (4, 4), (u32::MAX, 5)]);
        for (turn, room) in (0..).zip(rooms) {
            let part = all.part(first.wrapping_add(turn), room).expect("there is room");
            let bytes = sent(&part);
            prop_assert!(bytes.len() - Heartbeat::default().encode().len() <= room);
            let told = Heartbeat::decode(&bytes).expect("within bounds").streams;
            prop_assert_eq!(told.as_ref(), Some(&part));
            known.replace(&part);
            prop_assert!(!known.replace(&part), "a part that is told twice changes nothing");
        }
        prop_assert_eq!(known, all);
    }
}
