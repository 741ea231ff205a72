//! The key schedule and the seal: HKDF-SHA256 and AES-256-GCM (docs/heartbeat.md).
//!
//! A session has a key of its own and counts its datagrams, so a nonce cannot repeat however many
//! edges share a fleet key; redirectors put their boot id into the ack key's salt, so two of them
//! never share one. Keys are wiped when dropped and never shown.

use std::fmt;

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    datagram::{BLOCK_LEN, BLOCKS_MAX, Datagram, HEADER_LEN, Header, SessionId, TAG_LEN},
    edge::EdgeId,
    key::KeyId,
};

/// The longest payload, in bytes: 17 blocks less the two-byte length.
pub const PAYLOAD_LEN_MAX: usize = BLOCKS_MAX * BLOCK_LEN - 2;

const INFO_KEY_ID: &[u8] = b"ehb1 key id";
const INFO_EDGE_KEY: &[u8] = b"ehb1 edge key";
const INFO_SESSION: &[u8] = b"ehb1 session ";
const TO_REDIRECTOR: u8 = 0;
const TO_EDGE: u8 = 1;

/// The key of a whole fleet. Whoever holds it can speak for any edge.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct FleetKey(pub(crate) [u8; 32]);

/// The key of one edge, derived from the fleet's. Its holder can speak for that edge only.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EdgeKey(pub(crate) [u8; 32]);

/// The key of one session in one direction.
pub struct SessionKey(Aes256Gcm);

macro_rules! masked {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}
masked!(FleetKey EdgeKey SessionKey);

/// The payload does not fit the largest datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("payload of {0} bytes is over the limit of {PAYLOAD_LEN_MAX}")]
pub struct TooLong(pub usize);

/// Why a datagram did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// The tag is wrong: another key, or bytes changed on the way.
    #[error("not sealed with this key, or changed on the way")]
    Forged,
    /// A key holder sealed something whose length field or padding is wrong.
    #[error("sealed by a key holder, but the length or the padding is wrong")]
    BadPadding,
}

impl FleetKey {
    /// A key from 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new key from the operating system's random numbers.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The fingerprint that travels in headers.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(derive(&self.0, None, &[INFO_KEY_ID]))
    }

    /// The key of one edge.
    #[must_use]
    pub fn edge_key(&self, edge: EdgeId) -> EdgeKey {
        EdgeKey(derive(&self.0, None, &[INFO_EDGE_KEY, &edge.0]))
    }
}

impl EdgeKey {
    /// The key an edge seals a session's heartbeats with.
    #[must_use]
    pub fn heartbeat_key(&self, session: SessionId) -> SessionKey {
        self.session_key(session, [0; 16], TO_REDIRECTOR)
    }

    /// The key the redirector of boot id `boot` seals its acks to that session with.
    #[must_use]
    pub fn ack_key(&self, session: SessionId, boot: [u8; 16]) -> SessionKey {
        self.session_key(session, boot, TO_EDGE)
    }

    fn session_key(&self, session: SessionId, boot: [u8; 16], direction: u8) -> SessionKey {
        let salt = [session.0, boot].concat();
        let mut key: [u8; 32] = derive(&self.0, Some(&salt), &[INFO_SESSION, &[direction]]);
        let cipher = Aes256Gcm::new(&key.into());
        key.zeroize();
        SessionKey(cipher)
    }
}

fn derive<const N: usize>(input: &[u8], salt: Option<&[u8]>, info: &[&[u8]]) -> [u8; N] {
    let mut out = [0; N];
    Hkdf::<Sha256>::new(salt, input)
        .expand_multi_info(info, &mut out)
        .expect("at most 32 bytes are asked of HKDF-SHA256");
    out
}

impl SessionKey {
    /// Seals `payload` into a datagram of at least `blocks_min` blocks. The caller never uses a
    /// sequence twice in a session.
    pub fn seal(
        &self,
        header: &Header,
        payload: &[u8],
        blocks_min: usize,
    ) -> Result<Vec<u8>, TooLong> {
        if payload.len() > PAYLOAD_LEN_MAX {
            return Err(TooLong(payload.len()));
        }
        let blocks = (payload.len() + 2).div_ceil(BLOCK_LEN).clamp(blocks_min, BLOCKS_MAX);
        let mut plain = vec![0; blocks * BLOCK_LEN];
        plain[..2].copy_from_slice(&(payload.len() as u16).to_be_bytes());
        plain[2..2 + payload.len()].copy_from_slice(payload);
        let head = header.encode();
        let sealed = self
            .0
            .encrypt(&header.nonce().into(), Payload { msg: &plain, aad: &head })
            .expect("AES-GCM seals anything this short");
        let mut datagram = Vec::with_capacity(HEADER_LEN + plain.len() + TAG_LEN);
        datagram.extend_from_slice(&head);
        datagram.extend_from_slice(&sealed);
        Ok(datagram)
    }

    /// Opens a datagram and returns its payload. On failure nothing that was decrypted is kept.
    pub fn open(&self, datagram: &Datagram<'_>) -> Result<Vec<u8>, Unopened> {
        let sealed = Payload { msg: datagram.sealed, aad: datagram.head };
        let mut plain = self
            .0
            .decrypt(&datagram.header.nonce().into(), sealed)
            .map_err(|_| Unopened::Forged)?;
        let len = usize::from(u16::from_be_bytes([plain[0], plain[1]]));
        let padding = plain.get(2 + len..).ok_or(Unopened::BadPadding)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Unopened::BadPadding);
        }
        plain.truncate(2 + len);
        plain.drain(..2);
        Ok(plain)
    }
}
