//! What RTMP clients were told, what became of those that were told nothing, and what is spliced.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    answer::connect::ConnectKind,
    figures::{Counters, Label},
    rtmp::RtmpReject,
};

/// Why an RTMP session ended without an answer, other than for what the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lapse {
    /// The handshake was not finished in time.
    Handshake,
    /// No `connect` came in time.
    Connect,
    /// It was answered and did not leave.
    Calls,
    /// RTMPT: there are to be no sessions.
    TunnelFull,
    /// RTMPT: all places were taken, and nobody had asked for this session longest.
    TunnelShed,
    /// RTMPT: the client's network has as many sessions as it may have.
    TunnelNetworkFull,
    /// RTMPT: no such session, or another client's.
    TunnelNoSession,
    /// RTMPT: a body longer than any client's.
    TunnelBodyTooLong,
    /// RTMPT: a body that did not come in time, or not whole.
    TunnelBodyLate,
}

impl Label for Lapse {
    const ALL: &'static [Self] = &[
        Self::Handshake,
        Self::Connect,
        Self::Calls,
        Self::TunnelFull,
        Self::TunnelShed,
        Self::TunnelNetworkFull,
        Self::TunnelNoSession,
        Self::TunnelBodyTooLong,
        Self::TunnelBodyLate,
    ];

    fn index(self) -> usize {
        self as usize
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake_timeout",
            Self::Connect => "connect_timeout",
            Self::Calls => "calls_timeout",
            Self::TunnelFull => "tunnel_full",
            Self::TunnelShed => "tunnel_shed",
            Self::TunnelNetworkFull => "tunnel_address_full",
            Self::TunnelNoSession => "tunnel_no_session",
            Self::TunnelBodyTooLong => "tunnel_body_too_long",
            Self::TunnelBodyLate => "tunnel_body_late",
        }
    }
}

/// Why a client was not spliced to an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpliceFault {
    /// There are as many splices as there may be.
    Full,
    /// Every edge that was tried failed.
    GivenUp,
    /// Its name has no address that could be used.
    Unresolved,
    /// It refuses connections.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// It does not speak RTMP.
    Handshake,
    /// It was drained meanwhile.
    Drained,
}

impl Label for SpliceFault {
    const ALL: &'static [Self] = &[
        Self::Full,
        Self::GivenUp,
        Self::Unresolved,
        Self::Unreachable,
        Self::Timeout,
        Self::Handshake,
        Self::Drained,
    ];

    fn index(self) -> usize {
        self as usize
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::GivenUp => "given_up",
            Self::Unresolved => "unresolved",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Handshake => "handshake",
            Self::Drained => "drained",
        }
    }
}

/// What RTMP clients are counted by.
#[derive(Debug, Default)]
pub struct RtmpFigures {
    /// What they were told.
    pub answers: Counters<ConnectKind>,
    /// Sessions ended for what the client sent.
    pub rejects: Counters<RtmpReject>,
    /// Sessions ended for other reasons.
    pub lapses: Counters<Lapse>,
    /// Clients that were not spliced, and edges that could not take one over.
    pub splice_faults: Counters<SpliceFault>,
    /// Connections that were spliced.
    pub splices: AtomicU64,
    /// Spliced connections open now.
    pub splices_open: AtomicU64,
    /// Bytes from edges to spliced clients.
    pub bytes_to_clients: AtomicU64,
    /// Bytes from spliced clients to edges.
    pub bytes_to_edges: AtomicU64,
}

impl RtmpFigures {
    /// Why sessions ended without an answer.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.rejects.iter().chain(self.lapses.iter())
    }

    /// Counts a splice, and counts it as open while it lives.
    pub(super) fn open_splice(&self) -> OpenSplice<'_> {
        self.splices.fetch_add(1, Relaxed);
        self.splices_open.fetch_add(1, Relaxed);
        OpenSplice(&self.splices_open)
    }
}

/// A splice that is open.
pub(super) struct OpenSplice<'a>(&'a AtomicU64);

impl Drop for OpenSplice<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn check<K: Label>() {
        let counters = Counters::<K>::default();
        for label in K::ALL {
            counters.count(*label);
        }
        assert!(counters.iter().all(|(_, count)| count == 1));
    }

    #[test]
    fn every_figure_has_its_own_place_and_name() {
        check::<Lapse>();
        check::<SpliceFault>();
        let figures = RtmpFigures::default();
        let names: Vec<_> = figures.refused().map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }
}
