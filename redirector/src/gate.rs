//! What stands between the network and the fleet: bytes in, an admitted report or a reason out.
//!
//! The checks run cheapest first, and nothing changes before a datagram is authenticated: shape,
//! key id, freshness, forgeries of that network (unknown sessions only), window, seal, session,
//! then the payload. Pure and synchronous: the caller brings the time and the randomness, and does
//! all sending and logging.

mod ack;
mod bucket;
mod hosts;
mod reject;
mod sessions;
mod skew;

use std::{collections::HashSet, hash::RandomState, net::IpAddr, time::Duration};

use tidegate_control::{clock::Now, registry::Report, store::BeatRow};
use tidegate_proto::{
    datagram::{Datagram, Header, Kind, parse},
    edge::EdgeId,
    heartbeat::Heartbeat,
    key::{KeyId, KeyRing},
    seal::Unopened,
};

use self::{ack::Acks, bucket::Forgeries, sessions::Sessions};
pub use self::{
    ack::{AckDue, Told},
    hosts::{AllowedHosts, BadHostEntry},
    reject::Reject,
    sessions::Limits,
};

/// How far a sender's clock may be from ours.
pub const FRESHNESS: Duration = Duration::from_secs(30);
/// How often silent sessions are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

/// What the gate is told once, at the start.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Which hosts edges may announce.
    pub hosts: AllowedHosts,
    /// Which edges may report; `None`: all that hold a key.
    pub edges: Option<HashSet<EdgeId>>,
    /// How many edges and sessions there may be.
    pub limits: Limits,
}

impl Rules {
    fn allow(&self, edge: EdgeId) -> bool {
        self.edges.as_ref().is_none_or(|edges| edges.contains(&edge))
    }
}

/// The randomness of one start.
#[derive(Debug, Clone)]
pub struct Entropy {
    /// This start's id, in every ack.
    pub boot: [u8; 16],
    /// Keys the hash of senders' networks.
    pub hash: RandomState,
}

impl Entropy {
    /// From the operating system's random numbers.
    #[must_use]
    pub fn random() -> Self {
        Self { boot: rand::random(), hash: RandomState::new() }
    }
}

/// What came of a datagram.
#[derive(Debug)]
pub struct Verdict {
    /// The report for the fleet, or why there is none.
    pub outcome: Result<Report, Reject>,
    /// The fleet key whose holder sent it; `None` if it did not pass authentication.
    pub opened_by: Option<KeyId>,
    /// An ack to send, also where the payload was refused.
    pub ack: Option<AckDue>,
}

/// Opens datagrams and remembers just enough to refuse repeats.
#[derive(Debug)]
pub struct Gate {
    keys: KeyRing,
    rules: Rules,
    sessions: Sessions,
    forgeries: Forgeries,
    acks: Acks,
    clock_suspect: bool,
    /// A known session failed freshness since clocks were last compared.
    doubted: bool,
    pruned: Duration,
}

impl Gate {
    /// A gate that knows no session yet.
    #[must_use]
    pub fn new(keys: KeyRing, rules: Rules, entropy: Entropy) -> Self {
        let sessions = Sessions::new(rules.limits);
        Self {
            keys,
            rules,
            sessions,
            forgeries: Forgeries::new(entropy.hash),
            acks: Acks::new(entropy.boot),
            clock_suspect: false,
            doubted: false,
            pruned: Duration::ZERO,
        }
    }

    /// Takes up the sessions that were known before a restart: what they sent until then is
    /// refused, what they send next is not.
    pub fn resume(&mut self, marks: &[BeatRow], now: Now) {
        let allowed = |mark: &&BeatRow| self.rules.allow(mark.id);
        self.sessions.resume(marks.iter().filter(allowed), now);
    }

    /// Exchanges the keys. Sessions of a key that is gone are heard no more.
    pub fn set_keys(&mut self, keys: KeyRing) {
        self.keys = keys;
        self.sessions.drop_keys();
    }

    /// The keys in use.
    #[must_use]
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// How many edges' sessions are remembered.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Whether our own clock seems wrong. While it does, known sessions need not be fresh.
    #[must_use]
    pub fn is_clock_suspect(&self) -> bool {
        self.clock_suspect
    }

    /// Compares clocks and drops what is too old. Call it about once a second.
    pub fn tick(&mut self, now: Now) {
        if self.doubted || self.clock_suspect {
            self.doubted = false;
            self.clock_suspect = self.sessions.common_offset_ms(now).is_some();
        }
        if now.monotonic.saturating_sub(self.pruned) >= PRUNE_EVERY {
            self.pruned = now.monotonic;
            self.sessions.prune(now);
        }
    }

    /// Judges one datagram.
    pub fn admit(&mut self, bytes: &[u8], source: IpAddr, now: Now) -> Verdict {
        let refused = |reason| Verdict { outcome: Err(reason), opened_by: None, ack: None };
        let source = source.to_canonical();
        let datagram = match parse(bytes) {
            Ok(datagram) => datagram,
            Err(malformed) => return refused(malformed.into()),
        };
        match self.authenticate(&datagram, source, now) {
            Ok(payload) => Verdict {
                outcome: self.read(&datagram.header, &payload, source),
                opened_by: Some(datagram.header.key_id),
                ack: AckDue::of(&datagram),
            },
            Err(reason) => refused(reason),
        }
    }

    /// Seals the ack that a verdict asks for; `None` if it would outgrow its request.
    pub fn ack(&mut self, due: &AckDue, told: &Told, now: Now, salt: [u8; 4]) -> Option<Vec<u8>> {
        self.acks.seal(&self.keys, due, told, now, salt)
    }

    fn authenticate(
        &mut self,
        datagram: &Datagram<'_>,
        source: IpAddr,
        now: Now,
    ) -> Result<Vec<u8>, Reject> {
        let header = &datagram.header;
        if header.kind == Kind::Ack {
            return Err(Reject::UnexpectedType);
        }
        let fleet_key = self.keys.get(header.key_id).ok_or(Reject::UnknownKey)?;
        let offset_ms = offset_beyond_freshness_ms(header, now);
        let Some(session) = self.sessions.known(header) else {
            return match offset_ms {
                Some(_) => Err(Reject::StaleTime),
                None => self.begin_session(datagram, source, now),
            };
        };
        let opened = session.open(fleet_key, datagram, now, offset_ms);
        if offset_ms.is_some() {
            self.doubted |= opened.is_ok();
            if !self.clock_suspect {
                return Err(Reject::StaleTime);
            }
        }
        opened
    }

    fn begin_session(
        &mut self,
        datagram: &Datagram<'_>,
        source: IpAddr,
        now: Now,
    ) -> Result<Vec<u8>, Reject> {
        let header = &datagram.header;
        let fleet_key = self.keys.get(header.key_id).ok_or(Reject::UnknownKey)?;
        if !self.forgeries.admit(source, now.monotonic) {
            return Err(Reject::RateLimited);
        }
        let key = fleet_key.edge_key(header.edge_id()).heartbeat_key(header.session);
        let payload = key.open(datagram).inspect_err(|unopened| {
            if *unopened == Unopened::Forged {
                self.forgeries.charge(source, now.monotonic);
            }
        })?;
        if !self.rules.allow(header.edge_id()) {
            return Err(Reject::EdgeNotAllowed);
        }
        self.sessions.begin(header, key, now)?;
        Ok(payload)
    }

    /// Reads what a key holder said. Its sequence is used up either way.
    fn read(&self, header: &Header, payload: &[u8], source: IpAddr) -> Result<Report, Reject> {
        let heartbeat = Heartbeat::decode(payload)?;
        if !self.rules.hosts.admit(heartbeat.redirect_address.as_ref(), source) {
            return Err(Reject::HostNotAllowed);
        }
        Ok(Report {
            edge: header.edge_id(),
            session: header.session,
            sequence: header.sequence,
            goodbye: header.kind == Kind::Goodbye,
            heartbeat,
            source,
        })
    }
}

/// The sender's clock less ours, in milliseconds, if it is further off than [`FRESHNESS`].
fn offset_beyond_freshness_ms(header: &Header, now: Now) -> Option<i64> {
    let (theirs, ours) = (header.sent_at_unix_ms, now.unix_ms);
    let distance = i64::try_from(theirs.abs_diff(ours)).unwrap_or(i64::MAX);
    let offset = if theirs < ours { -distance } else { distance };
    (u128::from(distance.unsigned_abs()) > FRESHNESS.as_millis()).then_some(offset)
}
