//! Clients are sent to an edge, in every form they can ask for one.

use std::net::SocketAddr;

use tidegate_proto::key::format_fleet_key;
use tidegate_tests::{
    edge::{LiveEdges, SimulatedEdge},
    http,
    programs::{Agent, Redirector, target_line},
    scene::{Scene, sent_to},
    tools::curl,
    wait::{SOON, eventually},
};

/// Everything a path and a query may hold, oddities included.
const TARGET: &str =
    "/live/stream1/playlist.m3u8?token=x%2Fy&u=%E2%82%AC;b='c',(d)&&e=&=f?g/h:i@j!k*l";

fn agent_of(redirector: &Redirector, name: &str, http_port: u16) -> Agent {
    let key = format_fleet_key(redirector.key());
    Agent::start(name, http_port, &target_line(redirector.ports().heartbeat, &key))
}

#[test]
fn curl_is_sent_to_a_real_agents_edge_with_path_and_query_byte_for_byte() {
    let redirector = Redirector::start();
    let agent = agent_of(&redirector, "edge-1", 18_080);
    agent.set_viewers(7);
    redirector.until("edge-1", "UP with 7 viewers", |edge| {
        edge["liveness"] == "LIVENESS_UP" && edge["load"]["viewers"] == 7
    });
    let url = format!("http://{}{TARGET}", redirector.ports().client);
    let head =
        curl(&["--globoff", "--path-as-is", "--output", "/dev/null", "--dump-header", "-", &url]);
    let reply = http::Reply::parse(head.ok().as_bytes()).expect("curl's record of the head");
    assert_eq!(reply.status, 302);
    assert_eq!(reply.location(), format!("http://127.0.0.1:18080{TARGET}"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[test]
fn loadbalancer_answers_the_host_and_nothing_else() {
    let scene = Scene::of(&["edge-1"]);
    for target in ["/loadbalancer", "/any/app/loadbalancer", "/loadbalancer?anything=goes"] {
        let reply = scene.redirector.get(target);
        assert_eq!((reply.status, reply.text().as_str()), (200, "redirect=edge-1.example"));
    }
    let similar = scene.redirector.get("/loadbalancers");
    assert_eq!(similar.location(), "http://edge-1.example:8080/loadbalancers");
}

#[test]
fn loadbalancer_knows_no_edge_before_one_reports() {
    let redirector = Redirector::start();
    let reply = redirector.get("/loadbalancer");
    assert_eq!((reply.status, reply.text().as_str()), (200, "redirect=unknown"));
}

#[test]
fn the_server_info_page_lists_every_edge_and_can_be_switched_off() {
    let scene = Scene::of(&["edge-1", "edge-2"]);
    let before = scene.redirector.edge("edge-1").expect("an edge")["pending"].clone();
    let reply = scene.redirector.get("/loadbalancer?serverInfoXML");
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/xml")));
    let page = reply.text();
    for part in ["edge-1.example", "edge-2.example", "RUNNING"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    scene
        .redirector
        .grpcurl()
        .fleet("DrainEdge", &serde_json::json!({"edge": "edge-2"}))
        .expect("OK");
    assert!(scene.redirector.get("/loadbalancer?serverInfoXML").text().contains("PAUSED"));
    assert_eq!(scene.redirector.edge("edge-1").expect("an edge")["pending"], before);

    let silent = Redirector::start_with(&[("client-server-info-xml", "false")]);
    assert_eq!(silent.get("/loadbalancer?serverInfoXML").text(), "redirect=unknown");
}

#[test]
fn json_names_the_edge_and_alternates() {
    let scene = Scene::of(&["edge-1", "edge-2"]);
    let asked = scene.redirector.get("/loadbalancer?format=json").json();
    let accept = [("Accept", "application/json")];
    let accepted = http::request(scene.redirector.ports().client, "GET", "/loadbalancer", &accept);
    for answer in [asked, accepted.json()] {
        let (first, other) = match answer["edge"].as_str() {
            Some("edge-1") => ("edge-1", "edge-2"),
            _ => ("edge-2", "edge-1"),
        };
        assert_eq!(answer["host"], format!("{first}.example"), "{answer}");
        assert_eq!(answer["url"], format!("http://{first}.example:8080"), "{answer}");
        let alternates = serde_json::json!([format!("http://{other}.example:8080")]);
        assert_eq!(answer["alternates"], alternates, "{answer}");
    }
}

#[test]
fn without_an_eligible_edge_the_answer_is_503_with_the_reason() {
    let scene = Scene::around(Redirector::start(), &[]);
    let refused = |reason: &str| {
        let reply = scene.redirector.get("/live/a");
        assert_eq!(reply.status, 503);
        assert!(reply.header("retry-after").is_some_and(|s| s.parse::<u32>().is_ok()), "{reply:?}");
        assert_eq!(reply.header("location"), None);
        assert_eq!(reply.json()["error"], reason);
    };
    refused("empty_fleet");
    let edge = SimulatedEdge::new(scene.redirector.key(), "edge-1");
    scene.edges.with(|edges| edges.push(edge));
    scene.redirector.until_liveness("edge-1", "UP");
    scene
        .redirector
        .grpcurl()
        .fleet("DrainEdge", &serde_json::json!({"edge": "edge-1"}))
        .expect("OK");
    refused("all_drained");
}

#[test]
fn head_and_options_answer_as_get_would() {
    let scene = Scene::of(&["edge-1"]);
    let client = scene.redirector.ports().client;
    let head = http::request(client, "HEAD", TARGET, &[]);
    assert_eq!((head.status, head.body.as_slice()), (302, b"".as_slice()));
    assert_eq!(head.location(), format!("http://edge-1.example:8080{TARGET}"));
    let preflight =
        [("Origin", "https://player.example"), ("Access-Control-Request-Method", "GET")];
    let options = http::request(client, "OPTIONS", TARGET, &preflight);
    assert_eq!((options.status, options.body.as_slice()), (204, b"".as_slice()));
    for name in ["access-control-allow-origin", "access-control-allow-methods"] {
        assert!(options.header(name).is_some(), "{name} is missing in {options:?}");
    }
}

#[test]
fn nobody_is_ever_sent_back_to_the_redirector() {
    let redirector = Redirector::start();
    let client = redirector.ports().client;
    let mut mirror = edge_at(&redirector, "mirror", client);
    // Without viewers it would be everybody's first choice.
    mirror.heartbeat.load.viewers = Some(0);
    let edges = LiveEdges::start(vec![mirror], redirector.ports().heartbeat);
    redirector.until_liveness("mirror", "UP");
    let reply = redirector.get("/live/a");
    assert_eq!((reply.status, reply.header("location")), (503, None), "{reply:?}");

    let mut other = SimulatedEdge::new(redirector.key(), "edge-2");
    other.heartbeat.load.viewers = Some(500);
    edges.with(|edges| edges.push(other));
    redirector.until_liveness("edge-2", "UP");
    for _ in 0..200 {
        assert_eq!(sent_to(&redirector.get("/live/a")), "edge-2");
    }
}

fn edge_at(redirector: &Redirector, name: &str, address: SocketAddr) -> SimulatedEdge {
    let mut edge = SimulatedEdge::new(redirector.key(), name);
    edge.heartbeat.redirect_address =
        Some(address.ip().to_string().parse().expect("an address is a host"));
    edge.heartbeat.endpoints[0].port = address.port().try_into().expect("a bound port");
    edge
}

#[test]
fn the_least_loaded_edge_is_chosen_and_redirects_count_until_they_are_reported() {
    let scene = Scene::of(&["full", "free"]);
    scene.edges.with(|edges| {
        for edge in edges.iter_mut() {
            edge.heartbeat.capacity.viewers = Some(100);
            let full = edge.heartbeat.name.as_ref().is_some_and(|name| name.as_str() == "full");
            edge.heartbeat.load.viewers = Some(if full { 90 } else { 10 });
        }
    });
    for (name, viewers) in [("full", 90), ("free", 10)] {
        let what = format!("known to have {viewers} viewers");
        scene.redirector.until(name, &what, |edge| edge["load"]["viewers"] == viewers);
    }
    for _ in 0..20 {
        assert_eq!(sent_to(&scene.redirector.get("/live/a")), "free");
    }
}

#[test]
fn an_address_on_the_ignore_list_is_never_redirected() {
    let redirector = Redirector::start_with(&[("client-ignore-clients", "127.0.0.0/8")]);
    let scene = Scene::around(redirector, &["edge-1"]);
    let reply = scene.redirector.get("/live/a");
    assert_eq!(reply.header("location"), None, "{reply:?}");
    assert!(reply.status >= 400, "{reply:?}");
}

#[test]
fn redirect_scheme_and_port_override_the_endpoint() {
    let flags = [("client-redirect-scheme", "https"), ("client-redirect-port", "8443")];
    let redirector = Redirector::start_with(&flags);
    let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
    edge.heartbeat.endpoints.clear();
    let _edges = LiveEdges::start(vec![edge], redirector.ports().heartbeat);
    redirector.until_liveness("edge-1", "UP");
    assert_eq!(redirector.get("/a?b").location(), "https://edge-1.example:8443/a?b");
}

#[test]
fn an_edge_without_endpoints_gets_the_clients_scheme_and_port() {
    let redirector = Redirector::start();
    let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
    edge.heartbeat.endpoints.clear();
    let _edges = LiveEdges::start(vec![edge], redirector.ports().heartbeat);
    let expected = format!("http://edge-1.example:{}/a", redirector.ports().client.port());
    eventually(SOON, "the edge is chosen", || {
        let reply = redirector.get("/a");
        match reply.header("location") {
            Some(location) if location == expected => Ok(()),
            _ => Err(format!("{reply:?}")),
        }
    });
}
