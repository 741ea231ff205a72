//! Labels that paths demand, places to go when no edge can, and clients that were failed by an edge.

use std::collections::BTreeSet;

use serde_json::json;
use tidegate_tests::{
    edge::{LiveEdges, SimulatedEdge},
    programs::Redirector,
    scene::{Scene, sent_to},
    wait::{SOON, eventually},
};

const RULES: &str = r#"
[[selection.rule]]
path = "/vip/"
labels = { tier = "gold" }
[[selection.rule]]
path = "/nowhere/"
labels = { tier = "platinum" }
"#;

#[test]
fn a_path_is_served_by_edges_that_carry_its_labels_and_by_nobody_else() {
    let redirector = Redirector::start_configured(RULES, &[]);
    let edge = |name: &str, tier: &str| {
        let mut edge = SimulatedEdge::new(redirector.key(), name);
        edge.heartbeat.labels = [("tier".to_owned(), tier.to_owned())].into();
        edge
    };
    let edges = vec![edge("plain-1", "plain"), edge("gold-1", "gold"), edge("gold-2", "gold")];
    let _edges = LiveEdges::start(edges, redirector.ports().heartbeat);
    for name in ["plain-1", "gold-1", "gold-2"] {
        redirector.until_liveness(name, "UP");
    }
    let chosen =
        |path: &str| -> BTreeSet<_> { (0..40).map(|_| sent_to(&redirector.get(path))).collect() };
    eventually(SOON, "golden edges serve very important people", || {
        let chosen = chosen("/vip/cam/playlist.m3u8");
        if chosen.iter().eq(["gold-1", "gold-2"]) { Ok(()) } else { Err(format!("{chosen:?}")) }
    });
    assert_eq!(chosen("/live/cam/playlist.m3u8").len(), 3);
    let nobody = redirector.get("/nowhere/cam/playlist.m3u8");
    assert_eq!((nobody.status, &nobody.json()["error"]), (503, &json!("no_label")), "{nobody:?}");
    assert!(nobody.header("retry-after").is_some(), "{nobody:?}");
    let answers = redirector.metrics().by("tidegate_answers_total", "kind");
    assert_eq!(answers.get("no_label"), Some(&1.0), "{answers:?}");
}

#[test]
fn when_every_edge_is_drained_clients_go_to_the_overflow() {
    let toml = "[selection]\noverflow = [\"http://cdn.example.com:8080\"]\n";
    let scene = Scene::around(Redirector::start_configured(toml, &[]), &["edge-1"]);
    let target = "/live/cam/playlist.m3u8?token=x%2Fy";
    assert_eq!(sent_to(&scene.redirector.get(target)), "edge-1");
    scene.redirector.grpcurl().fleet("DrainEdge", &json!({"edge": "edge-1"})).expect("drained");
    let reply = scene.redirector.get(target);
    assert_eq!(reply.status, 302, "{reply:?}");
    assert_eq!(reply.location(), format!("http://cdn.example.com:8080{target}"));
    scene.redirector.grpcurl().fleet("UndrainEdge", &json!({"edge": "edge-1"})).expect("undrained");
    eventually(SOON, "edge-1 serves again", || {
        let reply = scene.redirector.get(target);
        let is_edge = reply.location().starts_with("http://edge-1.example");
        if is_edge { Ok(()) } else { Err(format!("{reply:?}")) }
    });
}

#[test]
fn an_edge_that_failed_a_client_is_avoided_and_the_next_edge_hears_nothing_of_it() {
    let scene = Scene::of(&["edge-1", "edge-2"]);
    for (target, clean) in [
        ("/live/a.m3u8?tg_failed=edge-1&token=x", "/live/a.m3u8?token=x"),
        ("/live/a.m3u8?token=x&tg_failed=edge-1", "/live/a.m3u8?token=x"),
        ("/live/a.m3u8?a=1&tg_failed=edge-1&b=2", "/live/a.m3u8?a=1&b=2"),
        ("/live/a.m3u8?tg_failed=edge-1", "/live/a.m3u8"),
    ] {
        for _ in 0..30 {
            let reply = scene.redirector.get(target);
            let location = reply.location();
            assert_eq!(location, format!("http://edge-2.example:8080{clean}"), "{target}");
        }
    }
    // What nobody is called, and what is called so only in part, changes no address.
    let stranger = scene.redirector.get("/live/a.m3u8?not_tg_failed=edge-1&x=tg_failed=edge-1");
    assert!(
        stranger.location().ends_with("/live/a.m3u8?not_tg_failed=edge-1&x=tg_failed=edge-1"),
        "{stranger:?}"
    );
}

#[test]
fn a_client_that_was_failed_by_the_only_edge_is_sent_there_again() {
    let scene = Scene::of(&["edge-1"]);
    let reply = scene.redirector.get("/live/a.m3u8?tg_failed=edge-1");
    let sent_again = reply.status == 302 && reply.location().contains("edge-1");
    assert!(sent_again || reply.status == 503, "{reply:?}");
}
