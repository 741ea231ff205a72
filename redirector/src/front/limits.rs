//! What a front allows.

use std::time::Duration;

use ::http::Method;

use super::guard::CLIENT_METHODS;

/// What a front allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time. One more ends those that have kept us waiting longest; it is
    /// turned away only if none waits.
    pub connections_max: usize,
    /// Connections of one address at the same time, of IPv6 one /64; 0: as many as there are.
    pub connections_per_address_max: usize,
    /// For each of these: the first byte, the TLS handshake, the whole head of a request, and the
    /// wait between two requests.
    pub head_timeout: Duration,
    /// A connection that speaks HTTP is told to end with its next answer when it has done so for this
    /// long, and ended [`head_timeout`](Self::head_timeout) later.
    pub age_max: Duration,
    /// How long an ending connection may take for the request it is at.
    pub finish_timeout: Duration,
    /// How long a listener that is to close waits for handshakes under way and for what their clients
    /// send first: a round trip of the slow ones.
    pub last_call: Duration,
    /// The methods that pass.
    pub methods: &'static [Method],
}

impl Limits {
    /// The limits for clients.
    pub const CLIENTS: Self = Self {
        connections_max: 20_000,
        connections_per_address_max: 0,
        head_timeout: Duration::from_secs(5),
        age_max: Duration::from_secs(60),
        finish_timeout: Duration::from_secs(5),
        last_call: Duration::from_millis(500),
        methods: &CLIENT_METHODS,
    };
    /// The limits for operators' tools.
    pub const OPS: Self = Self {
        connections_max: 256,
        last_call: Duration::from_millis(50),
        methods: &[Method::GET, Method::HEAD],
        ..Self::CLIENTS
    };
}
