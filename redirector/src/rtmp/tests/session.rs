//! A session from its first byte to its verdict.

use proptest::prelude::*;

use super::{
    Says, Verdict,
    client::{Act, Client, Plan, acts},
    command, connect, handshake, message, session,
};
use crate::rtmp::{Connect, Progress, RtmpReject, Session, Stage};

#[test]
fn the_server_speaks_once_c1_is_in_and_then_waits_for_c2() {
    let (mut session, mut says) = (Session::new([7; 1528]), Says::redirect());
    let (bytes, said) = (handshake(), message(20, &connect("live", "rtmp://lb/live")));
    let mut feed = |session: &mut Session, bytes: &[u8]| {
        assert!(matches!(session.feed(bytes, &mut says), Ok(Progress::Open)));
        session.take_output()
    };
    assert_eq!(feed(&mut session, &bytes[..1536]), b"");
    let hello = feed(&mut session, &bytes[1536..1537]);
    assert_eq!(hello[..9], [3, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(hello[9..1537], [7; 1528]);
    assert_eq!(hello[1537..], bytes[1..1537], "S2 is C1");
    assert_eq!(feed(&mut session, &bytes[1537..3072]), b"");
    assert_eq!(session.stage(), Stage::Handshake);
    assert_eq!(feed(&mut session, &bytes[3072..]), b"");
    assert_eq!(session.stage(), Stage::Connect);
    assert!(matches!(session.feed(&said, &mut says), Ok(Progress::Done)));
    assert!(!session.take_output().is_empty());
    assert_eq!(session.stage(), Stage::Over);
}

#[test]
fn encryption_that_a_client_offers_is_declined() {
    for version in [3, 6, 8] {
        let mut bytes = handshake();
        bytes[0] = version;
        let mut session = Session::new([0; 1528]);
        assert!(session.feed(&bytes, &mut Says::accept()).is_ok());
        assert_eq!(session.take_output()[0], 3);
    }
}

#[test]
fn the_judge_hears_what_the_client_asks_for() {
    let asked = Connect {
        transaction: 1.0,
        app: "live".to_owned(),
        tc_url: "rtmp://lb/live".to_owned(),
        reconnects: true,
    };
    for kind in [20, 17] {
        let (mut session, mut says) = (session(), Says::redirect());
        let mut payload = connect("live", "rtmp://lb/live");
        if kind == 17 {
            payload.insert(0, 0);
        }
        let fed = session.feed(&message(kind, &payload), &mut says);
        assert!(matches!(fed, Ok(Progress::Done)));
        assert_eq!(says.asked, std::slice::from_ref(&asked));
    }
}

/// What is heard of a `connect` with the number 5 and nothing else that counts.
fn says_nothing() -> Connect {
    Connect { transaction: 5.0, app: String::new(), tc_url: String::new(), reconnects: false }
}

#[test]
fn one_bit_of_the_capabilities_says_that_a_client_reconnects() {
    for (caps, reconnects) in
        [(0.0, false), (2.0, false), (1.0, true), (15.0, true), (-1.0, false), (f64::NAN, false)]
    {
        let connect = command("connect", 5.0).begin().key(b"capsEx").number(caps).end();
        let mut says = Says::redirect();
        let fed = session().feed(&message(20, &connect.finish()), &mut says);
        assert!(matches!(fed, Ok(Progress::Done)));
        assert_eq!(says.asked, [Connect { reconnects, ..says_nothing() }], "{caps}");
    }
}

#[test]
fn a_connect_that_says_nothing_is_judged_too() {
    let bare = says_nothing();
    for payload in [
        command("connect", 5.0).null(),
        command("connect", 5.0),
        command("connect", 5.0).begin().key(b"app").number(1.0).end(),
        command("connect", 5.0).null().begin().pair("app", "an argument").end(),
        command("connect", 5.0).begin().key(b"o").begin().pair("app", "deep").end().end(),
    ] {
        let mut says = Says::redirect();
        let fed = session().feed(&message(20, &payload.finish()), &mut says);
        assert!(matches!(fed, Ok(Progress::Done)));
        assert_eq!(says.asked, std::slice::from_ref(&bare));
    }
}

#[test]
fn what_is_no_command_is_passed_over_before_connect() {
    let mut client = Client::new();
    client.act(Act::SetChunkSize(4_096));
    for kind in [3, 4, 5, 6, 15, 18, 99] {
        let payload = vec![0xFF; 10];
        let plan = Plan { fmt: 0, chunk_stream: 8, time_ms: 0, kind, message_stream: 0, payload };
        client.act(Act::Begin(plan));
    }
    client.act(Act::Begin(Plan {
        fmt: 0,
        chunk_stream: 3,
        time_ms: 0,
        kind: 20,
        message_stream: 0,
        payload: connect("live", "rtmp://lb/live"),
    }));
    let mut says = Says::redirect();
    assert!(matches!(session().feed(&client.said, &mut says), Ok(Progress::Done)));
    assert_eq!(says.asked.len(), 1);
}

#[test]
fn a_message_given_up_is_never_heard() {
    let mut client = Client::new();
    let plan = |payload| Plan {
        fmt: 0,
        chunk_stream: 3,
        time_ms: 0,
        kind: 20,
        message_stream: 0,
        payload,
    };
    client.act(Act::Begin(plan(connect("first", "rtmp://lb/first"))));
    client.act(Act::Abort(3));
    client.act(Act::Begin(plan(connect("second", "rtmp://lb/second"))));
    client.finish(3);
    let mut says = Says::redirect();
    assert!(matches!(session().feed(&client.said, &mut says), Ok(Progress::Done)));
    assert_eq!(says.asked[0].app, "second");
}

#[test]
fn slow_clients_are_cheap() {
    let mut session = Session::new([0; 1528]);
    assert!(session.held_bytes() < 2 * 1024);
    let fed = session.feed(&handshake(), &mut Says::accept());
    assert!(fed.is_ok());
    session.take_output();
    assert!(session.held_bytes() < 1024, "{}", session.held_bytes());
    // The longest chunk there can be, and a message as long as it may get.
    let size = message(1, &0x7FFF_FFFFu32.to_be_bytes());
    let mut begun = message(20, &[]);
    begun[4..7].copy_from_slice(&[0, 0x40, 0]);
    let fed = session.feed(&[size, begun].concat(), &mut Says::accept());
    assert!(matches!(fed, Ok(Progress::Open)));
    assert!(session.held_bytes() < 2 * 1024, "{}", session.held_bytes());
}

/// Everything that can be seen of a session fed in pieces of these lengths, again and again.
fn seen(bytes: &[u8], lens: &[usize], verdict: &Verdict) -> (Vec<u8>, Vec<String>, String) {
    let (mut session, mut says) = (Session::new([7; 1528]), Says::new(verdict.clone()));
    let (mut left, mut output) = (bytes, Vec::new());
    let mut lens = lens.iter().cycle();
    let mut end = "open".to_owned();
    while !left.is_empty() {
        let (piece, rest) = left.split_at(left.len().min(*lens.next().expect("a cycle")));
        left = rest;
        let fed = session.feed(piece, &mut says);
        output.extend(session.take_output());
        assert!(session.held_bytes() < 512 * 1024);
        match fed {
            Ok(Progress::Open) => continue,
            Ok(Progress::Done) => end = "done".to_owned(),
            Ok(Progress::Splice(handover)) => {
                end = relayed(*handover, left);
            }
            Err(reject) => end = format!("{reject:?}"),
        }
        assert_eq!(session.stage(), Stage::Over);
        break;
    }
    assert!(output.len() < 128 * 1024 + 3073);
    (output, says.asked.iter().map(|asked| format!("{asked:?}")).collect(), end)
}

fn relayed(handover: crate::rtmp::Handover, left: &[u8]) -> String {
    let mut heard = handover.opening("a", "rtmp://e:1935/a");
    let (mut relay, rest) = handover.into_relay();
    let passed: Result<(), RtmpReject> =
        relay.pass(&rest, &mut heard).and_then(|()| relay.pass(left, &mut heard));
    format!("{passed:?} {heard:?}")
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Says::redirect().verdict),
        Just(Verdict::Accept { reconnect: Some("rtmp://e:1935/a".to_owned()) }),
        Just(Verdict::Splice),
    ]
}

/// Good clients, clients with one byte changed, and noise.
fn clients() -> impl Strategy<Value = Vec<u8>> {
    let acts = acts(&[1, 2, 3, 8, 9, 15, 17, 18, 20, 22], 40_000, 40);
    let good = (acts, any::<bool>(), any::<prop::sample::Index>(), any::<u8>());
    let good = good.prop_map(|(acts, is_changed, place, byte)| {
        let mut client = Client::new();
        let begin = acts.len() / 4;
        for (place, act) in acts.into_iter().enumerate() {
            if place == begin {
                let said = message(20, &connect("live", "rtmp://lb/live"));
                client.finish_all();
                client.act(Act::SetChunkSize(128));
                client.said.extend(said);
            }
            client.act(act);
        }
        let mut said = client.said;
        if is_changed && !said.is_empty() {
            let place = place.index(said.len());
            said[place] = byte;
        }
        said
    });
    let quiet = acts_before_connect();
    prop_oneof![2 => good, 2 => quiet, 1 => proptest::collection::vec(any::<u8>(), 0..2_000)]
}

/// Clients that say nothing to be refused for before `connect`, and anything after it.
fn acts_before_connect() -> impl Strategy<Value = Vec<u8>> {
    acts(&[1, 2, 8, 9, 17, 18, 20], 200, 40).prop_map(|acts| {
        let mut client = Client::new();
        client.act(Act::Begin(Plan {
            fmt: 0,
            chunk_stream: 3,
            time_ms: 0,
            kind: 20,
            message_stream: 0,
            payload: connect("live", "rtmp://lb/live"),
        }));
        client.finish(3);
        acts.into_iter().for_each(|act| client.act(act));
        client.said
    })
}

proptest! {
    #[test]
    fn pieces_make_no_difference(
        said in clients(),
        lens in proptest::collection::vec(prop_oneof![1..9usize, 1..2_000usize], 1..8),
        verdict in verdicts(),
    ) {
        let bytes = [handshake(), said].concat();
        let whole = seen(&bytes, &[usize::MAX], &verdict);
        prop_assert_eq!(seen(&bytes, &lens, &verdict), whole);
    }

    #[test]
    fn any_bytes_are_put_up_with(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
        seen(&bytes, &[usize::MAX], &Verdict::Splice);
    }
}
