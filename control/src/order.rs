//! What an operator may ask of the fleet, and what can come of it.

mod weight;

use std::fmt;

use tidegate_proto::edge::EdgeId;

pub use self::weight::{NoWeight, Weight};

/// Who gave a standing order, when and why. By itself it is a drain: send this edge no new clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Why, in the operator's words. Hostile text is possible: escape it.
    pub reason: String,
    /// Who gave it.
    pub author: String,
    /// When, in Unix milliseconds.
    pub created_unix_ms: u64,
}

/// A standing order: send this edge more or fewer of the viewers than its capacity asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighting {
    /// How large its share is.
    pub weight: Weight,
    /// Who gave it, when and why.
    pub order: Order,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Send no new clients.
    Drain,
    /// Take that back.
    Undrain,
    /// Remove an edge that is DOWN or GONE.
    Forget,
    /// Send so large a share of the viewers.
    SetWeight(Weight),
}

impl Verb {
    /// The name of the RPC.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Drain => "DrainEdge",
            Self::Undrain => "UndrainEdge",
            Self::Forget => "ForgetEdge",
            Self::SetWeight(_) => "SetWeight",
        }
    }
}

/// The method and what it was given beside the edge, as one word.
impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetWeight(weight) => write!(f, "{}={weight}", self.method()),
            _ => f.write_str(self.method()),
        }
    }
}

/// Who asks, as far as the admin API found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Principal {
    /// The token's or certificate's name; `local` on an open loopback listener.
    pub name: String,
    /// `viewer`, `operator`, or empty where none was established.
    pub role: String,
    /// The caller's address.
    pub peer: String,
}

/// One call, with its arguments already within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub verb: Verb,
    /// Of which edge: its name or its UUID.
    pub edge: String,
    /// Why.
    pub reason: String,
    /// Makes a retry get the first call's answer; empty: none given.
    pub request_id: String,
    /// What the caller saw last; empty: none given.
    pub etag: String,
    /// Who asks.
    pub principal: Principal,
}

/// Why an order was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No edge of that name or UUID.
    #[error("no edge is called {0:?}; ListEdges shows those that are known")]
    UnknownEdge(String),
    /// Two live edges announce the name.
    #[error("the name {name:?} is announced by several edges: {}; give the UUID instead", list(.edges))]
    AmbiguousName {
        /// The name.
        name: String,
        /// Who announces it.
        edges: Vec<EdgeId>,
    },
    /// The caller's etag is not the current one.
    #[error(
        "the edge has changed since etag {given:?}: it is {current:?} now; read the edge again and decide anew"
    )]
    StaleEtag {
        /// What was given.
        given: String,
        /// What it is.
        current: String,
    },
    /// The request id was used for another order.
    #[error("request_id {0:?} was used for a different order; use a new one for each order")]
    RequestIdReused(String),
    /// Only DOWN or GONE edges without a drain are forgotten.
    #[error("{0}")]
    NotForgettable(String),
    /// The store cannot write, or did not say whether it has.
    #[error(
        "the order could not be made durable: {0}; its outcome is unknown, retry it with the same request_id"
    )]
    StoreFailed(String),
    /// The same of a weight.
    #[error(
        "the weight could not be made durable: {0}; the edge keeps the one it had, and which of the two a restart finds is unknown, so retry it with the same request_id"
    )]
    WeightUnsaved(String),
    /// Too many orders wait already.
    #[error("too many orders wait; try again in a second")]
    Busy,
    /// The redirector is stopping.
    #[error("the redirector is stopping; ask another one")]
    Stopping,
}

fn list(edges: &[EdgeId]) -> String {
    edges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
