//! A client's session from its first byte to its verdict.

use super::{Connect, RtmpReject};

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

/// A client handed on to an edge.
#[derive(Debug)]
pub struct Handover {
    /// What it asked for.
    pub connect: Connect,
}

/// One client's session.
#[derive(Debug)]
pub struct Session {
    output: Vec<u8>,
}

impl Session {
    /// A session that waits for the first byte. `random` fills the handshake.
    #[must_use]
    pub fn new(random: [u8; 1528]) -> Self {
        let _ = random;
        Self { output: Vec::new() }
    }

    /// Takes what the client sent, in pieces of any size, and asks `judge` when there is something
    /// to decide.
    ///
    /// # Errors
    /// What was wrong; the connection is to be closed.
    pub fn feed(&mut self, bytes: &[u8], judge: &mut impl Judge) -> Result<Progress, RtmpReject> {
        let _ = (bytes, judge);
        Err(RtmpReject::Version)
    }

    /// What is to be sent, taken out.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }
}
