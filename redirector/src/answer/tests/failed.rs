//! Clients that come back because an edge has failed them.

use tidegate_control::selection::Evidence;

use super::*;
use crate::answer::overflow::Overflow;

fn two() -> FleetView {
    fleet(vec![edge("edge-1", "edge-1.example.com", ""), edge("edge-2", "edge-2.example.com", "")])
}

#[test]
fn the_edge_that_failed_is_avoided_and_its_name_goes_no_further() {
    let fleet = two();
    let id = fleet.edges[0].id.to_string();
    for (target, location) in [
        ("/a?tg_failed=edge-1".to_owned(), "http://edge-2.example.com:1935/a"),
        ("/a?tg_failed=edge-2&t=%2f".to_owned(), "http://edge-1.example.com:1935/a?t=%2f"),
        (format!("/a?t&tg_failed={id}"), "http://edge-2.example.com:1935/a?t"),
        (
            "/redirect/l/a?tg_failed=edge-2&type=mpd".to_owned(),
            "http://edge-1.example.com:1935/l/a/manifest.mpd",
        ),
    ] {
        for _ in 0..8 {
            let answer = ask(&target, &Rules::default(), &fleet);
            assert_eq!(header(&answer, "location"), location, "{target}");
        }
    }
    let answer = ask("/loadbalancer?tg_failed=edge-1", &Rules::default(), &fleet);
    assert_eq!(answer.body, "redirect=edge-2.example.com");
    let answer = ask("/loadbalancer?format=json&tg_failed=edge-1", &Rules::default(), &fleet);
    assert_eq!(
        (&body(&answer)["edge"], &body(&answer)["alternates"]),
        (&Value::from("edge-2"), &Value::Array(vec![]),)
    );
}

#[test]
fn a_client_whom_every_edge_has_failed_is_sent_to_one_again() {
    let answer = ask("/a?tg_failed=edge-1", &Rules::default(), &one(""));
    assert_eq!(header(&answer, "location"), "http://edge-1.example.com:1935/a");
    let target = "/a?tg_failed=edge-1&tg_failed=edge-2";
    assert_eq!(ask(target, &Rules::default(), &two()).kind, Kind::Redirect);
    assert_eq!(
        ask(target, &Rules::default(), &FleetView::default()).kind,
        Kind::NoEdge(NoEdge::EmptyFleet)
    );
}

fn with_cdn() -> Rules {
    let overflow = Overflow::new(vec!["https://cdn.example.com".parse().expect("a target")]);
    Rules { overflow, ..Rules::default() }
}

#[test]
fn nobody_gets_to_another_place_by_naming_every_edge() {
    let fleet = two();
    let both = "tg_failed=edge-1&tg_failed=edge-2";
    for _ in 0..8 {
        assert_eq!(ask(&format!("/a?{both}"), &with_cdn(), &fleet).kind, Kind::Redirect);
    }
    assert!(fleet.edges.iter().all(|edge| edge.cell.handed() > 0), "the least loaded of them");
    let answer = ask(&format!("/loadbalancer?{both}"), &with_cdn(), &fleet);
    assert_eq!(answer.kind, Kind::Host);
    let answer = ask(&format!("/loadbalancer?format=json&{both}"), &with_cdn(), &fleet);
    assert_eq!(answer.kind, Kind::Json);
    assert_eq!(body(&answer)["alternates"].as_array().map(Vec::len), Some(1), "as if unnamed");
    // Others that there are cannot serve the client, so that it has named all.
    let rtmp_only = edge("edge-3", "edge-3.example.com", "rtmp:1935");
    let edges = vec![edge("edge-1", "edge-1.example.com", ""), rtmp_only];
    let answer = ask("/a?tg_failed=edge-1", &with_cdn(), &super::fleet(edges));
    assert_eq!(header(&answer, "location"), "http://edge-1.example.com:1935/a");
}

#[test]
fn another_place_serves_where_no_named_edge_could_or_the_others_are_full() {
    let out = |name| EdgeView { paused: true, eligible: false, ..edge(name, name, "") };
    let paused = fleet(["edge-1", "edge-2"].map(out).into());
    let both = "/a?tg_failed=edge-1&tg_failed=edge-2";
    assert_eq!(ask(both, &with_cdn(), &paused).kind, Kind::Overflow);
    let full = fleet(vec![edge("edge-1", "a", ""), loaded("edge-2", 101)]);
    assert_eq!(ask("/a?tg_failed=edge-1", &with_cdn(), &full).kind, Kind::Overflow);
    assert_eq!(ask("/a?tg_failed=edge-2", &with_cdn(), &full).kind, Kind::Redirect);
}

#[test]
fn an_edge_that_there_is_not_changes_nothing_but_is_removed() {
    for target in ["/a?tg_failed=edge-9", "/a?tg_failed=", "/a?tg_failed=%22%3E"] {
        let answer = ask(target, &Rules::default(), &one(""));
        assert_eq!(header(&answer, "location"), "http://edge-1.example.com:1935/a", "{target}");
    }
}

#[test]
fn a_client_that_was_sent_there_speaks_against_the_edge_where_that_is_wanted() {
    let evidence = Arc::new(Evidence::new());
    let selection =
        || Selection { failure_evidence: Some(Arc::clone(&evidence)), ..Selection::default() };
    let counted = |outcome: &str| {
        evidence.figures().find(|(name, _)| *name == outcome).map_or(0, |(_, count)| count)
    };
    let (rules, fleet) = (Rules::default(), one(""));
    ask_by(selection(), "/a?tg_failed=edge-1", &rules, &fleet);
    assert_eq!((counted("accepted"), counted("not_sent")), (0, 1), "it was not sent before");
    ask_by(selection(), "/a?tg_failed=edge-1", &rules, &fleet);
    assert_eq!((counted("accepted"), counted("not_sent")), (1, 1));
    ask_by(selection(), "/a?tg_failed=edge-1", &rules, &fleet);
    assert_eq!((counted("accepted"), counted("again")), (1, 1));
    ask_by(Selection::default(), "/a?tg_failed=edge-1", &rules, &fleet);
    assert_eq!(counted("again"), 1, "nothing is counted where it is off");
}
