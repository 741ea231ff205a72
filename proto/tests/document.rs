//! Every hex value in docs/heartbeat.md, computed again from what stands before it.

use std::{fs, path::Path};

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use sha2::Sha256;
use tidegate_proto::{
    datagram::{Header, Kind, SessionId, parse},
    edge::{Capacity, EdgeId, Endpoint, Scheme},
    heartbeat::{Ack, Heartbeat, Load, Order},
    key::{KeyId, SendKey},
    seal::FleetKey,
};

const BOOT: [u8; 16] = [0x0b; 16];

struct Page(String);

impl Page {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/heartbeat.md");
        Self(fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    /// The value in the table row of the last section that begins so.
    fn row(&self, name: &str) -> Vec<u8> {
        let begin = format!("| {name} | ");
        let (_, section) = self.0.split_once("## A heartbeat, byte by byte").expect("the section");
        let line = section.lines().find(|line| line.starts_with(&begin));
        let line = line.unwrap_or_else(|| panic!("no row {name}"));
        hex(line.trim_end_matches("` |").rsplit('`').next().unwrap_or_default())
    }

    fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        let value = self.row(name);
        <[u8; N]>::try_from(value).unwrap_or_else(|value| panic!("{name}: {} bytes", value.len()))
    }

    /// The bytes of a code block: of each line, what stands before two blanks.
    fn block(&self, index: usize) -> Vec<u8> {
        let block = self.0.split("```").nth(2 * index + 1).expect("a block");
        hex(&block.lines().filter_map(|line| line.split("  ").next()).collect::<String>())
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("a hex byte");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn extract(salt: &[u8], input: &[u8]) -> Vec<u8> {
    Hkdf::<Sha256>::extract(Some(salt), input).0.to_vec()
}

fn expand(prk: &[u8], info: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    Hkdf::<Sha256>::from_prk(prk).expect("32 bytes").expand(info, &mut out).expect("short");
    out
}

fn header(page: &Page, kind: Kind, sender: [u8; 16]) -> Header {
    Header {
        kind,
        want_ack: false,
        key_id: KeyId(page.array("key id")),
        sender,
        session: SessionId(page.array("session")),
        sent_at_unix_ms: u64::from_be_bytes(page.array("sent at")),
        salt: page.array("salt"),
        sequence: u64::from_be_bytes(page.array("sequence")),
    }
}

#[test]
fn the_fleet_key_leads_to_every_key() {
    let page = Page::read();
    let (edge, session) = (page.row("edge UUID"), page.row("session"));
    let prk = extract(&[0; 32], &page.row("fleet key `K`"));
    assert_eq!(page.row("PRK of `K`"), prk);
    assert_eq!(page.row("info of the key id"), b"ehb1 key id");
    assert_eq!(page.row("key id"), expand(&prk, b"ehb1 key id", 4));
    let info = [b"ehb1 edge key".as_slice(), &edge].concat();
    assert_eq!(page.row("info of the edge key"), info);
    let edge_key = expand(&prk, &info, 32);
    assert_eq!(page.row("edge key `E`"), edge_key);
    for (name, peer, info, key) in [
        (
            "PRK of the session",
            [0; 16],
            ("info of heartbeats", b"ehb1 session \0"),
            "heartbeat key",
        ),
        ("PRK of acks", BOOT, ("info of acks", b"ehb1 session \x01"), "ack key"),
    ] {
        let prk = extract(&[session.as_slice(), &peer].concat(), &edge_key);
        assert_eq!(page.row(name), prk);
        assert_eq!(page.row(info.0), info.1);
        assert_eq!(page.row(key), expand(&prk, info.1, 32));
    }
}

#[test]
fn the_datagram_is_what_the_values_make() {
    let page = Page::read();
    let header = header(&page, Kind::Heartbeat, page.array("edge UUID"));
    let fleet = FleetKey::from_bytes(page.array("fleet key `K`"));
    assert_eq!(fleet.id(), header.key_id);
    let key = fleet.edge_key(header.edge_id()).heartbeat_key(header.session);
    let payload = page.row("payload");
    assert_eq!(Heartbeat::decode(&payload), Ok(Heartbeat::default()));
    let mut plain = [2_u16.to_be_bytes().as_slice(), &payload].concat();
    plain.resize(64, 0);
    assert_eq!(page.row("plaintext"), plain);
    let nonce = [page.row("salt"), page.row("sequence")].concat();
    assert_eq!(page.row("nonce"), nonce);
    assert_eq!(page.block(0)[52..64], nonce);
    assert_eq!(page.block(0), key.seal(&header, &payload, 1).expect("it fits"));
}

#[test]
fn the_ack_is_what_the_values_make() {
    let page = Page::read();
    let header = header(&page, Kind::Ack, BOOT);
    let fleet = FleetKey::from_bytes(page.array("fleet key `K`"));
    let key = fleet.edge_key(EdgeId(page.array("edge UUID"))).ack_key(header.session, BOOT);
    let block = page.block(1);
    let payload = key.open(&parse(&block).expect("well formed")).expect("authentic");
    assert_eq!(page.row("payload of the ack"), payload);
    assert_eq!(block, key.seal(&header, &payload, 1).expect("it fits"));
    let ack = Ack::decode(&payload).expect("an ack");
    assert_eq!((ack.sequence, ack.order, ack.order_revision), (4, Order::Draining, 7));
    assert_eq!((ack.lease.as_secs(), ack.known_for.as_secs()), (8, 3_600));
    assert_eq!(ack.sent_at_unix_ms, header.sent_at_unix_ms);
}

#[test]
fn the_payload_is_what_its_lines_say() {
    let payload = Page::read().block(2);
    let said = Heartbeat {
        name: Some("edge-1".parse().expect("a name")),
        redirect_address: Some("203.0.113.7".parse().expect("a host")),
        endpoints: vec![Endpoint { scheme: Scheme::Http, port: 8_080.try_into().expect("a port") }],
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        capacity: Capacity { viewers: Some(4_000), ..Capacity::default() },
        load: Load { viewers: Some(12), ..Load::default() },
        target_count: 2,
        server_version: "nginx/1.22.1".into(),
        ..Heartbeat::default()
    };
    assert_eq!(said.encode(), payload);
    assert_eq!(Heartbeat::decode(&payload), Ok(said));
}

#[test]
fn the_text_key_is_stretched_as_its_paragraph_says() {
    let page = Page::read();
    let line = page.0.lines().find(|line| line.contains("Argon2id (RFC 9106)")).expect("it");
    let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    let [_, salt, _, text, key, id] = quoted[..] else { panic!("other values: {quoted:?}") };
    let params = Params::new(65_536, 3, 1, Some(32)).expect("within bounds");
    let mut made = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(text.as_bytes(), salt.as_bytes(), &mut made)
        .expect("within bounds");
    assert_eq!(hex(key), made);
    let read: SendKey = text.parse().expect("a text key");
    assert_eq!(hex(id), read.key_id().0);
}
