//! An operator's weight: it moves viewers, and it is still there after a crash.

use serde_json::{Value, json};
use tidegate_tests::{
    programs::tidegatectl,
    scene::{Scene, sent_to},
    tools::Refusal,
    wait::{SOON, eventually},
};

const CLIENTS: usize = 1_000;

/// The share of the next clients that edge-1 gets.
fn share_of_the_first(scene: &Scene) -> f64 {
    let chosen = (0..CLIENTS).map(|client| sent_to(&scene.redirector.get(&format!("/a/{client}"))));
    chosen.filter(|name| name == "edge-1").count() as f64 / CLIENTS as f64
}

fn set_weight(scene: &Scene, weight: f64) -> Result<Value, Refusal> {
    scene.redirector.grpcurl().fleet("SetWeight", &json!({"edge": "edge-1", "weight": weight}))
}

fn until_planned(scene: &Scene, load_below: f64) {
    scene.redirector.until("edge-1", "in a table", |edge| {
        edge["predictedLoad"].as_f64().is_none_or(|load| load < load_below)
    });
}

#[test]
fn a_weight_moves_viewers_and_survives_a_kill() {
    let mut scene = Scene::of(&["edge-1", "edge-2"]);
    let even = share_of_the_first(&scene);
    assert!((0.4..0.6).contains(&even), "{even} without a weight");
    scene.kill_and_start_again();
    for name in ["edge-1", "edge-2"] {
        scene.redirector.until_liveness(name, "UP");
    }
    let answered = set_weight(&scene, 4.0).expect("weighted");
    assert_eq!(answered["edge"]["weight"], 4.0, "{answered}");
    scene.kill_and_start_again();
    let kept = scene.redirector.edge("edge-1").expect("known");
    assert_eq!(kept["weight"], 4.0, "{kept}");
    for name in ["edge-1", "edge-2"] {
        scene.redirector.until_liveness(name, "UP");
    }
    until_planned(&scene, 1.0);
    let heavy = share_of_the_first(&scene);
    assert!((0.7..0.9).contains(&heavy), "{heavy} at a weight of 4 of 5");
}

#[test]
fn a_weight_takes_effect_without_a_restart_and_can_be_taken_back() {
    let scene = Scene::of(&["edge-1", "edge-2"]);
    let admin = scene.redirector.ports().admin.to_string();
    tidegatectl(&["--admin", &admin, "weight", "edge-1", "0.01", "--reason", "old disk"]).ok();
    let edge = scene.redirector.edge("edge-1").expect("known");
    assert_eq!(
        (&edge["weight"], &edge["weighting"]["reason"]),
        (&json!(0.01), &json!("old disk")),
        "{edge}"
    );
    eventually(SOON, "edge-1 gets hardly anybody", || {
        let share = share_of_the_first(&scene);
        if share < 0.1 { Ok(()) } else { Err(share.to_string()) }
    });
    set_weight(&scene, 1.0).expect("weighted");
    let back = scene.redirector.edge("edge-1").expect("known");
    assert_eq!((&back["weight"], &back["weighting"]), (&json!(1.0), &Value::Null), "{back}");
}

#[test]
fn an_impossible_weight_is_refused_and_changes_nothing() {
    let scene = Scene::of(&["edge-1"]);
    for weight in [0.0, -1.0, 100.1, 0.009] {
        let refusal = set_weight(&scene, weight).expect_err("out of bounds");
        assert_eq!(refusal.code, "InvalidArgument", "{weight}: {refusal:?}");
        assert!(refusal.message.contains("weight"), "{refusal:?}");
    }
    assert_eq!(scene.redirector.edge("edge-1").expect("known")["weight"], 1.0);
}
