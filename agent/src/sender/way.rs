//! Whether the way to a target leads anywhere, as missing acks tell, and what to change about it.

use std::time::{Duration, Instant};

/// An ack gets this long before the source port is doubted, or edges with a short interval and a long
/// way would never hear one.
const ACK_WAIT: Duration = Duration::from_secs(1);
/// No ack for this long although asked: another address is tried too.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What to change about the way to a target whose acks do not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The source port: what tracks connections on the way may send the old one to a redirector
    /// that is gone.
    Port,
    /// The address and the source port.
    Address,
}

/// What came of the heartbeats since the last ack.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// When the oldest heartbeat asked that no ack has come since.
    silent_since: Option<Instant>,
    address_tried: Option<Instant>,
    /// The first heartbeat by the current source port that asked, or was refused, and got no ack.
    in_vain_since: Option<Instant>,
    /// A heartbeat was refused, by whatever port.
    refused: bool,
}

impl Way {
    /// A heartbeat asks for an ack.
    pub(super) fn ask(&mut self, now: Instant) {
        self.silent_since.get_or_insert(now);
        self.in_vain_since.get_or_insert(now);
    }

    /// The system told that a heartbeat did not arrive. One that did not ask counts as one that did.
    pub(super) fn refuse(&mut self, now: Instant) {
        self.in_vain_since.get_or_insert(now);
        self.refused = true;
    }

    /// An ack came.
    pub(super) fn answer(&mut self) {
        *self = Self::default();
    }

    /// Whether a heartbeat was refused and no ack has come since, by this port or the one before.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.refused
    }

    /// How long acks have been missing.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        age(self.silent_since, now).unwrap_or_default()
    }

    /// What to change before the next heartbeat, if acks are missing: the source port after each
    /// heartbeat that asked in vain, the address every [`SILENCE_MAX`].
    pub(super) fn take_remedy(&mut self, now: Instant) -> Option<Remedy> {
        let remedy = self.remedy(now)?;
        if remedy == Remedy::Address {
            self.address_tried = Some(now);
        }
        self.in_vain_since = None;
        Some(remedy)
    }

    fn remedy(&self, now: Instant) -> Option<Remedy> {
        let long = |age: Duration| age >= SILENCE_MAX;
        if long(self.silence(now)) && age(self.address_tried, now).is_none_or(long) {
            return Some(Remedy::Address);
        }
        let waited = age(self.in_vain_since, now).is_some_and(|age| age >= ACK_WAIT);
        waited.then_some(Remedy::Port)
    }
}

fn age(since: Option<Instant>, now: Instant) -> Option<Duration> {
    since.map(|since| now.saturating_duration_since(since))
}
