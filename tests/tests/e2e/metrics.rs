//! Probes, metrics and the fleet as JSON: what they say, and to whom.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path};

use tidegate_tests::{
    credentials::{Tokens, write_certificates},
    http,
    metrics::Metrics,
    programs::Redirector,
    scene::Scene,
};

#[test]
fn every_documented_metric_is_there_and_every_metric_is_documented() {
    let scene = Scene::of(&["edge-1"]);
    assert_eq!(scene.redirector.get("/a").status, 302);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
    let documented: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `tidegate_")?.split_once('`'))
        .map(|(name, _)| name)
        .collect();
    let metrics = scene.redirector.metrics();
    let shown: BTreeSet<&str> =
        metrics.kinds.keys().filter_map(|name| name.strip_prefix("tidegate_")).collect();
    assert!(documented.len() > 10, "{documented:?}");
    assert_eq!(shown, documented);
    let foreign: Vec<_> = metrics.kinds.keys().filter(|n| !n.starts_with("tidegate_")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn counters_count_what_happened() {
    let scene = Scene::of(&["edge-1"]);
    for _ in 0..7 {
        scene.redirector.get("/a");
    }
    scene
        .redirector
        .grpcurl()
        .fleet("DrainEdge", &serde_json::json!({"edge": "edge-1"}))
        .expect("OK");
    scene.redirector.get("/a");
    let metrics = scene.redirector.metrics();
    let answers = metrics.by("tidegate_answers_total", "kind");
    assert_eq!(answers.get("redirect"), Some(&7.0), "{answers:?}");
    assert_eq!(answers.get("all_drained"), Some(&1.0), "{answers:?}");
    assert!(metrics.sum("tidegate_heartbeats_accepted_total", &[]) >= 2.0);
    assert_eq!(metrics.sum("tidegate_store_commits_total", &[]), 1.0);
    assert_eq!(metrics.sum("tidegate_edges", &[("liveness", "UP")]), 1.0);
    assert_eq!(metrics.sum("tidegate_edges_eligible", &[]), 0.0);
}

#[test]
fn paths_and_names_from_outside_make_no_series() {
    let scene = Scene::of(&["edge-1"]);
    scene.redirector.get("/first");
    let before = scene.redirector.metrics().len();
    for n in 0..300 {
        scene.redirector.get(&format!("/path-{n}?token={n}"));
    }
    let after = scene.redirector.metrics();
    assert_eq!(after.len(), before, "series count");
    assert!(!scene.redirector.ops("/metrics").text().contains("path-"));
}

#[test]
fn probes_answer_and_the_fleet_is_json() {
    let redirector = Redirector::start();
    assert_eq!(redirector.ops("/livez").status, 200);
    let ready = redirector.ops("/readyz");
    assert_eq!(ready.status, 200, "an empty fleet is no reason to be unready: {ready:?}");
    let fleet = redirector.ops("/api/fleet");
    assert!(fleet.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    assert_eq!(fleet.json()["edges"], serde_json::json!([]));
    assert_eq!(redirector.ops("/nothing").status, 404);
}

/// The same port by way of loopback, where `listen` is every address.
fn by_loopback(ops: SocketAddr) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ops.port()))
}

#[test]
fn off_loopback_metrics_and_fleet_need_a_viewers_token_and_probes_do_not() {
    let home = tempfile::tempdir().expect("a temporary folder");
    write_certificates(home.path());
    let tokens = Tokens::write(home.path());
    let [tokens_file, cert, key] = ["tokens", "server.pem", "server.key"]
        .map(|file| home.path().join(file).display().to_string());
    let redirector = Redirector::start_with(&[
        ("ops-listen", "0.0.0.0:0"),
        ("admin-tokens-file", &tokens_file),
        ("admin-tls-cert", &cert),
        ("admin-tls-key", &key),
    ]);
    let ops = by_loopback(redirector.ports().ops);
    for path in ["/livez", "/readyz"] {
        assert_eq!(http::get(ops, path).status, 200, "{path}");
    }
    for path in ["/metrics", "/api/fleet"] {
        assert_eq!(http::get(ops, path).status, 401, "{path}");
        for (token, status) in [("tgt1_wrong", 401), (&tokens.viewer, 200), (&tokens.operator, 200)]
        {
            let header = format!("Bearer {token}");
            let reply = http::request(ops, "GET", path, &[("Authorization", &header)]);
            assert_eq!(reply.status, status, "{path}");
        }
    }
}

#[test]
fn off_loopback_without_any_token_the_metrics_stay_closed_until_open_is_said() {
    let closed = Redirector::start_with(&[("ops-listen", "0.0.0.0:0")]);
    assert_eq!(http::get(by_loopback(closed.ports().ops), "/metrics").status, 401);
    let open = Redirector::start_with(&[("ops-listen", "0.0.0.0:0"), ("ops-open", "true")]);
    let reply = http::get(by_loopback(open.ports().ops), "/metrics");
    assert_eq!(reply.status, 200);
    Metrics::parse(&reply.text()).expect("the text format");
}
