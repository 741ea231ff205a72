//! Clients that no edge can serve and another place can.

use super::*;
use crate::answer::overflow::Overflow;

fn with(targets: &str) -> Rules {
    let parse = |text: &str| text.parse().expect("a target");
    let overflow = Overflow::new(targets.split_whitespace().map(parse).collect());
    Rules { overflow, ..Rules::default() }
}

#[test]
fn without_an_edge_the_client_goes_there_with_path_and_query() {
    let rules = with("https://cdn.example.com rtmp://backup.example.com");
    let drained = EdgeView { paused: true, eligible: false, ..edge("a", "a.example.com", "") };
    for fleet in [FleetView::default(), fleet(vec![drained]), one("rtmp:1935")] {
        let answer = ask("/live/a/playlist.m3u8?tok=%2F&x", &rules, &fleet);
        assert_eq!((answer.status, answer.kind), (StatusCode::FOUND, Kind::Overflow));
        let location = "https://cdn.example.com/live/a/playlist.m3u8?tok=%2F&x";
        assert_eq!(header(&answer, "location"), location);
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(header(&answer, "content-type"), "application/vnd.apple.mpegurl");
        assert_eq!(fleet.edges.iter().map(|edge| edge.cell.handed()).sum::<u64>(), 0);
    }
    let answer = ask_with(&Method::POST, "/live/a/whip", &rules, &FleetView::default());
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(header(&answer, "location"), "https://cdn.example.com/live/a/whip");
    let answer = ask("/redirect/live/a?type=m3u8", &rules, &FleetView::default());
    assert_eq!(header(&answer, "location"), "https://cdn.example.com/live/a/playlist.m3u8");
}

#[test]
fn while_an_edge_can_serve_nobody_goes_there() {
    let answer = ask("/a", &with("http://cdn.example.com"), &one(""));
    assert_eq!(answer.kind, Kind::Redirect);
    assert_eq!(header(&answer, "location"), "http://edge-1.example.com:1935/a");
}

#[test]
fn a_place_for_others_is_no_place_for_the_client() {
    let empty = FleetView::default();
    for targets in ["rtmp://backup.example.com", "rtmps://backup.example.com"] {
        let answer = ask("/a", &with(targets), &empty);
        assert_eq!(answer.kind, Kind::NoEdge(NoEdge::EmptyFleet), "{targets}");
    }
    let encrypted = Question { scheme: Scheme::Https, target: "/a", ..QUESTION };
    let random = &mut StdRng::seed_from_u64(1);
    let answer = answer(&encrypted, &with("http://cdn"), &snapshot(&empty), NOW, random);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "never to plain");
}

#[test]
fn loadbalancer_and_json_name_it() {
    let rules = with("https://cdn.example.com:444");
    let empty = FleetView::default();
    let answer = ask("/loadbalancer", &rules, &empty);
    assert_eq!((&*answer.body, answer.kind), ("redirect=cdn.example.com", Kind::Overflow));
    let answer = ask("/loadbalancer?format=json", &rules, &empty);
    assert_eq!((answer.status, answer.kind), (StatusCode::OK, Kind::Overflow));
    let expected = serde_json::json!({
        "edge": null,
        "host": "cdn.example.com",
        "url": "https://cdn.example.com:444",
        "alternates": [],
    });
    assert_eq!(body(&answer), expected);
    let only_rtmp = with("rtmp://backup.example.com");
    assert_eq!(ask("/loadbalancer", &only_rtmp, &empty).body, "redirect=backup.example.com");
}

#[test]
fn an_alternate_is_no_edge_that_is_full_where_another_place_can_serve() {
    let edges = || vec![loaded("free", 10), loaded("full", 110), loaded("half", 50)];
    let named = |rules: &Rules| {
        let answer = ask("/loadbalancer?format=json", rules, &fleet(edges()));
        assert_eq!((answer.kind, &body(&answer)["edge"]), (Kind::Json, &Value::from("free")));
        body(&answer)["alternates"].clone()
    };
    let url = |name: &str| format!("http://{name}.example.com:80");
    assert_eq!(named(&with("https://cdn")), Value::from(vec![url("half")]));
    assert_eq!(named(&with("rtmp://cdn")), Value::from(vec![url("half"), url("full")]));
}

#[test]
fn who_is_never_redirected_does_not_go_there_either() {
    let ignore_clients = vec!["192.0.2.0/24".parse().expect("a network")];
    let rules = Rules { ignore_clients, ..with("https://cdn.example.com") };
    assert_eq!(ask("/a", &rules, &FleetView::default()).kind, Kind::Ignored);
}

#[test]
fn a_path_that_demands_a_label_nobody_carries_says_so() {
    let answer = no_edge(NoEdge::NoLabel);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body(&answer)["error"], "no_label");
    assert_eq!(header(&answer, "retry-after"), "3");
}

proptest! {
    #[test]
    fn any_visible_bytes_reach_the_other_place_unchanged(target in "/[!-~]{0,200}") {
        let path = target.split('?').next().unwrap_or_default();
        prop_assume!(path.rsplit('/').next() != Some("loadbalancer"));
        prop_assume!(!target.contains("tg_failed"));
        let answer = ask(&target, &with("https://cdn.example.com"), &FleetView::default());
        prop_assert_eq!(header(&answer, "location"), format!("https://cdn.example.com{target}"));
    }
}
