//! `/loadbalancer`: the answers that name an edge instead of redirecting to it.

use std::time::Duration;

use ::http::StatusCode;
use rand::Rng;
use serde::Serialize;
use tidegate_control::{
    clock::Now,
    pick::{NoEdge, Picked, alternates, pick},
    publish::Snapshot,
    snapshot::FleetView,
};

use super::{Answer, Kind, Question, Rules, no_edge, origin, text};
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
pub(super) fn host(
    question: &Question<'_>,
    rules: &Rules,
    snapshot: &Snapshot,
    now: Duration,
    random: &mut impl Rng,
) -> Answer {
    let wanted = rules.wanted(None, question.port, question.client);
    let (kind, host) = match pick(snapshot, &wanted, now, random) {
        Ok(picked) => (Kind::Host, picked.edge.redirect_address.to_string()),
        Err(reason) => (Kind::NoEdge(reason), "unknown".to_owned()),
    };
    text(StatusCode::OK, kind, "text/plain", format!("redirect={host}"))
}

#[derive(Serialize)]
struct Named<'a> {
    edge: &'a str,
    host: String,
    /// The edge's origin, `null` where no edge serves the client's scheme. It has no path: the
    /// client asked for an edge, not for a stream, and appends its own.
    url: Option<String>,
    alternates: Vec<String>,
}

/// The edge with its origin and those of further edges for when it fails. Where none serves the
/// client's scheme any edge is named, without a URL.
pub(super) fn json(
    question: &Question<'_>,
    rules: &Rules,
    snapshot: &Snapshot,
    now: Duration,
    random: &mut impl Rng,
) -> Answer {
    let wanted = rules.wanted(Some(question.scheme), question.port, question.client);
    let picked = pick(snapshot, &wanted, now, random);
    // Each alternate is checked for a drain as it is ranked; the snapshot's guard covers the rest.
    let named = picked.map(|picked| {
        let others = alternates(snapshot, &wanted, now, &picked, ALTERNATES_MAX);
        name(&picked, Some(origin_of(&picked)), others.iter().map(origin_of).collect())
    });
    let named = match named {
        Err(NoEdge::NoEndpoint) => {
            pick(snapshot, &rules.wanted(None, question.port, question.client), now, random)
                .map(|picked| name(&picked, None, Vec::new()))
        }
        other => other,
    };
    match named {
        Ok(body) => text(StatusCode::OK, Kind::Json, "application/json", body),
        Err(reason) => no_edge(reason),
    }
}

fn name(picked: &Picked, url: Option<String>, alternates: Vec<String>) -> String {
    let edge = &picked.edge;
    let host = edge.redirect_address.to_string();
    let named = Named { edge: edge.name.as_str(), host, url, alternates };
    serde_json::to_string(&named).unwrap_or_default()
}

/// Every edge as Wowza's load balancer shows them.
pub(super) fn server_info(fleet: &FleetView, now: Now) -> Answer {
    text(StatusCode::OK, Kind::ServerInfo, "text/xml", server_info::xml(fleet, now.unix_ms))
}

fn origin_of(picked: &Picked) -> String {
    origin(picked.scheme, &picked.edge.redirect_address, picked.port)
}
