//! Every reason to end a session, and what is just within bounds.

use super::{Says, command, connect, fed, handshake, message, session};
use crate::{
    figures::Label,
    rtmp::{Progress, RtmpReject, Session, Verdict, amf0::Writer},
};

fn rejected(bytes: &[u8]) -> RtmpReject {
    fed(bytes).expect_err("it is refused")
}

fn is_answered(bytes: &[u8]) -> bool {
    matches!(fed(bytes), Ok(Progress::Done))
}

fn good() -> Vec<u8> {
    message(20, &connect("live", "rtmp://lb/live"))
}

/// The header of a message of this length, and nothing of the message.
fn header(chunk_stream: u8, kind: u8, len: u32) -> Vec<u8> {
    let mut bytes = message(kind, &[]);
    bytes[0] = chunk_stream;
    bytes[4..7].copy_from_slice(&len.to_be_bytes()[1..]);
    bytes
}

#[test]
fn a_version_nobody_speaks_is_refused_at_the_first_byte() {
    for version in [0, 1, 2, 4, 5, 7, 9, 0x16, 32, b'G', 0xFF] {
        let fed = Session::new([0; 1528]).feed(&[version], &mut Says::accept());
        assert_eq!(fed.expect_err("it is refused"), RtmpReject::Version, "{version}");
    }
}

#[test]
fn a_chunk_size_is_from_1_to_31_bits() {
    for size in [0, 0x8000_0000, u32::MAX] {
        assert_eq!(rejected(&message(1, &size.to_be_bytes())), RtmpReject::ChunkSize);
    }
    assert_eq!(rejected(&message(1, &[0, 0, 1])), RtmpReject::ChunkSize);
    assert_eq!(rejected(&message(1, &[0, 0, 1, 0, 0])), RtmpReject::ChunkSize);
    assert!(fed(&message(1, &0x7FFF_FFFFu32.to_be_bytes())).is_ok());
    assert!(fed(&message(1, &1u32.to_be_bytes())).is_ok());
}

#[test]
fn an_abort_names_a_chunk_stream() {
    assert_eq!(rejected(&message(2, &[0, 0, 3])), RtmpReject::Abort);
    assert!(is_answered(&[message(2, &[0, 0, 0, 9]), good()].concat()), "an unknown one is fine");
}

#[test]
fn the_first_chunk_of_a_chunk_stream_says_what_its_message_is() {
    assert_eq!(rejected(&[0xC3]), RtmpReject::HeaderMissing);
    assert_eq!(rejected(&[0x83, 0, 0, 0]), RtmpReject::HeaderMissing);
    // Without a message stream it is taken for stream 0.
    let mut bytes = good();
    bytes[0] |= 0x40;
    bytes.drain(8..12);
    assert!(is_answered(&bytes));
}

#[test]
fn a_message_ends_before_the_next_begins() {
    let begun = &good()[..12 + 128];
    assert_eq!(rejected(&[begun, &good()].concat()), RtmpReject::MessageUnfinished);
}

#[test]
fn a_message_over_16_kib_is_refused_by_its_header() {
    for kind in [9, 18, 20] {
        assert_eq!(rejected(&header(3, kind, 16 * 1024 + 1)), RtmpReject::MessageTooLong);
        assert_eq!(rejected(&header(3, kind, 0xFF_FFFF)), RtmpReject::MessageTooLong);
        assert!(fed(&header(3, kind, 16 * 1024)).is_ok());
    }
}

#[test]
fn a_command_over_16_kib_is_refused_after_connect_too() {
    let mut says = Says::new(Verdict::Accept { reconnect: None });
    let bytes = [good(), header(3, 20, 16 * 1024 + 1)].concat();
    let fed = session().feed(&bytes, &mut says);
    assert_eq!(fed.expect_err("it is refused"), RtmpReject::MessageTooLong);
}

#[test]
fn the_ninth_chunk_stream_is_refused() {
    let eight: Vec<u8> = (4..12).flat_map(|stream| header(stream, 9, 0)).collect();
    assert!(fed(&eight).is_ok());
    assert_eq!(rejected(&[eight, good()].concat()), RtmpReject::TooManyChunkStreams);
}

#[test]
fn the_33rd_chunk_stream_is_refused_after_connect() {
    let fed = |last: u8| {
        // Connect takes chunk stream 3.
        let more = (4..=last).flat_map(|stream| header(stream, 9, 0));
        session().feed(&good().into_iter().chain(more).collect::<Vec<_>>(), &mut Says::accept())
    };
    assert!(matches!(fed(34), Ok(Progress::Open)));
    assert_eq!(fed(35).expect_err("it is refused"), RtmpReject::TooManyChunkStreams);
}

#[test]
fn connect_is_at_most_the_32nd_message() {
    let quiet = |count| [header(4, 9, 0).repeat(count), good()].concat();
    assert!(is_answered(&quiet(31)));
    assert_eq!(rejected(&quiet(32)), RtmpReject::TooManyMessages);
}

#[test]
fn connect_ends_within_32_kib() {
    let quiet = message(9, &[0; 16_000]);
    let left = 32 * 1024 - quiet.len() - good().len();
    let to_the_byte = |left: usize| [quiet.clone(), message(9, &vec![0; left]), good()].concat();
    // One header, and one byte for each further chunk.
    let fill = left - 12 - left / 129;
    let excess = to_the_byte(fill).len() as isize - 32 * 1024;
    let fill = fill.checked_add_signed(-excess).expect("small");
    assert_eq!(to_the_byte(fill).len(), 32 * 1024);
    assert!(is_answered(&to_the_byte(fill)));
    assert_eq!(rejected(&to_the_byte(fill + 1)), RtmpReject::TooManyBytes);
}

#[test]
fn who_has_not_come_to_connect_holds_no_more_than_80_kib() {
    let large = message(1, &16_000_u32.to_be_bytes());
    let begun = |stream| [header(stream, 20, 16 * 1024), vec![0; 16_000]].concat();
    let (mut session, mut says) = (session(), Says::accept());
    let all = [large, begun(4), begun(5), begun(6)].concat();
    let mut end = None;
    for piece in all.chunks(1_000) {
        end = session.feed(piece, &mut says).err().or(end);
        assert!(session.held_bytes() <= 80 * 1024, "{}", session.held_bytes());
    }
    assert_eq!(end, Some(RtmpReject::TooManyBytes));
}

#[test]
fn commands_under_way_hold_64_kib_together() {
    let mut says = Says::accept();
    let mut session = session();
    assert!(session.feed(&good(), &mut says).is_ok());
    session.take_output();
    // Each lacks its last byte, which takes another chunk.
    let small = message(1, &(16 * 1024 - 1u32).to_be_bytes());
    assert!(session.feed(&small, &mut says).is_ok());
    let mut ends = Vec::new();
    for stream in 10..20 {
        let bytes = [header(stream, 20, 16 * 1024), vec![0; 16 * 1024 - 1]].concat();
        ends.push(session.feed(&bytes, &mut says).err());
        assert!(session.held_bytes() < 256 * 1024);
    }
    assert_eq!(ends[..4], [None; 4]);
    assert_eq!(ends[4], Some(RtmpReject::TooManyBytes));
}

#[test]
fn objects_nested_4_000_deep_are_refused() {
    let begin = command("connect", 1.0).begin();
    let bomb = (0..4_000).fold(begin, |writer, _| writer.key(b"a").begin()).finish();
    assert!(bomb.len() <= 16 * 1024);
    assert_eq!(rejected(&message(20, &bomb)), RtmpReject::AmfDepth);
    let arrays = (0..3_000).fold(command("connect", 1.0), |writer, _| writer.array(1)).finish();
    assert_eq!(rejected(&message(20, &arrays)), RtmpReject::AmfDepth);
}

#[test]
fn an_array_of_4_billion_is_refused_where_it_ends() {
    let array = command("connect", 1.0).begin().key(b"a").array(u32::MAX).null().finish();
    assert_eq!(rejected(&message(20, &array)), RtmpReject::AmfMalformed);
}

#[test]
fn a_command_has_a_name_and_a_number() {
    for payload in [
        Writer::default(),
        Writer::default().text(b"connect"),
        Writer::default().number(1.0).text(b"connect"),
        Writer::default().text(b"connect").null(),
        command("connect", 1.0).begin(),
    ] {
        assert_eq!(rejected(&message(20, &payload.finish())), RtmpReject::AmfMalformed);
    }
    assert_eq!(rejected(&message(17, &[])), RtmpReject::AmfMalformed);
}

#[test]
fn an_application_is_named_once() {
    let twice = command("connect", 1.0).begin().pair("app", "a").pair("app", "b").end();
    assert_eq!(rejected(&message(20, &twice.finish())), RtmpReject::AmfMalformed);
}

#[test]
fn amf3_is_refused() {
    let payload = [vec![3], connect("live", "")].concat();
    assert_eq!(rejected(&message(17, &payload)), RtmpReject::AmfMarker);
    let switch = [command("connect", 1.0).finish(), vec![0x11, 0x0A]].concat();
    assert_eq!(rejected(&message(20, &switch)), RtmpReject::AmfMarker);
}

fn with_app(app: &[u8]) -> Vec<u8> {
    let payload = command("connect", 1.0).begin().key(b"app").text(app).end();
    message(20, &payload.finish())
}

fn with_url(url: &[u8]) -> Vec<u8> {
    let payload = command("connect", 1.0).begin().key(b"tcUrl").text(url).end();
    message(20, &payload.finish())
}

#[test]
fn an_application_and_its_url_are_short_plain_text() {
    for with in [with_app, with_url] {
        assert!(is_answered(&with(&[b'a'; 2048])));
        assert_eq!(rejected(&with(&[b'a'; 2049])), RtmpReject::TextTooLong);
        assert_eq!(rejected(&with(b"a\xFF")), RtmpReject::NotUtf8);
        for hostile in ["a\r\nb", "a\0", "\u{7f}", "\u{85}"] {
            let fed = rejected(&with(hostile.as_bytes()));
            assert_eq!(fed, RtmpReject::ControlCharacter, "{hostile:?}");
        }
        assert!(is_answered(&with("größe \u{202e}".as_bytes())), "text of any script is text");
    }
}

#[test]
fn nothing_is_called_before_connect() {
    for name in ["createStream", "Connect", "connect\0", ""] {
        let call = message(20, &command(name, 1.0).null().finish());
        assert_eq!(rejected(&call), RtmpReject::NotConnect, "{name:?}");
    }
}

#[test]
fn after_a_reject_all_is_dropped() {
    let (mut session, mut says) = (Session::new([0; 1528]), Says::accept());
    assert!(session.feed(b"GET / HTTP/1.1", &mut says).is_err());
    let fed = session.feed(&[handshake(), good()].concat(), &mut says);
    assert!(matches!(fed, Ok(Progress::Done)));
    assert!(session.take_output().is_empty() && says.asked.is_empty());
}

#[test]
fn every_reason_has_its_place_and_a_name_of_its_own() {
    for (place, reason) in RtmpReject::ALL.iter().enumerate() {
        assert_eq!(reason.index(), place);
        let same = RtmpReject::ALL.iter().filter(|other| other.as_str() == reason.as_str());
        assert_eq!(same.count(), 1);
    }
}
