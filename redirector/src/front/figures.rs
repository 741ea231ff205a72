//! How many connections a front has taken and what became of them.

use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_proto::edge::Scheme;

use super::guard::HttpReject;
use crate::figures::{Counters, Label};

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Accepted,
    ShedSlowest,
    ShedNewest,
    ShedAddress,
    AcceptErrors,
    HeadTimeouts,
    Malformed,
    ProxyMalformed,
    TlsNotConfigured,
    TlsFailed,
    TlsTimeouts,
    TlsInTls,
    RtmpNotServed,
}

impl Label for Event {
    const ALL: &'static [Self] = &[
        Self::Accepted,
        Self::ShedSlowest,
        Self::ShedNewest,
        Self::ShedAddress,
        Self::AcceptErrors,
        Self::HeadTimeouts,
        Self::Malformed,
        Self::ProxyMalformed,
        Self::TlsNotConfigured,
        Self::TlsFailed,
        Self::TlsTimeouts,
        Self::TlsInTls,
        Self::RtmpNotServed,
    ];

    fn index(self) -> usize {
        self as usize
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::ShedSlowest => "shed_slowest",
            Self::ShedNewest => "shed_newest",
            Self::ShedAddress => "shed_address",
            Self::AcceptErrors => "accept_errors",
            Self::HeadTimeouts => "head_timeouts",
            Self::Malformed => "malformed",
            Self::ProxyMalformed => "proxy_malformed",
            Self::TlsNotConfigured => "tls_not_configured",
            Self::TlsFailed => "tls_failed",
            Self::TlsTimeouts => "tls_timeouts",
            Self::TlsInTls => "tls_in_tls",
            Self::RtmpNotServed => "rtmp_not_served",
        }
    }
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Https,
    Rtmp,
    Rtmps,
}

impl Protocol {
    pub(super) fn scheme(self) -> Scheme {
        match self {
            Self::Http => Scheme::Http,
            Self::Https => Scheme::Https,
            Self::Rtmp => Scheme::Rtmp,
            Self::Rtmps => Scheme::Rtmps,
        }
    }
}

impl Label for Protocol {
    const ALL: &'static [Self] = &[Self::Http, Self::Https, Self::Rtmp, Self::Rtmps];

    fn index(self) -> usize {
        self as usize
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
        }
    }
}

/// The figures of one front.
#[derive(Debug, Default)]
pub struct FrontFigures {
    events: Counters<Event>,
    protocols: Counters<Protocol>,
    refused: Counters<HttpReject>,
    open: AtomicU64,
}

/// Counts one connection as open while it lives.
pub(super) struct Open<'a>(&'a AtomicU64);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FrontFigures {
    pub(super) fn open(&self) -> Open<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(&self.open)
    }

    pub(super) fn count(&self, event: Event) {
        self.events.count(event);
    }

    pub(super) fn count_protocol(&self, protocol: Protocol) {
        self.protocols.count(protocol);
    }

    pub(super) fn refuse(&self, reject: HttpReject) {
        self.refused.count(reject);
    }

    /// Connections open now.
    #[must_use]
    pub fn open_now(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// What became of connections.
    ///
    /// - `accepted`: given a place;
    /// - for want of a place, `shed_slowest`: ended because they had kept us waiting longest,
    ///   `shed_newest`: turned away because none waited, `shed_address`: turned away because their
    ///   address held as many as one may;
    /// - `accept_errors`: the system gave no connection;
    /// - `head_timeouts`: closed for a missing or unfinished first byte, PROXY header or request;
    /// - `malformed`: not HTTP, nor anything else that is known;
    /// - `proxy_malformed`: a trusted proxy's PROXY header could not be read or was too long;
    /// - `tls_not_configured`: a TLS handshake where there is no certificate; `tls_failed`: one
    ///   that was broken off; `tls_timeouts`: one that took too long; `tls_in_tls`: a second one
    ///   inside the first;
    /// - `rtmp_not_served`: RTMP where only HTTP is spoken.
    #[must_use]
    pub fn connections(&self) -> Vec<(&'static str, u64)> {
        self.events.iter().collect()
    }

    /// Connections by what was spoken on them: `http`, `https`, `rtmp`, `rtmps`. One that ended
    /// before it had said anything is under none.
    #[must_use]
    pub fn protocols(&self) -> Vec<(&'static str, u64)> {
        self.protocols.iter().collect()
    }

    /// Requests the guard refused, by reason code.
    #[must_use]
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        self.refused.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_its_own_place() {
        fn check<K: Label>() {
            let mut names: Vec<_> = K::ALL.iter().map(|label| label.as_str()).collect();
            assert!(K::ALL.iter().enumerate().all(|(place, label)| label.index() == place));
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), K::ALL.len());
        }
        check::<Event>();
        check::<Protocol>();
        check::<HttpReject>();
    }
}
