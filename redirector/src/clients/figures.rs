//! What RTMP clients were told, what became of those that were told nothing, and what is spliced.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    answer::connect::ConnectKind,
    figures::{Counters, Open, OpenNow, labels},
    rtmp::RtmpReject,
};

labels! {
    /// Why an RTMP session ended without an answer, other than for what the client sent.
    pub enum Lapse;

    /// The handshake was not finished in time.
    Handshake "handshake_timeout",
    /// No `connect` came in time.
    Connect "connect_timeout",
    /// It was answered and did not leave.
    Calls "calls_timeout",
    /// RTMPT: there are to be no sessions.
    TunnelFull "tunnel_full",
    /// RTMPT: all places were taken, and nobody had asked for this session longest.
    TunnelShed "tunnel_shed",
    /// RTMPT: the client's network has as many sessions as it may have.
    TunnelNetworkFull "tunnel_address_full",
    /// RTMPT: no such session, or another client's.
    TunnelNoSession "tunnel_no_session",
    /// RTMPT: a body longer than any client's.
    TunnelBodyTooLong "tunnel_body_too_long",
    /// RTMPT: a body that did not come in time, or not whole.
    TunnelBodyLate "tunnel_body_late",
}

labels! {
    /// Why a client was not spliced to an edge.
    pub enum SpliceFault;

    /// There are as many splices as there may be.
    Full "full",
    /// Every edge that was tried failed.
    GivenUp "given_up",
    /// Its name has no address that could be used.
    Unresolved "unresolved",
    /// It refuses connections.
    Unreachable "unreachable",
    /// It did not answer in time.
    Timeout "timeout",
    /// It does not speak RTMP.
    Handshake "handshake",
    /// It was drained meanwhile.
    Drained "drained",
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
    pub splices_open: OpenNow,
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
    pub(super) fn open_splice(&self) -> Open<'_> {
        self.splices.fetch_add(1, Relaxed);
        self.splices_open.open()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_figure_has_its_own_name() {
        let figures = RtmpFigures::default();
        let faults = figures.splice_faults.iter().collect();
        for counts in [figures.refused().collect(), faults] {
            let counts: Vec<_> = counts;
            let names: HashSet<_> = counts.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), counts.len(), "{counts:?}");
        }
    }
}
