//! When a redirector that starts wants its first clients.

use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_tests::{
    programs::Redirector,
    scene::Scene,
    wait::{SOON, eventually},
};

const WAIT: (&str, &str) = ("ops-first-edge-wait", "3m");

fn waits_for_an_edge(redirector: &Redirector) {
    let reply = redirector.ops("/startupz");
    let expected = json!({"ready": false, "missing": ["first_edge"]});
    assert_eq!((reply.status, reply.json()), (503, expected));
    assert_eq!(redirector.ops("/readyz").status, 200, "readiness waits for no edge");
}

fn until_started(redirector: &Redirector) {
    eventually(SOON, "the start is over", || match redirector.ops("/startupz") {
        reply if reply.status == 200 => Ok(()),
        reply => Err(reply.text()),
    });
}

#[test]
fn a_new_redirector_wants_no_clients_before_the_fleet_had_time_to_report() {
    let redirector = Redirector::start_with(&[WAIT, ("ops-stop-delay", "1m")]);
    waits_for_an_edge(&redirector);
    let scene = Scene::around(redirector, &["edge-1"]);
    let heard = Instant::now();
    waits_for_an_edge(&scene.redirector);
    until_started(&scene.redirector);
    // Less than the five seconds, since the edge was first heard before it was UP.
    assert!(heard.elapsed() > Duration::from_secs(3), "the others had no time: {heard:?}");
    let Scene { edges, mut redirector } = scene;
    drop(edges);
    redirector.process().terminate();
    eventually(SOON, "it is unready", || match redirector.ops("/readyz").status {
        503 => Ok(()),
        status => Err(status.to_string()),
    });
    assert_eq!(redirector.ops("/startupz").status, 200, "it never turns back");
}

#[test]
fn a_redirector_that_remembers_edges_wants_clients_at_once() {
    let mut scene = Scene::around(Redirector::start_with(&[WAIT]), &["edge-1"]);
    assert_eq!(scene.redirector.stop(SOON).code(), Some(0));
    let Scene { edges, mut redirector } = scene;
    drop(edges);
    redirector.start_again();
    assert_eq!(redirector.ops("/startupz").status, 200);
}

#[test]
fn without_a_wait_the_start_is_over_when_all_listens() {
    let redirector = Redirector::start();
    assert_eq!(redirector.ops("/startupz").status, 200);
}

#[test]
fn the_wait_ends_without_edges() {
    let redirector = Redirector::start_with(&[("ops-first-edge-wait", "3s")]);
    let started = Instant::now();
    waits_for_an_edge(&redirector);
    until_started(&redirector);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}
