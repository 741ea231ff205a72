//! A client's session from its first byte to its verdict, and beyond where it is accepted.

use super::{
    Connect, RtmpReject,
    calls::Calls,
    handover::Handover,
    handshake::{Handshake, PART_LEN, RANDOM_LEN},
    opening::{Asked, Opening},
    reply,
};

/// What is decided about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// `_error`, then `close`. With `redirect` it carries `ex`.
    Reject {
        /// The application's URL on an edge, with a port and without a stream.
        redirect: Option<String>,
        /// For people; never empty.
        description: String,
    },
    /// `_result`; further calls are answered until the client leaves or time is up.
    Accept {
        /// Where a `NetConnection.Connect.ReconnectRequest` sends the client at once.
        reconnect: Option<String>,
    },
    /// Nothing is answered: the caller carries on with an edge.
    Splice,
}

/// Decides what a client is told.
pub trait Judge {
    /// About a `connect`. It is asked once in a session.
    fn connect(&mut self, connect: &Connect) -> Verdict;

    /// The host of an edge for a client that calls `getLoadBalancerRedirect`, or `unknown`.
    fn host(&mut self) -> String;
}

/// How far a session has come.
#[derive(Debug)]
pub enum Progress {
    /// It waits for the client.
    Open,
    /// All is said: send the output, say that no more is coming, and let the client leave.
    Done,
    /// The verdict was [`Verdict::Splice`].
    Splice(Box<Handover>),
}

/// What a session waits for, each with its own patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The rest of the handshake.
    Handshake,
    /// `connect`.
    Connect,
    /// Calls and media of a client that was accepted.
    Calls,
    /// Nothing: whatever still comes is dropped.
    Over,
}

/// One client's session.
///
/// What it holds grows with what the client has sent, up to 256 KiB, and to that comes what it has
/// to say, which is at most 128 KiB in a whole session.
#[derive(Debug)]
pub struct Session {
    state: State,
    output: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Handshake(Handshake),
    Connect(Box<Opening>),
    Calls(Box<Calls>),
    Over,
}

impl Session {
    /// A session that waits for the first byte. `random` fills the handshake.
    #[must_use]
    pub fn new(random: [u8; RANDOM_LEN]) -> Self {
        Self { state: State::Handshake(Handshake::new(random)), output: Vec::new() }
    }

    /// What it waits for.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.state {
            State::Handshake(_) => Stage::Handshake,
            State::Connect(_) => Stage::Connect,
            State::Calls(_) => Stage::Calls,
            State::Over => Stage::Over,
        }
    }

    /// How many bytes of memory it holds, itself included.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let state = match &self.state {
            State::Handshake(handshake) => handshake.held_bytes(),
            State::Connect(opening) => size_of::<Opening>() + opening.held_bytes(),
            State::Calls(calls) => size_of::<Calls>() + calls.held_bytes(),
            State::Over => 0,
        };
        size_of::<Self>() + state + self.output.capacity()
    }

    /// Takes what the client sent, in pieces of any size, and asks `judge` when there is something
    /// to decide.
    ///
    /// # Errors
    /// What was wrong; the connection is to be closed.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        judge: &mut impl Judge,
    ) -> Result<Progress, RtmpReject> {
        let fed = self.advance(&mut bytes, judge);
        if !matches!(fed, Ok(Progress::Open)) {
            self.state = State::Over;
        }
        fed
    }

    /// What is to be sent, taken out.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    fn advance(
        &mut self,
        input: &mut &[u8],
        judge: &mut impl Judge,
    ) -> Result<Progress, RtmpReject> {
        if let State::Handshake(handshake) = &mut self.state {
            if !handshake.feed(input, &mut self.output)? {
                return Ok(Progress::Open);
            }
            self.state = State::Connect(Box::new(Opening::new()));
        }
        if let State::Connect(opening) = &mut self.state {
            let Some(asked) = opening.feed(input)? else { return Ok(Progress::Open) };
            let verdict = judge.connect(&asked.connect);
            if let Some(progress) = self.obey(verdict, asked, input) {
                return Ok(progress);
            }
        }
        let State::Calls(calls) = &mut self.state else { return Ok(Progress::Done) };
        let is_over = calls.feed(input, judge, &mut self.output)?;
        Ok(if is_over { Progress::Done } else { Progress::Open })
    }

    /// Does what was decided; none where the session goes on with calls.
    fn obey(&mut self, verdict: Verdict, asked: Asked, rest: &[u8]) -> Option<Progress> {
        let State::Connect(opening) = std::mem::replace(&mut self.state, State::Over) else {
            return Some(Progress::Done);
        };
        let transaction = asked.connect.transaction;
        match verdict {
            Verdict::Reject { redirect, description } => {
                self.output.extend(reply::rejection(
                    transaction,
                    redirect.as_deref(),
                    &description,
                ));
                Some(Progress::Done)
            }
            Verdict::Splice => Some(Progress::Splice(Box::new(opening.hand_over(asked, rest)))),
            Verdict::Accept { reconnect } => {
                reply::acceptance(transaction, reconnect.is_some(), &mut self.output);
                if let Some(url) = reconnect {
                    reply::reconnect_request(&url, &mut self.output);
                }
                let (reader, opening_bytes) = opening.into_reader();
                let received_bytes = (1 + 2 * PART_LEN) as u64 + opening_bytes;
                self.state = State::Calls(Box::new(Calls::new(reader, received_bytes)));
                None
            }
        }
    }
}
