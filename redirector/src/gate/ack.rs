//! Acks: sealed, on request, and never longer than what asked for them, so that a spoofed source
//! gains nothing.

use std::time::Duration;

use tidegate_control::clock::Now;
use tidegate_proto::{
    datagram::{Datagram, Header, Kind, SessionId},
    edge::EdgeId,
    heartbeat::{Ack, Order},
    key::{KeyId, KeyRing},
};

/// A request for an ack that came in a good datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckDue {
    /// Who asks.
    pub edge: EdgeId,
    session: SessionId,
    key_id: KeyId,
    sequence: u64,
    sent_at_unix_ms: u64,
    len_bytes: usize,
}

/// What an ack tells an edge of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The operator's intent.
    pub order: Order,
    /// The redirector's order revision.
    pub order_revision: u64,
    /// Silence after which the edge gets no new viewers; 0: not known yet.
    pub lease: Duration,
    /// How long the edge has been known.
    pub known_for: Duration,
}

impl AckDue {
    pub(super) fn of(datagram: &Datagram<'_>) -> Option<Self> {
        let header = &datagram.header;
        header.want_ack.then(|| Self {
            edge: header.edge_id(),
            session: header.session,
            key_id: header.key_id,
            sequence: header.sequence,
            sent_at_unix_ms: header.sent_at_unix_ms,
            len_bytes: datagram.len_bytes(),
        })
    }
}

/// Seals acks under this start's boot id. One counter numbers them all, so no nonce repeats
/// however often a session is dropped and taken up again.
#[derive(Debug)]
pub(super) struct Acks {
    boot: [u8; 16],
    sequence: u64,
}

impl Acks {
    pub(super) fn new(boot: [u8; 16]) -> Self {
        Self { boot, sequence: 0 }
    }

    pub(super) fn seal(
        &mut self,
        keys: &KeyRing,
        due: &AckDue,
        told: &Told,
        now: Now,
        salt: [u8; 4],
    ) -> Option<Vec<u8>> {
        let key = keys.get(due.key_id)?.edge_key(due.edge).ack_key(due.session, self.boot);
        self.sequence += 1;
        let header = Header {
            kind: Kind::Ack,
            want_ack: false,
            key_id: due.key_id,
            sender: self.boot,
            session: due.session,
            sent_at_unix_ms: now.unix_ms,
            salt,
            sequence: self.sequence,
        };
        let ack = Ack {
            sequence: due.sequence,
            sent_at_unix_ms: due.sent_at_unix_ms,
            order: told.order,
            order_revision: told.order_revision,
            lease: told.lease,
            known_for: told.known_for,
        };
        key.seal(&header, &ack.encode(), 1).ok().filter(|sealed| sealed.len() <= due.len_bytes)
    }
}
