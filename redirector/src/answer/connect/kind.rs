//! The kinds of answers to RTMP clients, as figures count them.

use tidegate_control::pick::NoEdge;

use crate::figures::Label;

/// What an answer to an RTMP client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectKind {
    /// A rejection that names an edge.
    Redirect,
    /// Any answer that leads to another place because no edge can serve.
    Overflow,
    /// A request to reconnect to an edge.
    Reconnect,
    /// A connection spliced to an edge.
    Splice,
    /// Accepted; calls may follow.
    Accepted,
    /// The host of an edge, for a call.
    Host,
    /// No edge can be had. That all are full is never the reason: then another place serves.
    NoEdge(NoEdge),
    /// The client is never redirected.
    Ignored,
    /// No application of that name is configured.
    UnknownApp,
    /// The client named no application.
    NoApp,
    /// The application cannot stand in a URL.
    AppInvalid,
    /// The client was redirected too often of late.
    LoopGuard,
}

impl Label for ConnectKind {
    const ALL: &'static [Self] = &[
        Self::Redirect,
        Self::Overflow,
        Self::Reconnect,
        Self::Splice,
        Self::Accepted,
        Self::Host,
        Self::NoEdge(NoEdge::EmptyFleet),
        Self::NoEdge(NoEdge::AllDrained),
        Self::NoEdge(NoEdge::NoneHealthy),
        Self::NoEdge(NoEdge::NoEndpoint),
        Self::NoEdge(NoEdge::NoLabel),
        Self::Ignored,
        Self::UnknownApp,
        Self::NoApp,
        Self::AppInvalid,
        Self::LoopGuard,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "rtmp_redirect",
            Self::Overflow => "overflow",
            Self::Reconnect => "rtmp_reconnect",
            Self::Splice => "splice",
            Self::Accepted => "accepted",
            Self::Host => "host",
            Self::NoEdge(reason) => reason.code(),
            Self::Ignored => "client_ignored",
            Self::UnknownApp => "unknown_app",
            Self::NoApp => "no_app",
            Self::AppInvalid => "app_invalid",
            Self::LoopGuard => "loop_guard",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_its_own_place_and_name() {
        for (place, kind) in ConnectKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), place, "{kind:?}");
        }
        let names: HashSet<_> = ConnectKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), ConnectKind::ALL.len());
        for reason in NoEdge::ALL {
            let is_counted = ConnectKind::ALL.contains(&ConnectKind::NoEdge(reason));
            assert_eq!(is_counted, reason != NoEdge::Full, "{reason:?}");
        }
    }
}
