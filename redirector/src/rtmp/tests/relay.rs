//! What an edge hears of a spliced client.

use proptest::prelude::*;

use super::{
    Says, Verdict,
    client::{Act, Client, Plan, acts, chunk_streams},
    connect, handshake,
    reference::{Heard, hear},
};
use crate::rtmp::{Handover, Progress, Session};

const APP: &str = "other/app";
const TC_URL: &str = "rtmp://192.0.2.7:1935/other/app";

/// Splices a client whose bytes come in pieces of these lengths, again and again.
fn splice(said: &[u8], lens: &[usize]) -> Vec<u8> {
    let bytes = [&handshake()[..], said].concat();
    let mut left = bytes.as_slice();
    let mut lens = lens.iter().cycle();
    let mut piece = || {
        let (piece, rest) = left.split_at(left.len().min(*lens.next().expect("a cycle")));
        left = rest;
        (!piece.is_empty()).then_some(piece)
    };
    let (mut session, mut says) = (Session::new([0; 1528]), Says::new(Verdict::Splice));
    let handover = loop {
        let bytes = piece().expect("a connect is in it");
        match session.feed(bytes, &mut says).expect("a good client") {
            Progress::Open => {}
            Progress::Splice(handover) => break handover,
            Progress::Done => panic!("a splice was ordered"),
        }
    };
    assert_eq!(session.take_output().len(), 3073, "nothing but the handshake is answered");
    relay(*handover, piece)
}

fn relay<'a>(handover: Handover, mut piece: impl FnMut() -> Option<&'a [u8]>) -> Vec<u8> {
    let mut heard = handover.opening(APP, TC_URL);
    let (mut relay, rest) = handover.into_relay();
    relay.pass(&rest, &mut heard).expect("a good client");
    while let Some(bytes) = piece() {
        let (before, is_transparent) = (heard.len(), relay.is_transparent());
        relay.pass(bytes, &mut heard).expect("a good client");
        assert!(!is_transparent || &heard[before..] == bytes);
    }
    heard
}

/// What the client meant, but for the application and its URL.
fn meant(said: &[u8], from: &[u8], to: &[u8]) -> Vec<Heard> {
    let mut heard = hear(said);
    let mut connects = heard.iter_mut().filter(|message| message.payload == from);
    connects.next().expect("a connect").payload = to.to_vec();
    assert_eq!(connects.next(), None);
    heard
}

fn plan(fmt: u8, payload: Vec<u8>) -> Plan {
    Plan { fmt, chunk_stream: 3, time_ms: 0, kind: 20, message_stream: 0, payload }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_edge_hears_what_the_client_meant(
        before in acts(&[3, 4, 5, 8, 9, 15, 18, 22], 2_000, 12),
        after in acts(&[4, 8, 9, 15, 17, 18, 20, 22], 5_000, 60),
        chunk_stream in chunk_streams(),
        (fmt, time_ms) in (0..2u8, prop_oneof![0..2_000u32, any::<u32>()]),
        text in "[a-z/]{0,300}",
        lens in proptest::collection::vec(prop_oneof![1..20usize, 1..3_000usize], 1..8),
    ) {
        let payload = connect(&text, "rtmp://lb.example.com/x");
        let mut client = Client::new();
        before.into_iter().for_each(|act| client.act(act));
        client.act(Act::Begin(Plan { fmt, chunk_stream, time_ms, ..plan(0, payload.clone()) }));
        for act in after {
            // A good client neither gives up its connect nor gives a command before it.
            let waits = match &act {
                Act::Abort(aborted) => *aborted == chunk_stream,
                Act::Begin(plan) => matches!(plan.kind, 17 | 20),
                Act::Continue(_) | Act::SetChunkSize(_) => false,
            };
            if waits {
                client.finish(chunk_stream);
            }
            client.act(act);
        }
        client.finish_all();

        let heard = splice(&client.said, &lens);
        prop_assert_eq!(hear(&heard), meant(&client.said, &payload, &connect(APP, TC_URL)));
    }
}

/// What the edge hears where the client says these messages behind `connect`.
fn heard_after(acts: Vec<Act>) -> (Vec<Heard>, Vec<Heard>) {
    let payload = connect("live", "rtmp://lb.example.com/live");
    let mut client = Client::new();
    client.act(Act::Begin(plan(0, payload.clone())));
    client.finish(3);
    acts.into_iter().for_each(|act| client.act(act));
    client.finish_all();
    let meant = meant(&client.said, &payload, &connect(APP, TC_URL));
    (hear(&splice(&client.said, &[usize::MAX])), meant)
}

#[test]
fn the_next_message_may_count_on_the_length_of_the_connect_the_client_said() {
    for fmt in [2, 3] {
        let acts = vec![Act::Begin(plan(fmt, vec![])), Act::Begin(plan(fmt, vec![]))];
        let (heard, meant) = heard_after(acts);
        assert_eq!(heard.len(), 3);
        assert_eq!(heard, meant);
    }
}

#[test]
fn a_connect_that_counts_on_one_given_up_is_written_out() {
    for fmt in [2, 3] {
        let payload = connect("live", "rtmp://lb.example.com/live");
        let mut client = Client::new();
        client.act(Act::Begin(Plan { time_ms: 40, ..plan(0, payload.clone()) }));
        client.act(Act::Abort(3));
        client.act(Act::Begin(Plan { time_ms: 2, ..plan(fmt, payload.clone()) }));
        client.finish(3);
        let heard = splice(&client.said, &[1]);
        let meant = meant(&client.said, &payload, &connect(APP, TC_URL));
        assert_eq!(hear(&heard), meant);
    }
}

#[test]
fn a_command_under_way_when_connect_ends_is_heard_behind_it() {
    let payload = connect("live", "rtmp://lb.example.com/live");
    let call = super::command("call", 2.0).text(&[b'x'; 300]).finish();
    let mut client = Client::new();
    client.act(Act::Begin(plan(0, payload.clone())));
    client.act(Act::Begin(Plan { chunk_stream: 8, ..plan(0, call.clone()) }));
    client.act(Act::Continue(3));
    client.act(Act::Continue(8));
    client.finish(3);
    client.finish(8);
    for len in [1, usize::MAX] {
        let heard = hear(&splice(&client.said, &[len]));
        assert_eq!(heard, meant(&client.said, &payload, &connect(APP, TC_URL)));
        assert_eq!(heard[1].payload, call);
    }
}

#[test]
fn a_connect_of_type_17_keeps_its_first_byte() {
    let amf3 = |app, url| [&[0][..], &connect(app, url)].concat();
    let payload = amf3("live", "rtmp://lb.example.com/live");
    let mut client = Client::new();
    client.act(Act::Begin(Plan { kind: 17, ..plan(0, payload.clone()) }));
    client.finish(3);
    let meant = meant(&client.said, &payload, &amf3(APP, TC_URL));
    assert_eq!(hear(&splice(&client.said, &[7])), meant);
}

#[test]
fn a_connect_is_said_in_the_chunks_the_client_chose() {
    let payload = connect("live", "rtmp://lb.example.com/live");
    let mut client = Client::new();
    client.act(Act::SetChunkSize(4_096));
    client.act(Act::Begin(plan(0, payload)));
    let heard = splice(&client.said, &[usize::MAX]);
    assert!(heard.ends_with(&connect(APP, TC_URL)), "in one chunk");
}

#[test]
fn a_time_that_is_repeated_wrongly_is_the_one_that_was_said_first() {
    let payload = connect("live", "rtmp://lb.example.com/live");
    let len = u8::try_from(payload.len()).expect("short");
    let said = [
        // Chunks of 4 KiB; a time of 2^24 ms; and 0 where the next header repeats it.
        &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 16, 0],
        &[3, 0xFF, 0xFF, 0xFF, 0, 0, len, 20, 0, 0, 0, 0, 1, 0, 0, 0],
        &payload[..],
        &[0xC3, 0, 0, 0, 0],
        &vec![0; payload.len()],
    ]
    .concat();
    let heard = hear(&splice(&said, &[usize::MAX]));
    assert_eq!(heard, meant(&said, &payload, &connect(APP, TC_URL)));
    assert_eq!(heard[2].time_ms, 2 << 24);
}

#[test]
fn what_a_connect_left_out_stays_out() {
    let bare = super::command("connect", 1.0).begin().pair("app", "live").end().finish();
    let said = super::message(20, &bare);
    let heard = hear(&splice(&said, &[usize::MAX]));
    let other = super::command("connect", 1.0).begin().pair("app", APP).end().finish();
    assert_eq!(heard[0].payload, other);
}
