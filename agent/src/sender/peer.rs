//! One target as the edge sees it: what to say to it and when, and what its acks mean.
//!
//! Everything here is pure. Clock and dice come in as a [`Moment`]. Missing acks never stop or slow
//! the heartbeats; they show in the standing, and ask for another port or address.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidegate_proto::{
    datagram::{
        Datagram, Header, Kind, SESSION_SEQUENCE_MAX, SessionId, WANT_ACK_BLOCKS_MIN, parse,
    },
    edge::{EdgeId, Host},
    heartbeat::{Ack, Heartbeat, INTERVAL_MIN, Order, Status},
    key::{KeyId, SendKey},
    seal::{EdgeKey, SessionKey, TooLong},
    window::Window,
};

use super::{
    ledger::Ledger,
    way::{Remedy, SILENCE_MAX, Way},
};

/// A session lasts this long at most.
const SESSION_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The first heartbeats of a session all ask for an ack.
const ASK_FIRST: u64 = 3;
/// Then one in this many does. It decides how soon a way that leads nowhere is noticed.
const ASK_EVERY: u64 = 4;
/// The share of the interval by which heartbeats are moved, so that a fleet never sends in step.
const JITTER: f64 = 0.1;
/// Redirectors of one target whose acks are told apart: a fleet behind one address, restarts.
const BOOTS_MAX: usize = 8;

/// The clock and the dice at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// For ages and time-outs.
    pub(super) instant: Instant,
    /// For the wire.
    pub(super) unix_ms: u64,
    /// For the nonce.
    pub(super) salt: [u8; 4],
    /// For a new session.
    pub(super) session: [u8; 8],
    /// From -1 to 1.
    pub(super) jitter: f64,
}

impl Moment {
    /// The real clock and real dice.
    pub(super) fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            instant: Instant::now(),
            unix_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            salt: rand::random(),
            session: rand::random(),
            jitter: rand::random_range(-1.0..=1.0),
        }
    }
}

/// What the target is known to think.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) order: Order,
    pub(super) order_revision: u64,
    pub(super) round_trip: Option<Duration>,
    pub(super) last_ack: Option<Instant>,
}

/// Why a datagram changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignored {
    /// Not a datagram, or not an ack.
    Malformed,
    /// Of another session.
    OtherSession,
    /// Not sealed by the redirector it names with this edge's key.
    Forged,
    /// Seen before.
    Repeated,
    /// Echoes nothing that was asked lately.
    UnknownSequence,
}

struct Session {
    id: SessionId,
    key: SessionKey,
    began: Instant,
    next_sequence: u64,
    boots: Vec<Boot>,
    newest_echo: u64,
}

/// One run of a redirector.
struct Boot {
    id: [u8; 16],
    key: SessionKey,
    window: Window,
}

/// What must be told at once when it changes.
#[derive(PartialEq)]
struct Said {
    status: Status,
    trouble: Option<String>,
    redirect_address: Option<Host>,
}

impl Said {
    fn of(heartbeat: &Heartbeat) -> Self {
        Self {
            status: heartbeat.status,
            trouble: heartbeat.trouble.as_ref().map(|trouble| trouble.code.clone()),
            redirect_address: heartbeat.redirect_address.clone(),
        }
    }
}

/// One target's session and standing.
pub(super) struct Peer {
    edge: EdgeId,
    key_id: KeyId,
    edge_key: EdgeKey,
    interval: Duration,
    session: Session,
    due: Instant,
    last_beat: Option<(Instant, Said)>,
    ledger: Ledger,
    standing: Standing,
    way: Way,
}

impl Peer {
    /// A target that knows nothing yet; the first heartbeat is due now.
    pub(super) fn new(edge: EdgeId, key: &SendKey, interval: Duration, moment: &Moment) -> Self {
        let edge_key = key.edge_key(edge);
        Self {
            edge,
            key_id: key.key_id(),
            session: Session::new(&edge_key, moment),
            edge_key,
            interval,
            due: moment.instant,
            last_beat: None,
            ledger: Ledger::default(),
            standing: Standing {
                order: Order::Unknown,
                order_revision: 0,
                round_trip: None,
                last_ack: None,
            },
            way: Way::default(),
        }
    }

    /// When the next heartbeat is to be sent.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn loss(&self, now: Instant) -> Option<f64> {
        self.ledger.loss(now)
    }

    /// Whether the target has answered lately, so key, address and way are right.
    pub(super) fn is_registered(&self, now: Instant) -> bool {
        let patience = SILENCE_MAX.max(self.interval * 3);
        self.standing.last_ack.is_some() && self.way.silence(now) < patience
    }

    /// The next heartbeat goes out now, for example by a better way.
    pub(super) fn hasten(&mut self, now: Instant) {
        self.due = self.due.min(now);
    }

    /// Lets a change of state go out at once, but never more often than the shortest interval.
    pub(super) fn consider(&mut self, heartbeat: &Heartbeat, now: Instant) {
        if let Some((at, said)) = &self.last_beat
            && *said != Said::of(heartbeat)
        {
            self.due = self.due.min((*at + INTERVAL_MIN).max(now));
        }
    }

    /// Seals the next heartbeat and sets the one after.
    pub(super) fn beat(
        &mut self,
        heartbeat: &Heartbeat,
        moment: &Moment,
    ) -> Result<Vec<u8>, TooLong> {
        let factor = 1.0 + JITTER * moment.jitter.clamp(-1.0, 1.0);
        self.due = moment.instant + self.interval.mul_f64(factor);
        self.last_beat = Some((moment.instant, Said::of(heartbeat)));
        self.renew_session(moment);
        let want_ack = self.wants_ack();
        self.seal(Kind::Heartbeat, want_ack, heartbeat, moment)
    }

    /// Seals one goodbye. It carries what a last heartbeat would, and STOPPED.
    pub(super) fn goodbye(
        &mut self,
        heartbeat: Heartbeat,
        moment: &Moment,
    ) -> Result<Vec<u8>, TooLong> {
        self.renew_session(moment);
        let heartbeat = Heartbeat { status: Status::Stopped, ..heartbeat };
        self.seal(Kind::Goodbye, true, &heartbeat, moment)
    }

    fn renew_session(&mut self, moment: &Moment) {
        let age = moment.instant.saturating_duration_since(self.session.began);
        if age >= SESSION_AGE_MAX || self.session.next_sequence >= SESSION_SEQUENCE_MAX {
            self.session = Session::new(&self.edge_key, moment);
            self.ledger.end_session(moment.instant);
        }
    }

    /// Asks on the first three, then one in four, and whenever it is not known where things stand.
    fn wants_ack(&self) -> bool {
        let sequence = self.session.next_sequence;
        sequence <= ASK_FIRST
            || sequence % ASK_EVERY == ASK_FIRST % ASK_EVERY
            || self.standing.order == Order::Unknown
            || !self.ledger.newest_is_answered()
            || self.way.is_in_doubt()
    }

    fn seal(
        &mut self,
        kind: Kind,
        want_ack: bool,
        heartbeat: &Heartbeat,
        moment: &Moment,
    ) -> Result<Vec<u8>, TooLong> {
        let sequence = self.session.next_sequence;
        let header = Header {
            kind,
            want_ack,
            key_id: self.key_id,
            sender: self.edge.0,
            session: self.session.id,
            sent_at_unix_ms: moment.unix_ms,
            salt: moment.salt,
            sequence,
        };
        let blocks_min = if want_ack { WANT_ACK_BLOCKS_MIN } else { 1 };
        let datagram = self.session.key.seal(&header, &heartbeat.encode(), blocks_min)?;
        self.session.next_sequence += 1;
        if want_ack {
            self.ledger.ask(sequence, moment.instant);
            self.way.ask(moment.instant);
        }
        Ok(datagram)
    }

    /// Takes what came from the target. Only an authentic, new and expected ack changes anything.
    pub(super) fn hear(&mut self, bytes: &[u8], now: Instant) -> Result<(), Ignored> {
        let datagram = parse(bytes).map_err(|_| Ignored::Malformed)?;
        if datagram.header.kind != Kind::Ack {
            return Err(Ignored::Malformed);
        }
        if datagram.header.session != self.session.id {
            return Err(Ignored::OtherSession);
        }
        let ack = self.session.open(&self.edge_key, &datagram)?;
        let round_trip = self.ledger.answer(ack.sequence, now).ok_or(Ignored::UnknownSequence)?;
        self.way.answer();
        self.standing.last_ack = Some(now);
        self.standing.round_trip = Some(round_trip);
        // A late ack must not bring an older order back.
        if ack.sequence >= self.session.newest_echo {
            self.session.newest_echo = ack.sequence;
            self.standing.order = ack.order;
            self.standing.order_revision = ack.order_revision;
        }
        Ok(())
    }

    /// The system told that a heartbeat did not arrive, so the next ones ask.
    pub(super) fn note_refusal(&mut self, now: Instant) {
        self.way.refuse(now);
    }

    /// What to change about the way before the next heartbeat.
    pub(super) fn take_remedy(&mut self, now: Instant) -> Option<Remedy> {
        self.way.take_remedy(now)
    }
}

impl Session {
    fn new(edge_key: &EdgeKey, moment: &Moment) -> Self {
        let id = SessionId::new(moment.unix_ms, moment.session);
        Self {
            id,
            key: edge_key.heartbeat_key(id),
            began: moment.instant,
            next_sequence: 1,
            boots: Vec::new(),
            newest_echo: 0,
        }
    }

    /// Opens an ack and marks its sequence as seen. A boot is remembered once it proved itself.
    fn open(&mut self, edge_key: &EdgeKey, datagram: &Datagram<'_>) -> Result<Ack, Ignored> {
        let Header { sender, sequence, .. } = datagram.header;
        let known = self.boots.iter().position(|boot| boot.id == sender);
        // Taken out and put back at the end, so that the one heard least recently is first.
        let mut boot = match known {
            Some(at) => self.boots.remove(at),
            None => Boot {
                id: sender,
                key: edge_key.ack_key(self.id, sender),
                window: Window::default(),
            },
        };
        let opened = boot.open(datagram, sequence);
        if known.is_some() || opened.is_ok() {
            self.boots.push(boot);
        }
        if self.boots.len() > BOOTS_MAX {
            self.boots.remove(0);
        }
        opened
    }
}

impl Boot {
    fn open(&mut self, datagram: &Datagram<'_>, sequence: u64) -> Result<Ack, Ignored> {
        self.window.check(sequence).map_err(|_| Ignored::Repeated)?;
        let payload = self.key.open(datagram).map_err(|_| Ignored::Forged)?;
        self.window.accept(sequence).map_err(|_| Ignored::Repeated)?;
        Ack::decode(&payload).map_err(|_| Ignored::Malformed)
    }
}

#[cfg(test)]
#[path = "peer/tests.rs"]
mod tests;
