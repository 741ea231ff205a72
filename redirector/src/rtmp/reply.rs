//! What a client is told, in bytes.
//!
//! Always AMF0 in messages of type 20: clients that understand AMF3 understand this too, and many
//! understand nothing else.

use super::{
    amf0::Writer,
    chunk::{CHUNK_SIZE_DEFAULT, Header, kind, write_message},
    command::CAPS_RECONNECT,
};

/// What a client may have unacknowledged, in bytes, as media servers have it.
const WINDOW_BYTES: u32 = 2_500_000;
/// The client may exceed the limit where it had no other before.
const LIMIT_DYNAMIC: u8 = 2;
/// What stands for a description that is empty: without one, clients show a bare input error.
const DESCRIPTION_DEFAULT: &str = "rejected";
/// Chunk streams: the protocol's own, and commands.
const PROTOCOL: u32 = 2;
const COMMANDS: u32 = 3;

/// A rejection: `_error`, with the URL to go to if there is one, and `close`.
///
/// Both are needed for a client to follow, the URL's object last. `description` is for people, who
/// see it where their program does not follow; it must not hold what programs look for in it, such
/// as `authmod=`. An empty one is never written.
#[must_use]
pub fn rejection(transaction: f64, redirect: Option<&str>, description: &str) -> Vec<u8> {
    let description = if description.is_empty() { DESCRIPTION_DEFAULT } else { description };
    let info = command("_error", transaction)
        .null()
        .begin()
        .pair("level", "error")
        .pair("code", "NetConnection.Connect.Rejected")
        .pair("description", description);
    let info = match redirect {
        Some(url) => info.key(b"ex").begin().key(b"code").number(302.0).pair("redirect", url).end(),
        None => info,
    };
    let mut out = Vec::new();
    write_command(0, info.end(), &mut out);
    write_command(0, command("close", 0.0).null(), &mut out);
    out
}

/// The answer to a `connect` that is accepted, as media servers give it. With `reconnects` it says
/// that a request to reconnect may follow.
pub(super) fn acceptance(transaction: f64, reconnects: bool, out: &mut Vec<u8>) {
    let window = WINDOW_BYTES.to_be_bytes();
    write_protocol(kind::WINDOW_ACK_SIZE, &window, out);
    write_protocol(kind::SET_PEER_BANDWIDTH, &[&window[..], &[LIMIT_DYNAMIC]].concat(), out);
    let properties = command("_result", transaction)
        .begin()
        .pair("fmsVer", "FMS/3,0,1,123")
        .key(b"capabilities")
        .number(31.0);
    let info = with_caps(properties, reconnects)
        .end()
        .begin()
        .pair("level", "status")
        .pair("code", "NetConnection.Connect.Success")
        .pair("description", "Connection succeeded.")
        .key(b"objectEncoding")
        .number(0.0);
    write_command(0, with_caps(info, reconnects).end(), out);
}

/// Implementations differ in which of the two objects holds capabilities, so both do.
fn with_caps(object: Writer, reconnects: bool) -> Writer {
    if reconnects { object.key(b"capsEx").number(CAPS_RECONNECT.into()) } else { object }
}

/// The request to reconnect to `url` (Enhanced RTMP v2).
pub(super) fn reconnect_request(url: &str, out: &mut Vec<u8>) {
    let status = command("onStatus", 0.0)
        .null()
        .begin()
        .pair("level", "status")
        .pair("code", "NetConnection.Connect.ReconnectRequest")
        .pair("tcUrl", url)
        .pair("description", "The stream is served elsewhere.")
        .end();
    write_command(0, status, out);
}

/// A text as the result of a call.
pub(super) fn text_result(transaction: f64, text: &str, out: &mut Vec<u8>) {
    write_command(0, command("_result", transaction).null().text(text.as_bytes()), out);
}

/// A number as the result of a call.
pub(super) fn number_result(transaction: f64, number: f64, out: &mut Vec<u8>) {
    write_command(0, command("_result", transaction).null().number(number), out);
}

/// That what was asked for on a message stream has begun.
pub(super) fn status(message_stream: u32, code: &str, out: &mut Vec<u8>) {
    let status = command("onStatus", 0.0)
        .null()
        .begin()
        .pair("level", "status")
        .pair("code", code)
        .pair("description", "Started.")
        .end();
    write_command(message_stream, status, out);
}

/// That this many bytes have come, modulo 2^32.
pub(super) fn acknowledgement(received_bytes: u64, out: &mut Vec<u8>) {
    write_protocol(kind::ACKNOWLEDGEMENT, &received_bytes.to_be_bytes()[4..], out);
}

fn command(name: &str, transaction: f64) -> Writer {
    Writer::default().text(name.as_bytes()).number(transaction)
}

fn write_command(message_stream: u32, payload: Writer, out: &mut Vec<u8>) {
    let header = header(COMMANDS, kind::COMMAND, message_stream);
    write_message(header, &payload.finish(), CHUNK_SIZE_DEFAULT, out);
}

fn write_protocol(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    write_message(header(PROTOCOL, kind, 0), payload, CHUNK_SIZE_DEFAULT, out);
}

fn header(chunk_stream: u32, kind: u8, message_stream: u32) -> Header {
    Header { fmt: 0, chunk_stream, time_ms: 0, extended: false, len_bytes: 0, kind, message_stream }
}
