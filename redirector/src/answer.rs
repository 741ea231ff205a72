//! What a client is told: pure, from its question, the rules, a fleet's view, the time and a source
//! of randomness.
//!
//! It never reads a socket and never takes a host or a port from what the client sent: what the
//! client asked for goes behind the edge's own origin.

pub mod apps;
pub mod connect;
mod crossdomain;
mod failed;
pub mod kind;
mod lead;
mod loadbalancer;
pub mod overflow;
pub mod rules;
pub mod scheme;
pub mod target;

use std::net::IpAddr;

use ::http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER,
    },
};
use rand::Rng;
use tidegate_control::{clock::Now, pick::NoEdge, publish::Snapshot};
use tidegate_proto::edge::{Host, Scheme};

use self::{
    failed::Asked,
    lead::{Asking, Lead},
};
pub use self::{kind::Kind, rules::Rules};
use crate::error_body::error_body;

/// What clients may use, [`CLIENT_METHODS`](crate::front::guard::CLIENT_METHODS), as a header's value.
const METHODS_TEXT: &str = "GET, HEAD, OPTIONS, POST, PATCH, DELETE";
/// What a page may send along when it asks: a fixed list, nothing of the request is reflected.
const HEADERS_TEXT: &str = "Accept, Authorization, Cache-Control, Content-Type, If-Match, \
                            If-Modified-Since, If-None-Match, Origin, Pragma, Range, \
                            X-Requested-With";
/// One day, in seconds; browsers cap it themselves.
const PREFLIGHT_AGE_S: &str = "86400";
/// A little more than one heartbeat: by then the fleet may look different.
const RETRY_AFTER_S: &str = "3";

/// What a client asks, after the guard has let it pass.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// One of [`CLIENT_METHODS`](crate::front::guard::CLIENT_METHODS).
    pub method: &'a Method,
    /// Path and query as they were sent.
    pub target: &'a str,
    /// Whether the client takes nothing but JSON, see [`accepts_only_json`].
    pub json: bool,
    /// Who asks, see [`Rules::client`].
    pub client: IpAddr,
    /// What the client speaks.
    pub scheme: Scheme,
    /// The port it reached.
    pub port: u16,
}

/// What goes back.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What it is, for the figures.
    pub kind: Kind,
    /// The status.
    pub status: StatusCode,
    /// Every header but those the connection adds.
    pub headers: HeaderMap,
    /// The body; a connection leaves it out for HEAD.
    pub body: String,
}

/// Answers a question. The caller holds the snapshot's guard until this has returned.
pub fn answer(
    question: &Question<'_>,
    rules: &Rules,
    snapshot: &Snapshot,
    now: Now,
    random: &mut impl Rng,
) -> Answer {
    if question.method == Method::OPTIONS {
        return preflight();
    }
    if crossdomain::is_policy(question.target) {
        return crossdomain::policy();
    }
    let form = loadbalancer::Form::of(question, rules);
    if form == Some(loadbalancer::Form::ServerInfo) {
        return loadbalancer::server_info(&snapshot.fleet, now);
    }
    if rules.ignores(question.client) {
        return refusal(
            StatusCode::FORBIDDEN,
            Kind::Ignored,
            "client_ignored",
            "this address is listed in ignore_clients and is never redirected",
        );
    }
    let asked = Asked::of(question.target);
    let failed = asked.edges(&snapshot.fleet);
    let asking = Asking::new(question, &failed, rules, snapshot, now);
    match form {
        Some(loadbalancer::Form::Json) => loadbalancer::json(&asking, random),
        Some(_) => loadbalancer::host(&asking, random),
        None => redirect(&asking, &asked.target, random),
    }
}

/// The origin of an edge as it stands in a URL, the port always explicit.
#[must_use]
pub fn origin(scheme: Scheme, host: &Host, port: u16) -> String {
    format!("{scheme}://{}:{port}", host.for_url())
}

/// Where a client is sent: the edge's origin, then path and query byte for byte.
#[must_use]
pub fn location(scheme: Scheme, host: &Host, port: u16, target: &str) -> String {
    origin(scheme, host, port) + target
}

/// Whether an Accept header names JSON and nothing else. Its lines may be given one by one.
pub fn accepts_only_json<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let mut ranges = lines
        .flat_map(|line| line.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .filter(|range| !range.is_empty())
        .peekable();
    ranges.peek().is_some() && ranges.all(|range| range.eq_ignore_ascii_case("application/json"))
}

fn redirect(asking: &Asking<'_>, target: &str, random: &mut impl Rng) -> Answer {
    // Checked before the pick, so that no redirect is counted that nobody gets.
    let Ok(target) = target::on_the_edge(target) else {
        return not_sendable("what follows /redirect must be a path that can stand by itself");
    };
    let Question { method, scheme, .. } = *asking.question;
    match asking.lead(&asking.wanted(Some(scheme), &target), random) {
        Ok(Lead::Edge(picked)) => {
            let host = &picked.edge.redirect_address;
            let location = location(picked.scheme, host, picked.port, &target);
            redirect_to(location, Kind::Redirect, method, &target)
        }
        Ok(Lead::Overflow(place)) => {
            redirect_to(place.origin() + &target, Kind::Overflow, method, &target)
        }
        Err(reason) => no_edge(reason),
    }
}

/// Reading is redirected as everybody knows it; whatever else must keep its method and its body
/// (RFC 9110 section 15.4.8).
fn redirect_to(location: String, kind: Kind, method: &Method, target: &str) -> Answer {
    // The guard lets visible ASCII pass and nothing else, so this is always a header's value; if it
    // ever were not, the client is refused rather than sent elsewhere.
    let Ok(location) = HeaderValue::try_from(location) else {
        return not_sendable("the path holds bytes that cannot stand in a header");
    };
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let status = if reads { StatusCode::FOUND } else { StatusCode::TEMPORARY_REDIRECT };
    let mut answer = bare(status, kind);
    answer.headers.insert(LOCATION, location);
    if let Some(playlist) = target::playlist_type(target).filter(|_| reads) {
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(playlist));
    }
    answer
}

fn not_sendable(message: &str) -> Answer {
    refusal(StatusCode::BAD_REQUEST, Kind::NotSendable, "target_invalid", message)
}

fn preflight() -> Answer {
    let mut answer = bare(StatusCode::NO_CONTENT, Kind::Preflight);
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS_TEXT),
        (ACCESS_CONTROL_ALLOW_HEADERS, HEADERS_TEXT),
        (ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE_S),
    ] {
        answer.headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn no_edge(reason: NoEdge) -> Answer {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let message = no_edge_text(reason);
    let mut answer = refusal(status, Kind::NoEdge(reason), reason.code(), message);
    answer.headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    answer
}

/// Why there is no edge, for people.
fn no_edge_text(reason: NoEdge) -> &'static str {
    match reason {
        NoEdge::EmptyFleet => "no edge has reported yet",
        NoEdge::AllDrained => "every edge is drained or paused",
        NoEdge::NoneHealthy => "no edge is healthy",
        NoEdge::NoEndpoint => "no healthy edge serves what was asked for",
        NoEdge::NoLabel => "no healthy edge carries the labels that this path demands",
        NoEdge::Full => "every edge is full",
    }
}

fn refusal(status: StatusCode, kind: Kind, code: &str, message: &str) -> Answer {
    text(status, kind, "application/json", error_body(code, message))
}

fn text(status: StatusCode, kind: Kind, content_type: &'static str, body: String) -> Answer {
    let mut answer = bare(status, kind);
    answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.body = body;
    answer
}

/// An answer that nobody may keep and every page may read.
fn bare(status: StatusCode, kind: Kind) -> Answer {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Answer { kind, status, headers, body: String::new() }
}

#[cfg(test)]
mod tests;
