//! What must hold for any bytes a stranger or a key holder sends.
//!
//! Each function here is the whole body of the fuzz target of its name (`tests/fuzz`). The corpus
//! test replays every kept input through the same functions, so what a fuzzer once found stays
//! found. A broken promise panics.

mod amf0;
mod config;
mod http;
mod location;
mod rtmp;
mod rtmpt;
mod source_pages;

use tidegate_proto::{
    datagram::{self, BLOCK_LEN, Datagram, HEADER_LEN, Kind, TAG_LEN},
    edge::EdgeId,
    heartbeat::{Ack, Heartbeat},
    seal::{FleetKey, SessionKey},
};

pub use self::{
    amf0::amf0, config::config, http::http, location::location, rtmp::rtmp, rtmpt::rtmpt,
    source_pages::source_pages,
};

/// What a parser made of an input. Both are fine; a corpus needs some of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was read whole.
    Accepted,
    /// It was turned down without harm.
    Refused,
}

/// A fuzz target's body.
pub type Target = fn(&[u8]) -> Verdict;

/// Every target and its name, which is also its folder in `tests/fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("amf0", amf0),
    ("config", config),
    ("datagram", datagram),
    ("http", http),
    ("location", location),
    ("payload", payload),
    ("rtmp", rtmp),
    ("rtmpt", rtmpt),
    ("source_pages", source_pages),
];

/// The edge that acks in the corpus are for; `a0` to `af`, as in the vector of docs/heartbeat.md.
const ACKED_EDGE: EdgeId = EdgeId([
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
]);

/// The envelope: parsing and opening never panic, the header survives being written again, and
/// what opens is sealed again to the very same bytes.
pub fn datagram(bytes: &[u8]) -> Verdict {
    let Ok(datagram) = datagram::parse(bytes) else { return Verdict::Refused };
    assert_eq!(datagram.len_bytes(), bytes.len());
    assert_eq!(datagram.header.encode()[..], bytes[..HEADER_LEN]);
    let key = session_key(&datagram);
    let Ok(payload) = key.open(&datagram) else { return Verdict::Refused };
    let blocks = (bytes.len() - HEADER_LEN - TAG_LEN) / BLOCK_LEN;
    let again = key.seal(&datagram.header, &payload, blocks);
    assert_eq!(again.as_deref(), Ok(bytes));
    Verdict::Accepted
}

/// The opened payload: what decodes is within bounds, so it decodes to the same once more.
pub fn payload(bytes: &[u8]) -> Verdict {
    if let Ok(ack) = Ack::decode(bytes) {
        assert_eq!(Ack::decode(&ack.encode()), Ok(ack));
    }
    let Ok(heartbeat) = Heartbeat::decode(bytes) else { return Verdict::Refused };
    assert_eq!(Heartbeat::decode(&heartbeat.encode()), Ok(heartbeat));
    Verdict::Accepted
}

/// The key of a datagram under the fleet key `00` to `1f`, that of the vector in docs/heartbeat.md.
fn session_key(datagram: &Datagram<'_>) -> SessionKey {
    let header = &datagram.header;
    let fleet = FleetKey::from_bytes(std::array::from_fn(|i| i as u8));
    match header.kind {
        Kind::Ack => fleet.edge_key(ACKED_EDGE).ack_key(header.session, header.sender),
        Kind::Heartbeat | Kind::Goodbye => {
            fleet.edge_key(header.edge_id()).heartbeat_key(header.session)
        }
    }
}
