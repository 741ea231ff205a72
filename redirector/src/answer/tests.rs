use std::{collections::HashSet, net::Ipv4Addr, sync::Arc, time::Duration};

use proptest::prelude::*;
use rand::{SeedableRng, rngs::StdRng};
use serde_json::Value;
use tidegate_control::{
    selection::Selection,
    snapshot::{EdgeView, FleetView},
};
use tidegate_proto::{edge::Capacity, heartbeat::Load};

use super::*;
use crate::{
    front::guard::CLIENT_METHODS,
    sample::{edge, fleet},
};

const NOW: Now = Now { monotonic: Duration::from_secs(10), unix_ms: 1_700_000_000_000 };

const QUESTION: Question<'static> = Question {
    method: &Method::GET,
    target: "/",
    json: false,
    client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    scheme: Scheme::Http,
    port: 1935,
};

/// A GET of `target` from a client that reached port 1935.
fn ask(target: &str, rules: &Rules, fleet: &FleetView) -> Answer {
    ask_with(&Method::GET, target, rules, fleet)
}

fn ask_with(method: &Method, target: &str, rules: &Rules, fleet: &FleetView) -> Answer {
    let question = Question { method, target, ..QUESTION };
    answer(&question, rules, &snapshot(fleet), NOW, &mut StdRng::seed_from_u64(1))
}

/// What a pick holds of a fleet that is all there is to know.
pub(in crate::answer) fn snapshot(fleet: &FleetView) -> Snapshot {
    Snapshot::of(Arc::new(fleet.clone()), Arc::default(), Duration::ZERO)
}

/// A GET of `target` where picks follow `selection`.
fn ask_by(selection: Selection, target: &str, rules: &Rules, fleet: &FleetView) -> Answer {
    let snapshot = Snapshot::of(Arc::new(fleet.clone()), Arc::new(selection), Duration::ZERO);
    let question = Question { target, ..QUESTION };
    answer(&question, rules, &snapshot, NOW, &mut StdRng::seed_from_u64(1))
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().expect("text"))
}

fn body(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).expect("JSON")
}

/// An edge for 100 viewers.
fn loaded(name: &str, viewers: u32) -> EdgeView {
    EdgeView {
        capacity: Capacity { viewers: Some(100), bandwidth_bps: None },
        load: Load { viewers: Some(viewers), ..Load::default() },
        ..edge(name, &format!("{name}.example.com"), "http:80")
    }
}

fn one(endpoints: &str) -> FleetView {
    fleet(vec![edge("edge-1", "edge-1.example.com", endpoints)])
}

fn with_server_info() -> Rules {
    Rules { server_info_xml: true, ..Rules::default() }
}

#[test]
fn a_path_is_redirected_to_the_edges_origin() {
    let target = "/live/stream1/playlist.m3u8?token=x";
    for (endpoints, location) in [
        ("", "http://edge-1.example.com:1935"),
        ("http:8080", "http://edge-1.example.com:8080"),
        ("rtmp:1935 http:80", "http://edge-1.example.com:80"),
    ] {
        let answer = ask(target, &Rules::default(), &one(endpoints));
        assert_eq!(answer.status, StatusCode::FOUND);
        assert_eq!(header(&answer, "location"), format!("{location}{target}"));
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
        assert_eq!((answer.kind, answer.body.as_str()), (Kind::Redirect, ""));
    }
}

#[test]
fn an_ipv6_edge_is_in_brackets_in_urls_and_bare_elsewhere() {
    let fleet = fleet(vec![edge("edge-1", "2001:db8::7", "")]);
    let rules = Rules::default();
    assert_eq!(header(&ask("/a", &rules, &fleet), "location"), "http://[2001:db8::7]:1935/a");
    assert_eq!(ask("/loadbalancer", &rules, &fleet).body, "redirect=2001:db8::7");
}

#[test]
fn the_operators_scheme_and_port_override() {
    let rules = Rules {
        redirect_scheme: Some(Scheme::Https),
        redirect_port: Some(444),
        ..Rules::default()
    };
    let answer = ask("/a", &rules, &one("https:443"));
    assert_eq!(header(&answer, "location"), "https://edge-1.example.com:444/a");
    assert_eq!(ask("/a", &rules, &one("http:80")).kind, Kind::NoEdge(NoEdge::NoEndpoint));
}

#[test]
fn what_is_not_read_keeps_its_method() {
    for method in [Method::POST, Method::PATCH, Method::DELETE] {
        let answer = ask_with(&method, "/live/a/whip", &Rules::default(), &one("http:80"));
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{method}");
        assert_eq!(header(&answer, "location"), "http://edge-1.example.com:80/live/a/whip");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
        let answer = ask_with(&method, "/a", &Rules::default(), &FleetView::default());
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{method}");
        assert_eq!(body(&answer)["error"], "empty_fleet");
    }
    assert_eq!(
        ask_with(&Method::HEAD, "/a", &Rules::default(), &one("")).status,
        StatusCode::FOUND
    );
}

#[test]
fn a_preflight_lists_every_method() {
    let answer = ask_with(&Method::OPTIONS, "/a", &Rules::default(), &FleetView::default());
    let listed = header(&answer, "access-control-allow-methods");
    assert_eq!(listed, CLIENT_METHODS.map(|method| method.to_string()).join(", "));
}

#[test]
fn a_stream_behind_redirect_is_its_playlist_on_the_edge() {
    let answer = ask("/redirect/live/a?type=m3u8&tok=1", &Rules::default(), &one("http:80"));
    let location = "http://edge-1.example.com:80/live/a/playlist.m3u8?tok=1";
    assert_eq!(header(&answer, "location"), location);
    let fleet = one("");
    let answer = ask("/redirect//evil.com/x?type=m3u8", &Rules::default(), &fleet);
    assert_eq!((answer.status, answer.kind), (StatusCode::BAD_REQUEST, Kind::NotSendable));
    assert_eq!(header(&answer, "location"), "");
    assert_eq!(fleet.edges[0].cell.handed(), 0, "nobody was sent there");
}

#[test]
fn a_redirect_to_a_playlist_says_what_it_leads_to() {
    for (target, expected) in [
        ("/live/a/playlist.m3u8?tok=x.mpd", "application/vnd.apple.mpegurl"),
        ("/redirect/live/a?type=m3u8", "application/vnd.apple.mpegurl"),
        ("/live/a/manifest.mpd", "application/dash+xml"),
        ("/live/a/segment.ts?x=.m3u8", ""),
        ("/live/a", ""),
    ] {
        let answer = ask(target, &Rules::default(), &one(""));
        assert_eq!((header(&answer, "content-type"), answer.body.as_str()), (expected, ""));
        assert_eq!(answer.status, StatusCode::FOUND, "{target}");
    }
}

#[test]
fn flash_may_ask_from_every_domain() {
    let ignore_clients = vec!["0.0.0.0/0".parse().expect("a network")];
    let rules = Rules { ignore_clients, ..Rules::default() };
    let answer = ask("/crossdomain.xml", &rules, &FleetView::default());
    assert_eq!((answer.status, answer.kind), (StatusCode::OK, Kind::CrossDomain));
    assert_eq!(header(&answer, "content-type"), "text/x-cross-domain-policy");
    assert!(answer.body.contains("<allow-access-from domain=\"*\""), "{}", answer.body);
    for target in ["/a/crossdomain.xml", "/crossdomain.xml/", "/Crossdomain.xml"] {
        assert_eq!(ask(target, &Rules::default(), &one("")).kind, Kind::Redirect, "{target}");
    }
}

#[test]
fn a_scheme_set_for_rtmp_leaves_http_alone() {
    let rules = Rules { redirect_scheme: Some(Scheme::Rtmp), ..Rules::default() };
    let answer = ask("/a", &rules, &one("rtmp:1935 http:80"));
    assert_eq!(header(&answer, "location"), "http://edge-1.example.com:80/a");
}

#[test]
fn loadbalancer_names_the_bare_host() {
    for target in ["/loadbalancer", "/loadbalancer?channel7", "/a/b/loadbalancer?x=/y"] {
        let fleet = one("rtmp:1935");
        let answer = ask(target, &Rules::default(), &fleet);
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, "redirect=edge-1.example.com");
        assert_eq!(header(&answer, "content-type"), "text/plain");
        assert_eq!(fleet.edges[0].cell.handed(), 1, "it counts as a redirect");
    }
}

#[test]
fn only_the_whole_last_segment_is_loadbalancer() {
    for target in
        ["/loadbalancer/", "/loadbalancers", "/xloadbalancer", "/Loadbalancer", "/a?/loadbalancer"]
    {
        assert_eq!(ask(target, &Rules::default(), &one("")).kind, Kind::Redirect, "{target}");
    }
}

#[test]
fn loadbalancer_without_an_edge_is_unknown() {
    let answer = ask("/loadbalancer", &Rules::default(), &FleetView::default());
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "redirect=unknown"));
    assert_eq!(answer.kind, Kind::NoEdge(NoEdge::EmptyFleet));
}

#[test]
fn server_info_counts_no_redirect() {
    let fleet = one("");
    let answer = ask("/loadbalancer?xserverInfoXMLx", &with_server_info(), &fleet);
    assert_eq!(header(&answer, "content-type"), "text/xml");
    assert!(answer.body.starts_with("<LoadBalancerServerInfo>"), "{}", answer.body);
    assert!(answer.body.contains("<redirect>edge-1.example.com</redirect>"));
    assert_eq!(fleet.edges[0].cell.handed(), 0);
}

#[test]
fn server_info_that_is_off_is_an_ordinary_question() {
    let answer = ask("/loadbalancer?serverInfoXML", &Rules::default(), &one(""));
    assert_eq!(answer.body, "redirect=edge-1.example.com");
}

#[test]
fn json_names_the_edge_and_its_alternates() {
    let names = ["a", "b", "c", "d", "e"];
    let edges = names.map(|name| edge(name, &format!("{name}.example.com"), "http:80"));
    let fleet = fleet(edges.to_vec());
    let answer = ask("/loadbalancer?format=json", &Rules::default(), &fleet);
    let body = body(&answer);
    assert_eq!((answer.kind, header(&answer, "content-type")), (Kind::Json, "application/json"));
    let host = body["host"].as_str().expect("a host");
    assert_eq!(body["url"], format!("http://{host}:80"));
    assert_eq!(host, format!("{}.example.com", body["edge"].as_str().expect("a name")));
    let alternates: HashSet<_> = body["alternates"].as_array().expect("a list").iter().collect();
    assert_eq!(alternates.len(), 3);
    assert!(!alternates.contains(&body["url"]));
    let handed: u64 = fleet.edges.iter().map(|edge| edge.cell.handed()).sum();
    assert_eq!(handed, 1, "alternates are not counted");
}

#[test]
fn json_without_an_endpoint_names_the_edge_without_a_url() {
    let body = body(&ask("/loadbalancer?a&format=json", &Rules::default(), &one("rtmp:1935")));
    assert_eq!(body["host"], "edge-1.example.com");
    assert!(body["url"].is_null());
    assert_eq!(body["alternates"], Value::Array(vec![]));
}

#[test]
fn accept_means_json_only_where_it_names_nothing_else() {
    for (lines, json) in [
        (&["application/json"][..], true),
        (&["Application/JSON; charset=utf-8"], true),
        (&["application/json", "application/json;q=0.5"], true),
        (&["application/json, */*"], false),
        (&["application/json", "text/html"], false),
        (&["*/*"], false),
        (&[""], false),
        (&[], false),
    ] {
        assert_eq!(accepts_only_json(lines.iter().copied()), json, "{lines:?}");
    }
}

#[test]
fn no_edge_is_a_503_with_its_reason() {
    let drained = EdgeView { paused: true, eligible: false, ..edge("a", "a.example.com", "") };
    for (fleet, code) in [
        (FleetView::default(), "empty_fleet"),
        (fleet(vec![drained]), "all_drained"),
        (fleet(vec![EdgeView { eligible: false, ..edge("a", "a", "") }]), "none_healthy"),
        (one("rtmp:1935"), "no_endpoint"),
    ] {
        let answer = ask("/a", &Rules::default(), &fleet);
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(body(&answer)["error"], code);
        assert_eq!(header(&answer, "retry-after"), "3");
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "access-control-allow-origin"), "*");
    }
}

#[test]
fn no_answer_leads_back_to_the_redirector() {
    let own = HashSet::from([(IpAddr::from([10, 0, 0, 1]), 1935)]);
    let rules = Rules { own, ..Rules::default() };
    let same_port = fleet(vec![edge("a", "10.0.0.1", "")]);
    assert_eq!(ask("/a", &rules, &same_port).kind, Kind::NoEdge(NoEdge::NoEndpoint));
    let other_port = fleet(vec![edge("a", "10.0.0.1", "http:8080")]);
    assert_eq!(ask("/a", &rules, &other_port).kind, Kind::Redirect);
}

#[test]
fn ignored_clients_are_never_sent_anywhere() {
    let ignore_clients = vec!["192.0.2.0/24".parse().expect("a network")];
    let rules = Rules { ignore_clients, ..with_server_info() };
    for target in ["/a", "/loadbalancer", "/loadbalancer?format=json"] {
        let answer = ask(target, &rules, &one(""));
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{target}");
        assert_eq!(body(&answer)["error"], "client_ignored");
    }
    assert_eq!(ask("/loadbalancer?serverInfoXML", &rules, &one("")).kind, Kind::ServerInfo);
}

mod elsewhere;
mod failed;

proptest! {
    #[test]
    fn any_visible_bytes_reach_the_location_unchanged(target in "/[!-~]{0,200}") {
        let path = target.split('?').next().unwrap_or_default();
        prop_assume!(path.rsplit('/').next() != Some("loadbalancer"));
        let answer = ask(&target, &Rules::default(), &one(""));
        let expected = format!("http://edge-1.example.com:1935{target}");
        prop_assert_eq!(header(&answer, "location"), expected);
    }
}
