//! The kinds of answers, and how many of each were given.

use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_control::pick::NoEdge;

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A 302 or 307 to an edge.
    Redirect,
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
    /// No edge can be had.
    NoEdge(NoEdge),
    /// The client is never redirected.
    Ignored,
    /// The target cannot stand in a Location.
    NotSendable,
}

impl Kind {
    /// Every kind, in the order of the enum.
    pub const ALL: [Self; 12] = [
        Self::Redirect,
        Self::Host,
        Self::Json,
        Self::ServerInfo,
        Self::Preflight,
        Self::CrossDomain,
        Self::NoEdge(NoEdge::EmptyFleet),
        Self::NoEdge(NoEdge::AllDrained),
        Self::NoEdge(NoEdge::NoneHealthy),
        Self::NoEdge(NoEdge::NoEndpoint),
        Self::Ignored,
        Self::NotSendable,
    ];

    /// The kind as metrics name it; of no edge, the reason.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
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

/// How many answers of each kind were given.
#[derive(Debug, Default)]
pub struct AnswerFigures([AtomicU64; Kind::ALL.len()]);

impl AnswerFigures {
    /// Counts one.
    pub fn count(&self, kind: Kind) {
        let place = Kind::ALL.iter().position(|other| *other == kind);
        if let Some(counter) = place.and_then(|place| self.0.get(place)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every kind's code and count.
    #[must_use]
    pub fn samples(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|counter| counter.load(Ordering::Relaxed));
        Kind::ALL.into_iter().map(Kind::code).zip(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_counter_and_code() {
        let figures = AnswerFigures::default();
        for kind in Kind::ALL {
            figures.count(kind);
        }
        let samples = figures.samples();
        assert!(samples.iter().all(|(_, count)| *count == 1), "{samples:?}");
        let codes: std::collections::HashSet<_> = samples.iter().map(|(code, _)| code).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        assert!(NoEdge::ALL.into_iter().all(|reason| Kind::ALL.contains(&Kind::NoEdge(reason))));
    }
}
