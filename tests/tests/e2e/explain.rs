//! Why the next client would go where: by grpcurl and by `tidegatectl`, and nobody is sent anywhere.

use serde_json::{Value, json};
use tidegate_tests::{programs::tidegatectl, scene::Scene};

fn explained(scene: &Scene, request: &Value) -> Value {
    scene.redirector.grpcurl().fleet("Explain", request).expect("explained")
}

fn edge<'a>(said: &'a Value, name: &str) -> &'a Value {
    let edges = said["edges"].as_array().expect("edges");
    edges.iter().find(|edge| edge["name"] == name).unwrap_or_else(|| panic!("no {name}: {said}"))
}

#[test]
fn each_edge_has_its_chance_or_the_reason_why_it_has_none() {
    let scene = Scene::of(&["edge-1", "edge-2", "edge-3"]);
    scene.redirector.grpcurl().fleet("DrainEdge", &json!({"edge": "edge-3"})).expect("drained");
    let said = explained(&scene, &json!({"path": "/live/a.m3u8", "scheme": "http"}));
    assert_eq!(edge(&said, "edge-3")["reason"], "EXPLAIN_REASON_DRAINED", "{said}");
    assert_eq!(edge(&said, "edge-3")["chance"].as_f64().unwrap_or(0.0), 0.0, "{said}");
    let chances = ["edge-1", "edge-2"].map(|name| edge(&said, name)["chance"].as_f64());
    let sum: f64 = chances.iter().flatten().sum();
    assert!((sum - 1.0).abs() < 0.01, "{said}");
    let redirects = scene.redirector.metrics().by("tidegate_answers_total", "kind");
    assert_eq!(redirects.get("redirect").copied().unwrap_or(0.0), 0.0, "{redirects:?}");

    let none = explained(&scene, &json!({"path": "rtmp://lb/live/a", "scheme": "rtmp"}));
    assert_eq!(none["noEdge"], "no_endpoint", "{none}");
    assert_eq!(edge(&none, "edge-1")["reason"], "EXPLAIN_REASON_NO_ENDPOINT", "{none}");
}

#[test]
fn the_command_line_says_the_same_as_a_table_and_as_json() {
    let scene = Scene::of(&["edge-1", "edge-2"]);
    scene.redirector.grpcurl().fleet("DrainEdge", &json!({"edge": "edge-2"})).expect("drained");
    let admin = scene.redirector.ports().admin.to_string();
    let table = tidegatectl(&["--admin", &admin, "explain", "--path", "/live/a.m3u8"]).ok();
    for part in ["edge-1", "edge-2", "drained"] {
        assert!(table.contains(part), "{part} is not in {table}");
    }
    let arguments = ["--admin", &admin, "--output", "json", "explain", "--path", "/live/a.m3u8"];
    let said: Value = serde_json::from_str(&tidegatectl(&arguments).ok()).expect("JSON");
    assert_eq!(edge(&said, "edge-2")["reason"], "EXPLAIN_REASON_DRAINED", "{said}");
}

#[test]
fn a_question_that_makes_no_sense_is_refused_with_its_field() {
    let scene = Scene::of(&["edge-1"]);
    for (field, value) in [("client", "not an address"), ("scheme", "gopher"), ("edge", "edge-9")] {
        let outcome =
            scene.redirector.grpcurl().fleet("Explain", &json!({"path": "/a", field: value}));
        let refusal = outcome.expect_err("no sense");
        let code = if field == "edge" { "NotFound" } else { "InvalidArgument" };
        assert_eq!(refusal.code, code, "{refusal:?}");
        assert!(
            refusal.message.contains(if field == "edge" { value } else { field }),
            "{refusal:?}"
        );
    }
}
