//! The kinds of answers, as figures count them.

use tidegate_control::pick::NoEdge;

use crate::figures::Label;

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A 302 or 307 to an edge.
    Redirect,
    /// Any answer that leads to another place because no edge can serve.
    Overflow,
    /// `redirect=HOST`.
    Host,
    /// An edge and its alternates as JSON.
    Json,
    /// The page with every edge. Sends nobody anywhere.
    ServerInfo,
    /// CORS headers.
    Preflight,
    /// Flash's cross-domain policy.
    CrossDomain,
    /// No edge can be had. That all are full is never the reason: then another place serves.
    NoEdge(NoEdge),
    /// The client is never redirected.
    Ignored,
    /// The target cannot stand in a Location.
    NotSendable,
}

impl Label for Kind {
    const ALL: &'static [Self] = &[
        Self::Redirect,
        Self::Overflow,
        Self::Host,
        Self::Json,
        Self::ServerInfo,
        Self::Preflight,
        Self::CrossDomain,
        Self::NoEdge(NoEdge::EmptyFleet),
        Self::NoEdge(NoEdge::AllDrained),
        Self::NoEdge(NoEdge::NoneHealthy),
        Self::NoEdge(NoEdge::NoEndpoint),
        Self::NoEdge(NoEdge::NoLabel),
        Self::Ignored,
        Self::NotSendable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Overflow => "overflow",
            Self::Host => "host",
            Self::Json => "json",
            Self::ServerInfo => "server_info",
            Self::Preflight => "preflight",
            Self::CrossDomain => "crossdomain",
            Self::NoEdge(reason) => reason.code(),
            Self::Ignored => "client_ignored",
            Self::NotSendable => "target_invalid",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::figures::Counters;

    #[test]
    fn every_kind_has_its_own_counter_and_name() {
        let counters = Counters::default();
        for kind in Kind::ALL {
            counters.count(*kind);
        }
        assert!(counters.iter().all(|(_, count)| count == 1));
        let names: HashSet<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        for reason in NoEdge::ALL {
            let is_counted = Kind::ALL.contains(&Kind::NoEdge(reason));
            assert_eq!(is_counted, reason != NoEdge::Full, "{reason:?}");
        }
    }
}
