//! A client that was accepted.

use super::{
    Says, Verdict, command, connect, handshake, message,
    reference::{Heard, hear},
};
use crate::rtmp::{
    Progress, Session, Stage,
    amf0::{Reader, Value, Writer},
};

/// A session that accepted a client, what it said to that, and the judge.
fn accepted(reconnect: Option<&str>) -> (Session, Vec<Heard>, Says) {
    let mut says = Says::new(Verdict::Accept { reconnect: reconnect.map(str::to_owned) });
    let mut session = Session::new([0; 1528]);
    let said = [handshake(), message(20, &connect("live", "rtmp://lb/live"))].concat();
    let fed = session.feed(&said, &mut says);
    assert!(matches!(fed, Ok(Progress::Open)));
    assert_eq!(session.stage(), Stage::Calls);
    let heard = hear(&session.take_output()[3073..]);
    (session, heard, says)
}

/// What the session says to these bytes.
fn answer(bytes: &[u8]) -> Vec<Heard> {
    let (mut session, _, mut says) = accepted(None);
    let fed = session.feed(bytes, &mut says);
    assert!(matches!(fed, Ok(Progress::Open)), "{fed:?}");
    hear(&session.take_output())
}

/// The value of a name at the first level of a message.
fn said(message: &Heard, key: &str) -> Vec<String> {
    let mut reader = Reader::new(&message.payload);
    let mut found = Vec::new();
    while let Some(item) = reader.next().expect("ours") {
        match (item.key, item.value) {
            (Some(name), Value::Text(text)) if name == key.as_bytes() => {
                found.push(String::from_utf8_lossy(text).into_owned());
            }
            (Some(name), Value::Number(number)) if name == key.as_bytes() => {
                found.push(number.to_string());
            }
            _ => {}
        }
    }
    found
}

#[test]
fn an_accepted_client_gets_a_window_a_limit_and_a_result() {
    let (_, heard, says) = accepted(None);
    let kinds: Vec<_> = heard.iter().map(|m| (m.chunk_stream, m.kind)).collect();
    assert_eq!(kinds, [(2, 5), (2, 6), (3, 20)]);
    assert_eq!(heard[0].payload, 2_500_000u32.to_be_bytes());
    assert_eq!(heard[1].payload[4], 2);
    assert!(heard[2].payload.starts_with(&command("_result", 1.0).begin().finish()));
    assert_eq!(said(&heard[2], "code"), ["NetConnection.Connect.Success"]);
    assert_eq!(said(&heard[2], "objectEncoding"), ["0"]);
    assert!(said(&heard[2], "capsEx").is_empty());
    assert_eq!(says.asked.len(), 1);
}

#[test]
fn a_client_that_reconnects_is_asked_to_at_once() {
    let url = "rtmp://edge1.example.net:1935/live";
    let (_, heard, _) = accepted(Some(url));
    assert_eq!(said(&heard[2], "capsEx"), ["1", "1"]);
    let request = &heard[3];
    assert!(request.payload.starts_with(&command("onStatus", 0.0).null().begin().finish()));
    assert_eq!(said(request, "level"), ["status"]);
    assert_eq!(said(request, "code"), ["NetConnection.Connect.ReconnectRequest"]);
    assert_eq!(said(request, "tcUrl"), [url]);
    assert!(!said(request, "description")[0].is_empty());
    assert_eq!(heard.len(), 4);
}

#[test]
fn a_client_that_asks_for_a_host_gets_one_under_its_number() {
    let call = command("getLoadBalancerRedirect", 2.0).null();
    let heard = answer(&message(20, &call.finish()));
    let result = command("_result", 2.0).null().text(b"edge1.example.net");
    assert_eq!(heard[0].payload, result.finish());
    assert_eq!(heard.len(), 1);
    assert!(answer(&message(20, &command("getloadbalancerredirect", 2.0).finish())).is_empty());
}

#[test]
fn a_call_of_type_17_is_answered_in_type_20() {
    let call = [vec![0], command("createStream", 3.0).null().finish()].concat();
    let heard = answer(&message(17, &call));
    assert_eq!(heard[0].kind, 20);
    assert_eq!(heard[0].payload, command("_result", 3.0).null().number(1.0).finish());
}

#[test]
fn a_publisher_may_begin_and_so_may_a_player() {
    for (call, code) in [("publish", "NetStream.Publish.Start"), ("play", "NetStream.Play.Start")] {
        let mut bytes = message(20, &command("createStream", 2.0).null().finish());
        let begin = bytes.len();
        bytes.extend(message(20, &command(call, 0.0).null().text(b"a").finish()));
        // The message stream, in the order of the least byte first.
        bytes[begin + 8] = 1;
        let heard = answer(&bytes);
        assert_eq!((heard[1].message_stream, heard.len()), (1, 2));
        assert_eq!(said(&heard[1], "code"), [code]);
    }
}

#[test]
fn calls_nobody_waits_for_are_not_answered() {
    for name in ["releaseStream", "FCPublish", "deleteStream", "closeStream", "_checkbw", "connect"]
    {
        assert!(answer(&message(20, &command(name, 4.0).null().finish())).is_empty(), "{name}");
    }
}

#[test]
fn media_is_dropped_whatever_its_length() {
    let (mut session, _, mut says) = accepted(None);
    let mut header = message(9, &[]);
    header[4..7].copy_from_slice(&[0xFF; 3]);
    let size = [&message(1, &0x7FFF_FFFFu32.to_be_bytes())[..], &header].concat();
    assert!(matches!(session.feed(&size, &mut says), Ok(Progress::Open)));
    let piece = vec![0; 1024 * 1024];
    for _ in 0..15 {
        assert!(matches!(session.feed(&piece, &mut says), Ok(Progress::Open)));
        session.take_output();
        assert!(session.held_bytes() < 4 * 1024, "{}", session.held_bytes());
    }
    // The media ends one byte early; a call comes right behind it.
    let call = message(20, &command("createStream", 2.0).finish());
    let fed = session.feed(&[&piece[..piece.len() - 1], &call].concat(), &mut says);
    assert!(matches!(fed, Ok(Progress::Open)), "{fed:?}");
    let heard = hear(&session.take_output());
    assert_eq!(heard.iter().filter(|m| m.kind == 20).count(), 1);
}

#[test]
fn what_came_is_acknowledged_before_the_window_is_full() {
    let (mut session, _, mut says) = accepted(None);
    let media = message(9, &vec![0; 60_000]);
    let opening = 3073 + message(20, &connect("live", "rtmp://lb/live")).len();
    let mut acks = Vec::new();
    for _ in 0..40 {
        assert!(matches!(session.feed(&media, &mut says), Ok(Progress::Open)));
        acks.extend(hear(&session.take_output()));
    }
    assert_eq!(acks.len(), 40 * media.len() / (1024 * 1024));
    assert!(acks.iter().all(|ack| ack.kind == 3 && ack.chunk_stream == 2));
    let first = u32::try_from(opening + 1024 * 1024).expect("small");
    assert_eq!(acks[0].payload, first.to_be_bytes());
}

#[test]
fn a_client_is_done_after_64_mib() {
    let (mut session, _, mut says) = accepted(None);
    let media = message(9, &vec![0; 1_000_000]);
    let mut sent = 0;
    while sent < 64 * 1024 * 1024 {
        let fed = session.feed(&media, &mut says).expect("media");
        session.take_output();
        sent += media.len();
        assert_eq!(matches!(fed, Progress::Done), sent >= 64 * 1024 * 1024, "{sent}");
    }
    assert_eq!(session.stage(), Stage::Over);
    assert!(matches!(session.feed(&media, &mut says), Ok(Progress::Done)));
}

#[test]
fn a_client_is_done_after_256_commands() {
    let (mut session, _, mut says) = accepted(None);
    let call = message(20, &command("createStream", 2.0).null().finish());
    for count in 1..=256 {
        let fed = session.feed(&call, &mut says).expect("a call");
        assert_eq!(matches!(fed, Progress::Done), count == 256, "{count}");
    }
    let heard = hear(&session.take_output());
    let last = command("_result", 2.0).null().number(256.0);
    assert_eq!(heard[255].payload, last.finish());
}

#[test]
fn calls_may_come_in_the_same_piece_as_connect() {
    let mut says = Says::accept();
    let mut session = Session::new([0; 1528]);
    let call = Writer::default().text(b"getLoadBalancerRedirect").number(2.0).null().finish();
    let said = [handshake(), message(20, &connect("live", "")), message(20, &call)].concat();
    assert!(matches!(session.feed(&said, &mut says), Ok(Progress::Open)));
    assert_eq!(hear(&session.take_output()[3073..]).len(), 4);
}
