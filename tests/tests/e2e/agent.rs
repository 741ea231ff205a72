//! The real agent beside a real redirector: it joins, pauses, doubts itself, and leaves.

use std::{fs, time::Duration};

use tidegate_proto::{heartbeat::Order, key::format_fleet_key, seal::FleetKey};
use tidegate_tests::{
    edge::{SimulatedEdge, loopback_socket},
    programs::{Agent, Redirector, target_line},
    scene::Scene,
    translator::Translator,
    wait::{SOON, eventually},
};

fn line(redirector: &Redirector) -> String {
    target_line(redirector.ports().heartbeat, &format_fleet_key(redirector.key()))
}

fn joined(redirector: &Redirector) -> Agent {
    let agent = Agent::start("edge-1", 18_082, &line(redirector));
    redirector.until_liveness("edge-1", "UP");
    agent
}

#[test]
fn sigterm_says_goodbye_and_the_edge_is_gone_at_once() {
    let redirector = Redirector::start();
    let mut agent = joined(&redirector);
    assert_eq!(redirector.get("/a").status, 302);
    agent.process().terminate();
    let status = agent.process().wait(SOON);
    assert_eq!(status.code(), Some(0), "{status}");
    // The goodbye was on its way before the agent ended, long before silence would tell.
    let edge = redirector.until_liveness("edge-1", "GONE");
    assert_eq!(edge["livenessReason"]["code"], "goodbye", "{edge}");
    assert_eq!(redirector.get("/a").status, 503);
}

#[test]
fn a_killed_agent_falls_silent_and_its_edge_is_suspect_then_down() {
    let redirector = Redirector::start();
    let mut agent = joined(&redirector);
    agent.process().kill();
    let edge = redirector.until_liveness("edge-1", "SUSPECT");
    assert_eq!(edge["livenessReason"]["code"], "silent", "{edge}");
    assert_eq!(redirector.get("/a").status, 503);
    redirector.until_liveness("edge-1", "DOWN");
}

#[test]
fn pause_and_unpause_are_seen_at_once() {
    let redirector = Redirector::start();
    let agent = joined(&redirector);
    agent.order("/pause");
    let edge = redirector.until("edge-1", "paused", |edge| edge["paused"] == true);
    assert_eq!(
        (edge["eligible"].as_bool(), &edge["liveness"]),
        (Some(false), &"LIVENESS_UP".into())
    );
    assert_eq!(redirector.get("/a").status, 503);
    agent.order("/unpause");
    redirector.until("edge-1", "taking viewers again", |edge| edge["eligible"] == true);
    assert_eq!(redirector.get("/a").status, 302);
}

#[test]
fn figures_that_cannot_be_read_make_the_edge_suspect_and_never_zero() {
    let redirector = Redirector::start();
    let agent = joined(&redirector);
    agent.set_viewers(12);
    redirector.until("edge-1", "at 12 viewers", |edge| edge["load"]["viewers"] == 12);
    fs::remove_file(agent.figures_file()).expect("removed");
    let edge = redirector.until_liveness("edge-1", "SUSPECT");
    assert!(edge["livenessReason"]["code"].as_str().is_some_and(|code| !code.is_empty()), "{edge}");
    assert_ne!(edge["load"]["viewers"], 0, "{edge}");
    assert_eq!(redirector.get("/a").status, 503);
    for absurd in ["{\"viewers\": -3}", "{\"viewers\": 1e99}", "not JSON", "{}"] {
        fs::write(agent.figures_file(), absurd).expect("written");
        redirector.until_liveness("edge-1", "SUSPECT");
    }
    agent.set_viewers(13);
    redirector.until("edge-1", "back with 13 viewers", |edge| {
        edge["liveness"] == "LIVENESS_UP" && edge["load"]["viewers"] == 13
    });
    assert_eq!(redirector.get("/a").status, 302);
}

#[test]
fn every_redirector_in_the_targets_file_sees_the_edge_and_changes_are_picked_up() {
    let (a, b, c) = (Redirector::start(), Redirector::start(), Redirector::start());
    let agent = Agent::start("edge-1", 18_083, &(line(&a) + &line(&b)));
    for redirector in [&a, &b] {
        let edge = redirector.until_liveness("edge-1", "UP");
        assert_eq!(edge["redirectAddress"], "127.0.0.1");
    }
    agent.set_targets(&(line(&b) + &line(&c)));
    c.until_liveness("edge-1", "UP");
    b.until_liveness("edge-1", "UP");
    eventually(SOON, "the removed target gets no more", || {
        let edge = a.edge("edge-1")?;
        let live = edge["liveness"] == "LIVENESS_UP" || edge["liveness"] == "LIVENESS_NEW";
        if live { Err(edge.to_string()) } else { Ok(()) }
    });
    let status = agent.status();
    let targets: Vec<_> = status["targets"].as_array().expect("targets").iter().collect();
    assert_eq!(targets.len(), 2, "{status}");
}

#[test]
fn a_wrong_key_shows_at_the_agent_and_at_the_redirector() {
    let redirector = Redirector::start();
    let wrong = format_fleet_key(&FleetKey::random());
    let agent = Agent::start("edge-1", 18_084, &target_line(redirector.ports().heartbeat, &wrong));
    eventually(SOON, "the redirector counts an unknown key", || {
        let metrics = redirector.metrics();
        let reason = [("reason", "unknown_key")];
        let refused = metrics.sum("tidegate_datagrams_rejected_total", &reason);
        if refused >= 3.0 { Ok(()) } else { Err(format!("{refused}")) }
    });
    let status = agent.status();
    assert_eq!(status["targets"][0]["registered"], false, "{status}");
    assert!(redirector.edge("edge-1").is_err(), "a stranger is no edge");
    agent.set_targets(&line(&redirector));
    redirector.until_liveness("edge-1", "UP");
    eventually(SOON, "the agent knows that it is registered", || {
        let status = agent.status();
        if status["targets"][0]["registered"] == true { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn the_agent_learns_of_its_drain() {
    let redirector = Redirector::start();
    let agent = joined(&redirector);
    let order = serde_json::json!({"edge": "edge-1"});
    redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    eventually(Duration::from_secs(30), "the agent shows the order", || {
        let status = agent.status();
        let order = status["targets"][0]["order"].as_str().unwrap_or_default();
        if order == "draining" || order == "drained" { Ok(()) } else { Err(status.to_string()) }
    });
}

#[test]
fn an_agent_survives_the_restart_of_its_redirector() {
    let mut scene = Scene::of(&[]);
    let agent = joined(&scene.redirector);
    scene.kill_and_start_again();
    let edge = scene.redirector.edge("edge-1").expect("remembered");
    assert_eq!(edge["liveness"], "LIVENESS_UNCONFIRMED", "{edge}");
    agent.set_targets(&line(&scene.redirector));
    scene.redirector.until_liveness("edge-1", "UP");
}

#[test]
fn what_would_be_sent_can_be_printed_and_is_not_sent() {
    let redirector = Redirector::start();
    let agent = joined(&redirector);
    agent.set_viewers(77);
    let printed = agent.print_once();
    assert_eq!(
        (&printed["viewers"], &printed["redirect_address"]),
        (&77.into(), &"127.0.0.1".into())
    );
    assert_eq!(printed["name"], "edge-1", "{printed}");
    let refused = redirector.metrics().sum("tidegate_datagrams_rejected_total", &[]);
    assert_eq!(refused, 0.0, "a second session of the edge was seen");
}

#[test]
fn an_ack_answers_its_heartbeat_and_tells_the_order() {
    let redirector = Redirector::start();
    let (socket, to) = (loopback_socket(), redirector.ports().heartbeat);
    let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
    for sequence in 1..=2 {
        let ack = edge.ask(&socket, to, SOON).expect("an ack");
        assert_eq!(ack.sequence, sequence);
    }
    redirector.until_liveness("edge-1", "UP");
    assert_eq!(edge.ask(&socket, to, SOON).map(|ack| ack.order), Some(Order::Active));
    let order = serde_json::json!({"edge": "edge-1"});
    redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    let ack = edge.ask(&socket, to, SOON).expect("an ack");
    assert!(matches!(ack.order, Order::Draining | Order::Drained), "{ack:?}");
    assert!(ack.order_revision > 0 && ack.lease > Duration::ZERO, "{ack:?}");
}

#[test]
fn an_agent_behind_an_address_translator_is_heard_whatever_port_it_is_given() {
    let redirector = Redirector::start();
    let translator = Translator::start(redirector.ports().heartbeat);
    let key = format_fleet_key(redirector.key());
    let agent = Agent::start("edge-1", 18_082, &target_line(translator.address(), &key));
    redirector.until_liveness("edge-1", "UP");
    let acks = || agent.status()["targets"][0]["acks"].as_u64().expect("a number");
    let answered = |more_than| {
        eventually(SOON, "the agent is answered", || {
            if acks() > more_than { Ok(()) } else { Err(format!("{} acks", acks())) }
        });
    };
    answered(0);
    translator.forget_flow();
    // Neither side does anything about it: acks go to where the heartbeat came from.
    answered(acks() + 1);
    let rejected = redirector.metrics().sum("tidegate_datagrams_rejected_total", &[]);
    assert_eq!(rejected, 0.0, "a datagram was refused for its new port");
    assert_eq!(redirector.until_liveness("edge-1", "UP")["redirectAddress"], "127.0.0.1");
}
