//! The sealed datagram: the agreed vector, and what every change to a datagram leads to.

use proptest::prelude::*;
use tidegate_proto::{
    datagram::{DATAGRAM_LEN_MAX, Header, Kind, Malformed, SessionId, parse},
    edge::EdgeId,
    heartbeat::{Heartbeat, Status},
    key::KeyId,
    seal::{FleetKey, PAYLOAD_LEN_MAX, TooLong, Unopened},
};

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex"))
}

fn key() -> FleetKey {
    FleetKey::from_bytes(std::array::from_fn(|i| i as u8))
}

fn header() -> Header {
    Header {
        kind: Kind::Heartbeat,
        want_ack: false,
        key_id: key().id(),
        sender: std::array::from_fn(|i| 0xa0 + i as u8),
        session: SessionId::new(1_700_000_000_000, std::array::from_fn(|i| 0xb8 + i as u8)),
        sent_at_unix_ms: 1_700_000_002_500,
        salt: [0xde, 0xad, 0xbe, 0xef],
        sequence: 1,
    }
}

/// The known-answer vector, agreed by two independent implementations.
const VECTOR: &str = concat!(
    "454842",                           // magic EHB
    "01",                               // version
    "01",                               // type: heartbeat
    "00",                               // flags
    "0000",                             // reserved
    "cb91fb8f",                         // key id
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", // edge id
    "0000018bcfe56800b8b9babbbcbdbebf", // session: start, random
    "0000018bcfe571c4",                 // sent at
    "deadbeef",                         // salt
    "0000000000000001",                 // sequence
    "841dc4f082e22c2e0e0a7b978ff43bdd5747858631d5cccc9e99d9a56bfd4784",
    "7112d25e65c650709885427c50741ca64395cddfbbe304849788c02358dd77bb", // ciphertext
    "a63c477cdad089e7a421e3493a4aab20",                                 // tag
);

#[test]
fn the_known_answer_vector_is_made_and_opened() {
    let expected: [u8; 144] = bytes(VECTOR);
    assert_eq!(key().id(), KeyId(bytes("cb91fb8f")));
    let edge_key = key().edge_key(EdgeId(header().sender));
    let session_key = edge_key.heartbeat_key(header().session);
    let made = session_key.seal(&header(), &[0x08, 0x01], 1).expect("it fits");
    assert_eq!(made, expected);

    let datagram = parse(&expected).expect("the vector is well formed");
    assert_eq!(datagram.header, header());
    let payload = session_key.open(&datagram).expect("the vector is authentic");
    assert_eq!(Heartbeat::decode(&payload).map(|h| h.status), Ok(Status::Running));
}

#[test]
fn an_ack_key_differs_by_redirector_and_from_the_heartbeat_key() {
    let edge_key = key().edge_key(EdgeId(header().sender));
    let session = header().session;
    let sealed = edge_key.ack_key(session, [1; 16]).seal(&header(), b"x", 1).expect("it fits");
    let datagram = parse(&sealed).expect("well formed");
    let open = |key: tidegate_proto::seal::SessionKey| key.open(&datagram);
    assert_eq!(open(edge_key.ack_key(session, [1; 16])), Ok(b"x".to_vec()));
    assert_eq!(open(edge_key.ack_key(session, [2; 16])), Err(Unopened::Forged));
    assert_eq!(open(edge_key.heartbeat_key(session)), Err(Unopened::Forged));
    assert_eq!(
        open(key().edge_key(EdgeId([0; 16])).ack_key(session, [1; 16])),
        Err(Unopened::Forged)
    );
}

#[test]
fn the_longest_payload_fits_and_one_more_byte_does_not() {
    let session_key = key().edge_key(EdgeId(header().sender)).heartbeat_key(header().session);
    let longest = vec![7; PAYLOAD_LEN_MAX];
    let sealed = session_key.seal(&header(), &longest, 1).expect("it fits");
    assert_eq!(sealed.len(), DATAGRAM_LEN_MAX);
    assert_eq!(session_key.open(&parse(&sealed).expect("well formed")), Ok(longest));
    let over = vec![7; PAYLOAD_LEN_MAX + 1];
    assert_eq!(session_key.seal(&header(), &over, 1), Err(TooLong(PAYLOAD_LEN_MAX + 1)));
}

#[test]
fn each_malformation_has_its_reason() {
    let good: [u8; 144] = bytes(VECTOR);
    let with = |at: usize, byte: u8| {
        let mut changed = good;
        changed[at] = byte;
        parse(&changed).err()
    };
    assert_eq!(parse(&good[..143]).err(), Some(Malformed::BadLength));
    assert_eq!(parse(&[]).err(), Some(Malformed::BadLength));
    assert_eq!(parse(&vec![0; 1 << 16]).err(), Some(Malformed::BadLength));
    assert_eq!(with(0, b'X'), Some(Malformed::BadMagic));
    assert_eq!(with(3, 2), Some(Malformed::UnknownVersion));
    assert_eq!(with(4, 9), Some(Malformed::UnknownType));
    assert_eq!(with(5, 2), Some(Malformed::ReservedBits));
    assert_eq!(with(6, 1), Some(Malformed::ReservedBits));
    assert_eq!(with(63, 0), Some(Malformed::ReservedBits));
}

proptest! {
    #[test]
    fn any_bytes_parse_or_are_refused(junk in prop::collection::vec(any::<u8>(), 0..1300)) {
        let _ = parse(&junk);
    }

    #[test]
    fn a_flipped_bit_never_opens(at in 0usize..144, bit in 0u8..8) {
        let mut changed: [u8; 144] = bytes(VECTOR);
        changed[at] ^= 1 << bit;
        if let Ok(datagram) = parse(&changed) {
            let edge_key = key().edge_key(datagram.header.edge_id());
            let opened = edge_key.heartbeat_key(datagram.header.session).open(&datagram);
            prop_assert_eq!(opened, Err(Unopened::Forged));
        }
    }

    #[test]
    fn what_is_sealed_opens(
        payload in prop::collection::vec(any::<u8>(), 0..=PAYLOAD_LEN_MAX),
        blocks_min in 1usize..4,
        sequence in 1u64..,
    ) {
        let header = Header { sequence, want_ack: true, ..header() };
        let key = key().edge_key(header.edge_id()).heartbeat_key(header.session);
        let sealed = key.seal(&header, &payload, blocks_min).expect("it fits");
        prop_assert!(sealed.len() >= 80 + 64 * blocks_min);
        let datagram = parse(&sealed).expect("well formed");
        prop_assert_eq!(datagram.header, header);
        prop_assert_eq!(key.open(&datagram), Ok(payload));
    }

    #[test]
    fn any_payload_decodes_or_is_refused(junk in prop::collection::vec(any::<u8>(), 0..1024)) {
        if let Ok(heartbeat) = Heartbeat::decode(&junk) {
            prop_assert_eq!(Heartbeat::decode(&heartbeat.encode()), Ok(heartbeat));
        }
    }
}
