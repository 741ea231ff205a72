//! The EHB1 envelope: a fixed 64-byte header, then ciphertext in blocks of 64, then a 16-byte tag.
//! docs/heartbeat.md has the byte table. Parsing allocates nothing and trusts nothing.

use std::fmt;

use crate::{edge::EdgeId, key::KeyId};

/// The header, all of it associated data of the seal.
pub const HEADER_LEN: usize = 64;
/// The GCM tag.
pub const TAG_LEN: usize = 16;
/// Ciphertext comes in blocks of this size, so lengths do not tell the load's digits.
pub const BLOCK_LEN: usize = 64;
/// The most blocks: 1,168 bytes fit QUIC's 1,200-byte floor (RFC 9000 section 14).
pub const BLOCKS_MAX: usize = 17;
/// The shortest datagram.
pub const DATAGRAM_LEN_MIN: usize = HEADER_LEN + BLOCK_LEN + TAG_LEN;
/// The longest datagram.
pub const DATAGRAM_LEN_MAX: usize = HEADER_LEN + BLOCKS_MAX * BLOCK_LEN + TAG_LEN;
/// A heartbeat that wants an ack is at least this long, so that no ack outgrows its request.
pub const WANT_ACK_BLOCKS_MIN: usize = 2;
/// A session ends at this sequence and the sender begins a new one.
pub const SESSION_SEQUENCE_MAX: u64 = 1 << 20;

const MAGIC: &[u8; 3] = b"EHB";
const VERSION: u8 = 1;
const WANT_ACK: u8 = 1;

/// What a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An edge reports.
    Heartbeat,
    /// An edge leaves.
    Goodbye,
    /// A redirector answers.
    Ack,
}

/// One run of a sender: its start in Unix milliseconds (big-endian), then 8 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// A session that starts at `start_unix_ms`, told from others of that instant by `random`.
    #[must_use]
    pub fn new(start_unix_ms: u64, random: [u8; 8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&start_unix_ms.to_be_bytes());
        bytes[8..].copy_from_slice(&random);
        Self(bytes)
    }

    /// When the sender says the session started, in Unix milliseconds.
    #[must_use]
    pub fn start_unix_ms(&self) -> u64 {
        u64::from_be_bytes(field(&self.0, 0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The header's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the datagram is.
    pub kind: Kind,
    /// The sender asks for an [`Kind::Ack`].
    pub want_ack: bool,
    /// Which fleet key the session's key descends from.
    pub key_id: KeyId,
    /// The edge's id; in an ack, the redirector's boot id.
    pub sender: [u8; 16],
    /// The edge's session; an ack repeats it.
    pub session: SessionId,
    /// The sender's wall clock.
    pub sent_at_unix_ms: u64,
    /// Random in each datagram; with the sequence it is the nonce.
    pub salt: [u8; 4],
    /// Counts from 1 and never repeats in a session.
    pub sequence: u64,
}

impl Header {
    /// The sender as an edge id.
    #[must_use]
    pub fn edge_id(&self) -> EdgeId {
        EdgeId(self.sender)
    }

    /// The nonce of the seal: salt, then sequence.
    pub(crate) fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.salt);
        nonce[4..].copy_from_slice(&self.sequence.to_be_bytes());
        nonce
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..3].copy_from_slice(MAGIC);
        bytes[3] = VERSION;
        bytes[4] = match self.kind {
            Kind::Heartbeat => 1,
            Kind::Goodbye => 2,
            Kind::Ack => 3,
        };
        bytes[5] = if self.want_ack { WANT_ACK } else { 0 };
        bytes[8..12].copy_from_slice(&self.key_id.0);
        bytes[12..28].copy_from_slice(&self.sender);
        bytes[28..44].copy_from_slice(&self.session.0);
        bytes[44..52].copy_from_slice(&self.sent_at_unix_ms.to_be_bytes());
        bytes[52..64].copy_from_slice(&self.nonce());
        bytes
    }
}

/// A datagram that has the right shape. Nothing in it is authenticated yet.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The parsed header.
    pub header: Header,
    /// The header as it came: the associated data.
    pub(crate) head: &'a [u8],
    /// Ciphertext and tag.
    pub(crate) sealed: &'a [u8],
}

impl Datagram<'_> {
    /// The datagram's length in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.head.len() + self.sealed.len()
    }
}

/// Why bytes are no datagram. The name of each variant is its counter's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not 80 + 64 k bytes with k from 1 to 17.
    #[error("length is not one a datagram can have")]
    BadLength,
    /// Does not begin with `EHB`.
    #[error("does not begin with EHB")]
    BadMagic,
    /// A version this build does not know. Never guessed at.
    #[error("unknown version")]
    UnknownVersion,
    /// A type this build does not know.
    #[error("unknown type")]
    UnknownType,
    /// A flag, a reserved byte or the sequence is not what version 1 allows.
    #[error("reserved bits are set")]
    ReservedBits,
}

/// Reads a datagram's header, cheapest check first.
pub fn parse(bytes: &[u8]) -> Result<Datagram<'_>, Malformed> {
    let fits = (DATAGRAM_LEN_MIN..=DATAGRAM_LEN_MAX).contains(&bytes.len())
        && (bytes.len() - HEADER_LEN - TAG_LEN).is_multiple_of(BLOCK_LEN);
    if !fits {
        return Err(Malformed::BadLength);
    }
    let (head, sealed) = bytes.split_at(HEADER_LEN);
    if &head[..3] != MAGIC {
        return Err(Malformed::BadMagic);
    }
    if head[3] != VERSION {
        return Err(Malformed::UnknownVersion);
    }
    let kind = match head[4] {
        1 => Kind::Heartbeat,
        2 => Kind::Goodbye,
        3 => Kind::Ack,
        _ => return Err(Malformed::UnknownType),
    };
    let sequence = u64::from_be_bytes(field(head, 56));
    if head[5] & !WANT_ACK != 0 || head[6..8] != [0, 0] || sequence == 0 {
        return Err(Malformed::ReservedBits);
    }
    let header = Header {
        kind,
        want_ack: head[5] & WANT_ACK != 0,
        key_id: KeyId(field(head, 8)),
        sender: field(head, 12),
        session: SessionId(field(head, 28)),
        sent_at_unix_ms: u64::from_be_bytes(field(head, 44)),
        salt: field(head, 52),
        sequence,
    };
    Ok(Datagram { header, head, sealed })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
