//! Explaining a pick to an operator: the question is read, the answer is put into words.

use std::{cmp::Ordering, collections::HashSet, net::IpAddr};

use tidegate_proto::{
    admin::{Capacity, ExplainReason, ExplainRequest, ExplainResponse, ExplainedEdge, ReasonCount},
    edge::Scheme,
};
use tonic::Status;

use super::{
    page,
    refusal::{self, invalid},
};
use crate::{
    clock::Now,
    pick::{Explained, Explanation, Wanted, explain},
    publish::Snapshot,
    resolve::resolve,
    snapshot::EdgeView,
};

const PATH_LEN_MAX: usize = 4_096;

/// Where clients come in, as far as it bears on where they are sent.
#[derive(Debug, Clone, Default)]
pub struct Entrance {
    /// The port that clients are taken to have reached.
    pub port: u16,
    /// The port to send them to whatever edges list.
    pub redirect_port: Option<u16>,
    /// The scheme to send clients of HTTP with; `None`: the one they use.
    pub redirect_scheme: Option<Scheme>,
    /// Where the redirector itself listens for clients.
    pub own: HashSet<(IpAddr, u16)>,
    /// The schemes for which another place can serve when all edges are full; `None`: where only a
    /// host is asked for.
    pub overflow_for: Vec<Option<Scheme>>,
}

/// A request whose arguments are within bounds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    path: String,
    client: Option<IpAddr>,
    scheme: Option<Scheme>,
    edge: String,
    edges_max: usize,
}

impl Question {
    pub(super) fn read(request: ExplainRequest) -> Result<Self, Status> {
        let ExplainRequest { path, client, scheme, edge, edges_max } = request;
        if path.len() > PATH_LEN_MAX {
            let fault = format!("has {} bytes, at most {PATH_LEN_MAX} are read", path.len());
            return Err(invalid("path", fault));
        }
        let (said, path) = split(&path)?;
        let scheme = match scheme.as_str() {
            "" => said,
            text => Some(text.parse().map_err(|fault| invalid("scheme", fault))?),
        };
        let client = match client.as_str() {
            "" => None,
            text => Some(text.parse::<IpAddr>().map_err(|_| not_an_address())?.to_canonical()),
        };
        let edges_max = page::size(edges_max).map_err(|_| {
            invalid("edges_max", "must not be negative; 0 means 100, and 1000 is the most")
        })?;
        Ok(Self { path: path.to_owned(), client, scheme, edge, edges_max })
    }

    /// Answers it. Looks at every edge: do it where blocking is fine.
    pub(super) fn answer(
        &self,
        snapshot: &Snapshot,
        entrance: &Entrance,
        now: Now,
    ) -> Result<ExplainResponse, Status> {
        let wanted = self.wanted(entrance);
        let only = match self.edge.as_str() {
            "" => None,
            name => Some(resolve(&snapshot.fleet, name).map_err(|why| refusal::status(&why))?.id),
        };
        let mut explained = explain(snapshot, &wanted, now.monotonic);
        let reasons = count(&explained.edges);
        if let Some(place) = only.and_then(|id| snapshot.fleet.by_id.get(&id)) {
            explained.edges.retain(|edge| edge.place == *place);
        }
        explained.edges.sort_by(best_first);
        explained.edges.truncate(self.edges_max);
        Ok(response(snapshot, &wanted, explained, reasons))
    }

    fn wanted<'a>(&'a self, entrance: &'a Entrance) -> Wanted<'a> {
        let is_http = |scheme: &Scheme| matches!(scheme, Scheme::Http | Scheme::Https);
        let instead = entrance.redirect_scheme.filter(is_http);
        let scheme = match self.scheme {
            Some(scheme) if is_http(&scheme) => Some(instead.unwrap_or(scheme)),
            other => other,
        };
        Wanted {
            port_override: entrance.redirect_port,
            path: &self.path,
            client: self.client,
            has_overflow: entrance.overflow_for.contains(&scheme),
            ..Wanted::new(scheme, entrance.port, &entrance.own)
        }
    }
}

fn not_an_address() -> Status {
    invalid("client", "must be an IP address such as 192.0.2.7 or 2001:db8::7, without a port")
}

/// A URL's scheme and path, or a path alone.
fn split(text: &str) -> Result<(Option<Scheme>, &str), Status> {
    let Some((scheme, rest)) = text.split_once("://") else { return Ok((None, text)) };
    // A path may hold a whole URL in its query.
    if scheme.contains(['/', '?']) {
        return Ok((None, text));
    }
    let scheme = scheme.to_ascii_lowercase();
    let scheme = scheme.parse().map_err(|fault| invalid("path", fault))?;
    Ok((Some(scheme), rest.find('/').map_or("", |at| &rest[at..])))
}

/// By chance, then those that would not be chosen; each by predicted load, the unknown last.
fn best_first(one: &Explained, other: &Explained) -> Ordering {
    let load = |edge: &Explained| edge.predicted_load.unwrap_or(f64::INFINITY);
    (other.chance.total_cmp(&one.chance))
        .then_with(|| load(one).total_cmp(&load(other)))
        .then_with(|| one.place.cmp(&other.place))
}

/// The commonest reason first.
fn count(edges: &[Explained]) -> Vec<ReasonCount> {
    let mut counts = std::collections::BTreeMap::<i32, u32>::new();
    for edge in edges {
        *counts.entry(edge.reason.into()).or_default() += 1;
    }
    let mut counts: Vec<_> =
        counts.into_iter().map(|(reason, edges)| ReasonCount { reason, edges }).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.edges));
    counts
}

fn response(
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    explained: Explanation,
    reasons: Vec<ReasonCount>,
) -> ExplainResponse {
    let Explanation { stream, zone, rule, mean_load, level, no_edge, edges } = explained;
    let table = &snapshot.table;
    ExplainResponse {
        policy: table.selection().policy.to_string(),
        mode: snapshot.fleet.mode.as_str().into(),
        stream: stream.map(|stream| format!("{:08x}", stream.0)).unwrap_or_default(),
        zone: zone.unwrap_or_default(),
        rule: rule.unwrap_or_default(),
        scheme: wanted.scheme.map(|scheme| scheme.to_string()).unwrap_or_default(),
        redirectors: table.redirectors().round() as u32,
        mean_load: mean_load.map(f64::from),
        level: level.map(f64::from),
        no_edge: no_edge.map(|why| why.code().to_owned()).unwrap_or_default(),
        edges: edges.iter().filter_map(|edge| message(snapshot, edge)).collect(),
        reasons,
    }
}

fn message(snapshot: &Snapshot, explained: &Explained) -> Option<ExplainedEdge> {
    let edge = snapshot.fleet.edges.get(explained.place)?;
    let (code, text) = words(explained, edge);
    Some(ExplainedEdge {
        name: edge.name.to_string(),
        edge_id: edge.id.to_string(),
        chance: explained.chance,
        chosen: explained.is_chosen(),
        reason: explained.reason.into(),
        code,
        text,
        reported_load: explained.reported_load,
        predicted_load: explained.predicted_load,
        pending: u32::try_from(edge.pending()).unwrap_or(u32::MAX),
        unconfirmed: explained.unconfirmed,
        capacity: Some(Capacity {
            viewers: edge.capacity.viewers.unwrap_or(0),
            bandwidth_bps: edge.capacity.bandwidth_bps.unwrap_or(0),
        }),
        capacity_bps: explained.capacity_bps,
        weight: edge.weight,
        window_room: explained.window_room,
    })
}

/// A word and a sentence. Where the edge or the operator said why, they are theirs.
fn words(explained: &Explained, edge: &EdgeView) -> (String, String) {
    let name = explained.reason.as_str_name().trim_start_matches("EXPLAIN_REASON_");
    let code = name.to_ascii_lowercase();
    let said = edge.reason.as_ref();
    let text = match explained.reason {
        ExplainReason::Drained => match &edge.order {
            Some(order) if order.reason.is_empty() => format!("drained by {}", order.author),
            Some(order) => format!("drained by {}: {}", order.author, order.reason),
            None => "a drain is on its way to the store".into(),
        },
        ExplainReason::Trouble => {
            return said.map(|why| (why.code.clone(), why.text.clone())).unwrap_or_default();
        }
        ExplainReason::Silent
        | ExplainReason::Goodbye
        | ExplainReason::DuplicateName
        | ExplainReason::Flapping
        | ExplainReason::Paused
        | ExplainReason::New
        | ExplainReason::Restarted => match said {
            Some(why) => why.text.clone(),
            None => "no heartbeat came in time".into(),
        },
        ExplainReason::LabelMissing => match &explained.label {
            Some((name, value)) => format!("does not carry the label {name}={value}"),
            None => sentence(explained).into(),
        },
        _ => sentence(explained).into(),
    };
    (code, text)
}

fn sentence(explained: &Explained) -> &'static str {
    let is_closed = explained.window_room <= 0.0;
    match explained.reason {
        ExplainReason::Candidate if is_closed => {
            "may be drawn, though many redirects to it are not confirmed yet"
        }
        ExplainReason::Candidate => "may be drawn",
        ExplainReason::Host => "carries the stream and has room",
        ExplainReason::Fallback => "stands in, since no edge in good order can serve",
        ExplainReason::AboveLevel => "others carry less by prediction",
        ExplainReason::WindowClosed => {
            "so many redirects to it are not confirmed yet that others come first"
        }
        ExplainReason::Late => "its heartbeat is overdue, and others can serve",
        ExplainReason::Unmeasured => {
            "reports neither viewers nor bandwidth, and edges that do can serve"
        }
        ExplainReason::NoEndpoint => "lists endpoints, but none for this scheme",
        ExplainReason::OwnAddress => "its address is this redirector's own",
        ExplainReason::LabelMissing => "does not carry a label that is demanded",
        ExplainReason::OtherZone => "edges in the client's zone, or nearer to it, can serve",
        ExplainReason::SpreadLimit => "carries as much of the stream as one edge may",
        ExplainReason::Overloaded => "is above overflow_at, and another place can serve",
        ExplainReason::Failed => "has failed clients",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, client: &str, scheme: &str) -> Result<Question, Status> {
        Question::read(ExplainRequest {
            path: path.into(),
            client: client.into(),
            scheme: scheme.into(),
            ..ExplainRequest::default()
        })
    }

    #[test]
    fn a_url_says_the_scheme_too_and_a_path_may_hold_one() {
        for (path, scheme, wanted_path, wanted_scheme) in [
            ("", "", "", None),
            ("/live/cam", "", "/live/cam", None),
            ("live/cam", "rtmp", "live/cam", Some(Scheme::Rtmp)),
            ("rtmp://lb.example:1935/live/cam", "", "/live/cam", Some(Scheme::Rtmp)),
            ("HTTPS://[::1]/a/b.m3u8?x=1", "", "/a/b.m3u8?x=1", Some(Scheme::Https)),
            ("http://lb.example", "https", "", Some(Scheme::Https)),
            ("/go?to=http://x/y", "", "/go?to=http://x/y", None),
        ] {
            let question = read(path, "", scheme).expect(path);
            assert_eq!((question.path.as_str(), question.scheme), (wanted_path, wanted_scheme));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        for (path, client, scheme, field) in [
            ("ftp://a/b", "", "", "path"),
            (&"x".repeat(5_000), "", "", "path"),
            ("", "192.0.2.7:80", "", "client"),
            ("", "edge-1", "", "client"),
            ("", "", "gopher", "scheme"),
        ] {
            let status = read(path, client, scheme).expect_err(field);
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(status.message().starts_with(&format!("{field}: ")), "{}", status.message());
        }
        let request = ExplainRequest { edges_max: -1, ..ExplainRequest::default() };
        let status = Question::read(request).expect_err("negative");
        assert!(status.message().starts_with("edges_max: "), "{}", status.message());
    }

    #[test]
    fn every_reason_has_a_code_and_its_own_words() {
        let edge = crate::admin::sample::edge(1, "edge-1");
        for number in 1..=23 {
            let reason = ExplainReason::try_from(number).expect("a reason");
            let explained = Explained { reason, ..Explained::default() };
            let (code, text) = words(&explained, &edge);
            let is_named_by_edge = reason == ExplainReason::Trouble;
            assert!(is_named_by_edge || (!code.is_empty() && !text.is_empty()), "{reason:?}");
        }
        assert!(ExplainReason::try_from(24).is_err(), "a new reason is to be tested here");
    }
}
