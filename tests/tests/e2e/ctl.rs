//! `tidegatectl`: the fleet in words and in JSON, orders to every redirector, keys for edges.

use std::{net::SocketAddr, process::Command};

use serde_json::{Value, json};
use tidegate_tests::{
    edge::{LiveEdges, SimulatedEdge, loopback_socket},
    process::{Process, Ran},
    programs::{Agent, Redirector, program, target_line, tidegatectl, write_secret},
    scene::Scene,
    wait::{SOON, eventually},
};

fn ctl(admin: &str, arguments: &[&str]) -> Ran {
    let all: Vec<&str> = ["--admin", admin].into_iter().chain(arguments.iter().copied()).collect();
    tidegatectl(&all)
}

fn ctl_json(admin: &str, arguments: &[&str]) -> Value {
    let all: Vec<&str> =
        ["--output", "json"].into_iter().chain(arguments.iter().copied()).collect();
    let said = ctl(admin, &all).ok();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn edges_are_shown_as_a_table_and_as_json() {
    let scene = Scene::of(&["edge-1", "edge-2"]);
    let admin = scene.redirector.ports().admin.to_string();
    let table = ctl(&admin, &["edges"]).ok();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("NAME") && lines.len() == 3, "{table}");
    for (line, name) in lines[1..].iter().zip(["edge-1", "edge-2"]) {
        assert!(
            line.starts_with(name) && line.contains("ACTIVE") && line.contains("UP"),
            "{table}"
        );
    }
    let listed = ctl_json(&admin, &["edges"]);
    assert_eq!(listed["edges"][1]["name"], "edge-2", "{listed}");
    let filtered = ctl_json(&admin, &["edges", "--filter", "name=*-2"]);
    assert_eq!(filtered["edges"].as_array().map(Vec::len), Some(1), "{filtered}");

    let one = ctl(&admin, &["edge", "edge-1"]).ok();
    let id = listed["edges"][0]["edgeId"].as_str().expect("a UUID");
    assert!(one.contains("edge-1.example") && one.contains(id), "{one}");
    assert_eq!(ctl_json(&admin, &["edge", id])["name"], "edge-1");
}

#[test]
fn a_drain_and_an_undrain_go_there_and_back() {
    let scene = Scene::of(&["edge-1"]);
    let admin = scene.redirector.ports().admin.to_string();
    let said = ctl(&admin, &["drain", "edge-1", "--reason", "kernel update"]).ok();
    assert!(said.contains("edge-1") && said.contains("DRAIN"), "{said}");
    assert_eq!(ctl_json(&admin, &["edge", "edge-1"])["drain"]["reason"], "kernel update");
    assert!(ctl(&admin, &["edges"]).ok().contains("kernel update"));
    ctl(&admin, &["drain", "edge-1"]).ok();
    let outcome = ctl_json(&admin, &["undrain", "edge-1"]);
    assert_eq!((&outcome["ok"], &outcome["edge"]["name"]), (&json!(true), &json!("edge-1")));
    assert!(ctl_json(&admin, &["edge", "edge-1"])["drain"].is_null());

    let unknown = ctl(&admin, &["drain", "edge-9"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.err.contains("edge-9"), "{unknown:?}");
    let stale = ctl(&admin, &["drain", "edge-1", "--etag", "0"]);
    assert_eq!(stale.code, Some(1), "{stale:?}");
    let nonsense = ctl(&admin, &["explode"]);
    assert_eq!(nonsense.code, Some(64), "{nonsense:?}");
}

#[test]
fn an_edge_that_left_is_forgotten() {
    let redirector = Redirector::start();
    let admin = redirector.ports().admin.to_string();
    let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
    let socket = loopback_socket();
    edge.beat(&socket, redirector.ports().heartbeat);
    redirector.until_liveness("edge-1", "NEW");
    let live = ctl(&admin, &["forget", "edge-1"]);
    assert_eq!(live.code, Some(1), "a live edge stays: {live:?}");
    edge.say_goodbye(&socket, redirector.ports().heartbeat);
    redirector.until_liveness("edge-1", "GONE");
    ctl(&admin, &["forget", "edge-1"]).ok();
    assert_eq!(ctl(&admin, &["edge", "edge-1"]).code, Some(1));
}

#[test]
fn a_watch_prints_a_line_for_a_change() {
    let scene = Scene::of(&["edge-1"]);
    let admin = scene.redirector.ports().admin.to_string();
    for (output, change) in [("table", "DRAIN"), ("json", "ADMIN_STATE_DRAIN")] {
        let mut command: Command = program("tidegatectl");
        command.args(["--admin", &admin, "--output", output, "watch"]);
        let log = scene.redirector.home().join(format!("watch-{output}.log"));
        let mut watch = Process::start(command, &log);
        let said = |watch: &Process, part: &str| {
            eventually(SOON, part, || {
                let said = watch.output();
                if said.contains(part) { Ok(()) } else { Err(said) }
            });
        };
        said(&watch, "edge-1");
        ctl(&admin, &["drain", "edge-1"]).ok();
        said(&watch, change);
        if output == "json" {
            let text = watch.output();
            let whole = text.lines().take(text.matches('\n').count());
            whole.for_each(|line| drop(serde_json::from_str::<Value>(line).expect("JSON a line")));
        }
        watch.kill();
        ctl(&admin, &["undrain", "edge-1"]).ok();
    }
}

/// One edge that reports to two redirectors.
fn two_redirectors() -> (Redirector, Redirector, [LiveEdges; 2]) {
    let (a, b) = (Redirector::start(), Redirector::start());
    let edges = [&a, &b].map(|redirector| {
        let edge = SimulatedEdge::new(redirector.key(), "edge-1");
        LiveEdges::start(vec![edge], redirector.ports().heartbeat)
    });
    a.until_liveness("edge-1", "UP");
    b.until_liveness("edge-1", "UP");
    (a, b, edges)
}

#[test]
fn an_order_goes_to_every_redirector_and_a_dead_one_is_named() {
    let (a, mut b, _edges) = two_redirectors();
    let both = format!("{},{}", a.ports().admin, b.ports().admin);
    ctl(&both, &["drain", "edge-1", "--reason", "both"]).ok();
    for redirector in [&a, &b] {
        let edge = redirector.edge("edge-1").expect("known");
        assert_eq!(edge["drain"]["reason"], "both", "{edge}");
    }
    let dead: SocketAddr = b.ports().admin;
    b.kill();
    let ran = ctl(&both, &["undrain", "edge-1"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains(&dead.to_string()), "{dead} is not named: {ran:?}");
    let edge = a.edge("edge-1").expect("known");
    assert!(edge["drain"].is_null(), "the living one has obeyed: {edge}");
    let question = ctl(&format!("{dead},{}", a.ports().admin), &["edges"]);
    assert!(question.ok().contains("edge-1"), "a question goes to one that answers");
}

#[test]
fn a_generated_key_and_an_issued_one_carry_a_real_agent() {
    let redirector = Redirector::start();
    let keys = redirector.home().join("more-keys");
    let generated = tidegatectl(&["key", "generate"]).ok();
    write_secret(&keys, &generated);
    let keys_flag = keys.display().to_string();
    let second = Redirector::start_with(&[("heartbeat-keys-file", &keys_flag)]);
    let issued = tidegatectl(&["key", "issue", "--edge", "new", "--keys-file", &keys_flag]).ok();
    assert!(generated.starts_with("ehb1:") && issued.starts_with("ehb1e:"), "the forms of keys");
    let id = issued.split(':').nth(2).expect("a UUID").to_owned();

    let targets = target_line(second.ports().heartbeat, issued.trim());
    let agent = Agent::start("edge-1", 18_081, &targets);
    let edge = second.until_liveness("edge-1", "UP");
    assert_eq!(edge["edgeId"], id, "{edge}");
    eventually(SOON, "the agent knows that it is registered", || {
        let status = agent.status();
        if status["targets"][0]["registered"] == true { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(redirector.fleet()["edges"], json!([]), "the key is of the other redirector");
}
