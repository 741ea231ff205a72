//! An agent, a gate and a clock for tests.

use std::{net::IpAddr, time::Duration};

use tidegate_control::clock::Now;
use tidegate_proto::{
    datagram::{Header, Kind, SessionId},
    edge::EdgeId,
    heartbeat::Heartbeat,
    key::KeyRing,
    seal::FleetKey,
};
use tidegate_redirector::gate::{Entropy, Gate, Reject, Rules, Verdict};

pub(crate) const T0_MS: u64 = 1_700_000_000_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

pub(crate) fn fleet_key() -> FleetKey {
    FleetKey::from_bytes([7; 32])
}

pub(crate) fn ring(keys: &[FleetKey]) -> KeyRing {
    let mut ring = KeyRing::default();
    for key in keys {
        ring.insert(key.clone()).expect("no collision");
    }
    ring
}

pub(crate) fn gate_with(rules: Rules) -> Gate {
    Gate::new(ring(&[fleet_key()]), rules, Entropy::random())
}

pub(crate) fn gate() -> Gate {
    gate_with(Rules::default())
}

/// Both clocks, `ms` after the start.
pub(crate) fn at(ms: u64) -> Now {
    Now { monotonic: Duration::from_millis(ms), unix_ms: T0_MS + ms }
}

/// An agent whose clock may be off.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) key: FleetKey,
    pub(crate) edge: EdgeId,
    pub(crate) session: SessionId,
    pub(crate) sequence: u64,
    pub(crate) clock_off_ms: i64,
}

impl Sender {
    /// An agent that starts at `start_ms`, told from others by `n`.
    pub(crate) fn new(n: u8, start_ms: u64) -> Self {
        Self {
            key: fleet_key(),
            edge: EdgeId([n; 16]),
            session: SessionId::new(T0_MS + start_ms, [n; 8]),
            sequence: 0,
            clock_off_ms: 0,
        }
    }

    pub(crate) fn header(&self, now: Now) -> Header {
        Header {
            kind: Kind::Heartbeat,
            want_ack: false,
            key_id: self.key.id(),
            sender: self.edge.0,
            session: self.session,
            sent_at_unix_ms: now.unix_ms.saturating_add_signed(self.clock_off_ms),
            salt: [1; 4],
            sequence: self.sequence,
        }
    }

    pub(crate) fn seal(&self, header: &Header, payload: &[u8]) -> Vec<u8> {
        let key = self.key.edge_key(self.edge).heartbeat_key(self.session);
        key.seal(header, payload, if header.want_ack { 2 } else { 1 }).expect("it fits")
    }

    /// The next heartbeat.
    pub(crate) fn beat(&mut self, now: Now) -> Vec<u8> {
        self.say(&Heartbeat::default(), now)
    }

    pub(crate) fn say(&mut self, heartbeat: &Heartbeat, now: Now) -> Vec<u8> {
        self.sequence += 1;
        self.seal(&self.header(now), &heartbeat.encode())
    }
}

pub(crate) fn reason(verdict: &Verdict) -> Option<Reject> {
    verdict.outcome.as_ref().err().copied()
}

pub(crate) fn hear(gate: &mut Gate, datagram: &[u8], now: Now) -> Option<Reject> {
    reason(&gate.admit(datagram, SOURCE, now))
}
