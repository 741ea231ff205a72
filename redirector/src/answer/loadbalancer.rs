//! `/loadbalancer`: the answers that name an edge instead of redirecting to it.

use ::http::StatusCode;
use rand::Rng;
use serde::Serialize;
use tidegate_control::{
    clock::Now,
    pick::{NoEdge, Picked, alternates},
    snapshot::FleetView,
};

use super::{
    Answer, Kind, Question, Rules,
    lead::{Asking, Lead},
    no_edge, origin,
    overflow::Target,
    text,
};
use crate::server_info;

/// How many further edges the JSON answer names at most.
const ALTERNATES_MAX: usize = 3;

/// How an edge is to be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Host,
    Json,
    ServerInfo,
}

impl Form {
    /// `None` where the target is a path to redirect.
    pub(super) fn of(question: &Question<'_>, rules: &Rules) -> Option<Self> {
        let (path, query) = question.target.split_once('?').unwrap_or((question.target, ""));
        if path.rsplit('/').next() != Some("loadbalancer") {
            return None;
        }
        if rules.server_info_xml && query.contains("serverInfoXML") {
            return Some(Self::ServerInfo);
        }
        let json = question.json || query.split('&').any(|pair| pair == "format=json");
        Some(if json { Self::Json } else { Self::Host })
    }
}

/// `redirect=HOST`: the bare host and nothing behind it, since clients put it into URLs of their
/// own. They read `unknown` as no edge, so this is never a 503.
pub(super) fn host(asking: &Asking<'_>, random: &mut impl Rng) -> Answer {
    let (kind, host) = match asking.lead(&asking.wanted(None, ""), random) {
        Ok(Lead::Edge(picked)) => (Kind::Host, picked.edge.redirect_address.to_string()),
        Ok(Lead::Overflow(place)) => (Kind::Overflow, place.host().to_string()),
        Err(reason) => (Kind::NoEdge(reason), "unknown".to_owned()),
    };
    text(StatusCode::OK, kind, "text/plain", format!("redirect={host}"))
}

#[derive(Serialize)]
struct Named<'a> {
    /// `null`: another place, which is no edge.
    edge: Option<&'a str>,
    host: String,
    /// The edge's origin, `null` where no edge serves the client's scheme. It has no path: the
    /// client asked for an edge, not for a stream, and appends its own.
    url: Option<String>,
    alternates: Vec<String>,
}

/// The edge with its origin and those of further edges for when it fails. Where none serves the
/// client's scheme any edge is named, without a URL.
pub(super) fn json(asking: &Asking<'_>, random: &mut impl Rng) -> Answer {
    let wanted = asking.wanted(Some(asking.question.scheme), "");
    match asking.lead(&wanted, random) {
        Ok(Lead::Edge(picked)) => {
            // Each alternate is checked for a drain as it is ranked; the snapshot's guard covers
            // the rest.
            let now = asking.now.monotonic;
            let others = alternates(asking.snapshot, &wanted, now, &picked, ALTERNATES_MAX);
            let alternates = others.iter().map(origin_of).collect();
            named_edge(&picked, Some(origin_of(&picked)), alternates)
        }
        Ok(Lead::Overflow(place)) => named_place(place, Some(place.origin())),
        Err(NoEdge::NoEndpoint) => match asking.lead(&asking.wanted(None, ""), random) {
            Ok(Lead::Edge(picked)) => named_edge(&picked, None, Vec::new()),
            Ok(Lead::Overflow(place)) => named_place(place, None),
            Err(reason) => no_edge(reason),
        },
        Err(reason) => no_edge(reason),
    }
}

fn named_edge(picked: &Picked, url: Option<String>, alternates: Vec<String>) -> Answer {
    let edge = &picked.edge;
    let host = edge.redirect_address.to_string();
    named(Kind::Json, &Named { edge: Some(edge.name.as_str()), host, url, alternates })
}

fn named_place(place: &Target, url: Option<String>) -> Answer {
    let host = place.host().to_string();
    named(Kind::Overflow, &Named { edge: None, host, url, alternates: Vec::new() })
}

fn named(kind: Kind, named: &Named<'_>) -> Answer {
    let body = serde_json::to_string(named).unwrap_or_default();
    text(StatusCode::OK, kind, "application/json", body)
}

/// Every edge as Wowza's load balancer shows them.
pub(super) fn server_info(fleet: &FleetView, now: Now) -> Answer {
    text(StatusCode::OK, Kind::ServerInfo, "text/xml", server_info::xml(fleet, now.unix_ms))
}

fn origin_of(picked: &Picked) -> String {
    origin(picked.scheme, &picked.edge.redirect_address, picked.port)
}
