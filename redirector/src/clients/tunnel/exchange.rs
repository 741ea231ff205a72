//! One request against the sessions: bytes in, bytes out. No I/O and no clock, and the locks are
//! held for as long as one session takes to read one body.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    call::Call,
    table::{Full, SessionId, Table},
};
use crate::rtmp::{Judge, Progress, RtmpReject, Session};

/// The interval at which a client is asked to poll grows with every so many empty answers.
const EMPTY_ANSWERS: usize = 10;
/// What clients are told, from at once to about half a second.
const INTERVALS: [u8; 6] = [0x01, 0x03, 0x05, 0x09, 0x11, 0x21];

/// The most memory of one session, so that all of them have a bound: ten times what a client needs
/// up to `connect`.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// Every session of RTMPT.
#[derive(Debug)]
pub struct Tunnels {
    table: Mutex<Table<Arc<Mutex<Tunnelled>>>>,
}

#[derive(Debug)]
struct Tunnelled {
    session: Session,
    empty_answers: usize,
}

/// What goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The id of the session that was opened.
    Opened(SessionId),
    /// The interval, then what the session says.
    Bytes(Vec<u8>),
}

impl Reply {
    /// Whether the session had nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.len() <= 1)
    }

    /// The body it is sent as. librtmp drops the last byte behind an id, which nobody needs.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Opened(id) => format!("{id}\n").into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No room for a session.
    Full(Full),
    /// No such session, or not this client's.
    NoSession,
    /// The session is over for what the client sent.
    Rejected(RtmpReject),
}

impl Tunnels {
    /// Room for `sessions_max`.
    #[must_use]
    pub fn new(sessions_max: usize) -> Self {
        Self { table: Mutex::new(Table::new(sessions_max)) }
    }

    /// How many sessions there are.
    pub fn count(&self, now: Duration) -> usize {
        lock(&self.table).count(now)
    }

    /// Opens a session under a random id; says how many others were ended for it.
    ///
    /// # Errors
    /// Where there is no room.
    pub fn open(
        &self,
        id: SessionId,
        client: IpAddr,
        session: Session,
        now: Duration,
    ) -> Result<usize, Refusal> {
        let tunnelled = Arc::new(Mutex::new(Tunnelled { session, empty_answers: 0 }));
        lock(&self.table).open(id, client, tunnelled, now).map_err(Refusal::Full)
    }

    /// Answers any other request. Only `/send` has a body that counts; elsewhere it is one byte
    /// without a meaning. A session that has said all is gone with that very answer.
    ///
    /// # Errors
    /// Where there is no such session, or there is none any more.
    pub fn exchange(
        &self,
        call: Call,
        body: &[u8],
        client: IpAddr,
        now: Duration,
        judge: &mut impl Judge,
    ) -> Result<Reply, Refusal> {
        let id = call.session().ok_or(Refusal::NoSession)?;
        let tunnelled = lock(&self.table).find(id, client, now).ok_or(Refusal::NoSession)?;
        let mut tunnelled = lock(&tunnelled);
        let progress = match call {
            Call::Send(_) => tunnelled.take(body, judge),
            Call::Close(_) => Ok(Progress::Done),
            _ => Ok(Progress::Open),
        };
        match progress {
            Ok(Progress::Open) => Ok(tunnelled.reply()),
            Ok(Progress::Done) => {
                lock(&self.table).close(id);
                Ok(tunnelled.reply())
            }
            // A tunnel has no connection that could be handed on, so nobody judges so.
            Ok(Progress::Splice(_)) => {
                lock(&self.table).close(id);
                Err(Refusal::NoSession)
            }
            Err(reject) => {
                lock(&self.table).close(id);
                Err(Refusal::Rejected(reject))
            }
        }
    }

    /// Forgets the session a request was about, if it is this client's.
    pub fn forget(&self, call: Call, client: IpAddr, now: Duration) {
        let mut table = lock(&self.table);
        if let Some(id) = call.session().filter(|id| table.find(*id, client, now).is_some()) {
            table.close(id);
        }
    }
}

impl Tunnelled {
    fn take(&mut self, body: &[u8], judge: &mut impl Judge) -> Result<Progress, RtmpReject> {
        let progress = self.session.feed(body, judge)?;
        let held = self.session.held_bytes();
        if held > HELD_BYTES_MAX { Err(RtmpReject::TooManyBytes) } else { Ok(progress) }
    }

    fn reply(&mut self) -> Reply {
        let output = self.session.take_output();
        self.empty_answers = if output.is_empty() { self.empty_answers + 1 } else { 0 };
        let step = (self.empty_answers / EMPTY_ANSWERS).min(INTERVALS.len() - 1);
        let mut bytes = Vec::with_capacity(1 + output.len());
        bytes.push(INTERVALS[step]);
        bytes.extend(output);
        Reply::Bytes(bytes)
    }
}

/// A panic elsewhere cannot leave a table or a session half changed in a way that harms others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::{Connect, RANDOM_LEN, Verdict, amf0::Writer};

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const ID: SessionId = SessionId([7; 16]);

    struct Accepts;

    impl Judge for Accepts {
        fn connect(&mut self, _: &Connect) -> Verdict {
            Verdict::Accept { reconnect: None }
        }

        fn host(&mut self) -> String {
            unreachable!("no call ends")
        }
    }

    /// A handshake, chunks of 16,000 bytes from now on, a `connect`, and the beginnings of calls: as
    /// much of them as a session keeps.
    fn pieces() -> Vec<Vec<u8>> {
        let chunk_size = [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x3E, 0x80];
        let connect = Writer::default().text(b"connect").number(1.0).null().finish();
        let len = u8::try_from(connect.len()).expect("short");
        let connect = [&[3, 0, 0, 0, 0, 0, len, 20, 0, 0, 0, 0], &connect[..]].concat();
        let call = |(chunk_stream, len): (u8, usize)| {
            [vec![chunk_stream, 0, 0, 0, 0, 0x40, 0, 20, 0, 0, 0, 0], vec![0; len]].concat()
        };
        let before = [vec![3; 1 + 2 * 1536], chunk_size.to_vec(), connect];
        let lens = [16_000, 16_000, 16_000, 16_000, 64 * 1024 - 64_000];
        before.into_iter().chain((4..).zip(lens).map(call)).collect()
    }

    #[test]
    fn a_session_holds_less_in_a_tunnel_than_on_a_connection_of_its_own() {
        let mut alone = Session::new([0; RANDOM_LEN]);
        let tunnels = Tunnels::new(1);
        let session = Session::new([0; RANDOM_LEN]);
        tunnels.open(ID, CLIENT, session, Duration::ZERO).expect("room");
        let send = |body: &[u8]| {
            tunnels.exchange(Call::Send(Some(ID)), body, CLIENT, Duration::ZERO, &mut Accepts)
        };
        let refused = pieces().into_iter().find_map(|piece| {
            let fed = alone.feed(&piece, &mut Accepts);
            assert!(matches!(fed, Ok(Progress::Open)), "{fed:?}");
            send(&piece).err()
        });
        assert_eq!(refused, Some(Refusal::Rejected(RtmpReject::TooManyBytes)));
        assert_eq!(send(b""), Err(Refusal::NoSession), "it is gone");
        assert_eq!(tunnels.count(Duration::ZERO), 0);
    }
}
