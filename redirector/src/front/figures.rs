//! How many connections a front has taken and what became of them.

use tidegate_proto::edge::Scheme;

use super::guard::HttpReject;
use crate::figures::{Counters, Open, OpenNow, labels};

labels! {
    /// What became of a connection.
    pub(super) enum Event;

    Accepted "accepted",
    ShedSlowest "shed_slowest",
    ShedNewest "shed_newest",
    ShedAddress "shed_address",
    AcceptErrors "accept_errors",
    HeadTimeouts "head_timeouts",
    Malformed "malformed",
    ProxyMalformed "proxy_malformed",
    TlsNotConfigured "tls_not_configured",
    TlsFailed "tls_failed",
    TlsTimeouts "tls_timeouts",
    TlsInTls "tls_in_tls",
    RtmpNotServed "rtmp_not_served",
}

/// What a connection's end is counted as; `None`: the client left, or all was said.
pub(super) type End = Option<Event>;

labels! {
    /// What is spoken on a connection.
    pub(super) enum Protocol;

    Http "http",
    Https "https",
    Rtmp "rtmp",
    Rtmps "rtmps",
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

/// The figures of one front.
#[derive(Debug, Default)]
pub struct FrontFigures {
    events: Counters<Event>,
    protocols: Counters<Protocol>,
    refused: Counters<HttpReject>,
    open: OpenNow,
}

impl FrontFigures {
    pub(super) fn open(&self) -> Open<'_> {
        self.open.open()
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
        self.open.get()
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
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_figure_has_its_own_name() {
        let figures = FrontFigures::default();
        for counts in [figures.connections(), figures.protocols(), figures.refused()] {
            let names: HashSet<_> = counts.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), counts.len(), "{counts:?}");
        }
    }
}
