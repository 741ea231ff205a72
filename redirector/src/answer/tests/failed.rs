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

#[test]
fn another_place_comes_before_an_edge_that_failed() {
    let overflow = Overflow::new(vec!["https://cdn.example.com".parse().expect("a target")]);
    let rules = Rules { overflow, ..Rules::default() };
    let answer = ask("/a?tg_failed=edge-1", &rules, &one(""));
    assert_eq!(header(&answer, "location"), "https://cdn.example.com/a");
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
