//! An edge that is nginx: its players are its viewers, its death is known at once, and pages that lie
//! are not believed.

use std::{collections::BTreeMap, net::TcpStream, path::Path, time::Duration};

use serde_json::Value;
use tidegate_proto::key::format_fleet_key;
use tidegate_tests::{
    http,
    media::{nginx::Nginx, players::rtmpdump_stays, publisher::Publisher},
    process::Process,
    programs::{Agent, AgentSetup, Redirector, target_line, tidegatectl},
    scene::{Scene, sent_to},
    site::Site,
    wait::{SOON, eventually},
};

/// The usual time between two heartbeats.
const INTERVAL: Duration = Duration::from_millis(2_500);
/// What a machine that does much else may add.
const SLACK: Duration = Duration::from_secs(3);
const PLAYERS: usize = 5;
/// A page that nginx once made, and that says the same for ever. It was recorded; see its folder.
const OLD_PAGE: &str = include_str!("../../../agent/testdata/nginx-rtmp/edge.xml");

fn ctl(redirector: &Redirector, arguments: &[&str]) -> String {
    let admin = redirector.ports().admin.to_string();
    tidegatectl(&[&["--admin", admin.as_str()], arguments].concat()).ok()
}

/// The only edge, as `tidegatectl edges` has it.
fn only_edge(redirector: &Redirector) -> Value {
    let said = ctl(redirector, &["--output", "json", "edges"]);
    let listed: Value = serde_json::from_str(&said).expect("JSON");
    listed["edges"][0].clone()
}

/// Bits per second, or a number of people; in JSON long numbers are text.
fn figure(edge: &Value, name: &str) -> Option<f64> {
    let figure = &edge["load"][name];
    figure.as_f64().or_else(|| figure.as_str()?.parse().ok())
}

fn agent(redirector: &Redirector, setup: &AgentSetup) -> Agent {
    let key = format_fleet_key(redirector.key());
    Agent::start_as(setup, &target_line(redirector.ports().heartbeat, &key))
}

/// Players of one stream, once nginx itself counts them.
fn join(nginx: &Nginx, folder: &Path) -> Vec<Process> {
    let to = |n| folder.join(format!("player-{n}.flv"));
    let players = (0..PLAYERS).map(|n| rtmpdump_stays(&nginx.url("cam"), &to(n))).collect();
    until_nginx_counts(nginx, PLAYERS);
    players
}

fn until_nginx_counts(nginx: &Nginx, players: usize) {
    eventually(SOON, &format!("nginx has {players} players"), || match nginx.players("cam") {
        found if found == players => Ok(()),
        found => Err(format!("{found}")),
    });
}

#[test]
fn players_of_a_real_nginx_are_its_viewers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (redirector, nginx) = (Redirector::start(), Nginx::start());
    let _camera = Publisher::start(&nginx.url("cam"));
    until_nginx_counts(&nginx, 0);
    let mut setup = AgentSetup::new("edge-1", nginx.http.port());
    setup.interval = INTERVAL;
    let agent = agent(&redirector, &setup.asking("nginx-rtmp", &nginx.page("/stat")));
    redirector.until_liveness("edge-1", "UP");

    let players = join(&nginx, folder.path());
    eventually(INTERVAL * 2 + SLACK, "five viewers, and what five viewers get", || {
        let edge = only_edge(&redirector);
        let (viewers, publishers) = (figure(&edge, "viewers"), figure(&edge, "publishers"));
        let out = figure(&edge, "bandwidthOutBps").unwrap_or(0.0);
        let each = figure(&edge, "bandwidthInBps").unwrap_or(0.0);
        let share = out / each / PLAYERS as f64;
        let holds = viewers == Some(PLAYERS as f64) && publishers == Some(1.0);
        if holds && (0.7..1.4).contains(&share) { Ok(()) } else { Err(edge.to_string()) }
    });
    let table = ctl(&redirector, &["edges"]);
    let line = table.lines().find(|line| line.starts_with("edge-1")).expect("the edge");
    assert!(line.split_whitespace().any(|word| word == "5"), "{table}");
    let status = agent.status();
    assert!(status.to_string().contains("nginx/"), "{status}");

    drop(players);
    until_nginx_counts(&nginx, 0);
    eventually(INTERVAL * 2 + SLACK, "nobody is left", || {
        let edge = only_edge(&redirector);
        if figure(&edge, "viewers") == Some(0.0) { Ok(()) } else { Err(edge.to_string()) }
    });
}

#[test]
fn an_nginx_that_was_killed_gets_no_redirect_until_it_is_back() {
    let (redirector, mut nginx) = (Redirector::start(), Nginx::start());
    let mut setup = AgentSetup::new("edge-1", nginx.http.port());
    setup.interval = INTERVAL;
    let _agent = agent(&redirector, &setup.asking("nginx-rtmp", &nginx.page("/stat")));
    redirector.until_liveness("edge-1", "UP");
    assert_eq!(redirector.get("/live/cam").status, 302);

    nginx.process().kill();
    eventually(INTERVAL + SLACK, "its death is known", || {
        let edge = only_edge(&redirector);
        let known = edge["liveness"] == "LIVENESS_SUSPECT"
            && edge["livenessReason"]["code"] == "server_down";
        if known { Ok(()) } else { Err(edge.to_string()) }
    });
    assert_eq!(redirector.get("/live/cam").status, 503);
    let told = ctl(&redirector, &["edge", "edge-1"]);
    assert!(told.contains("server_down") && told.contains("/stat"), "{told}");

    nginx.start_again();
    redirector.until_liveness("edge-1", "UP");
    let reply = redirector.get("/live/cam");
    assert_eq!((reply.status, reply.location()), (302, nginx.page("/live/cam").as_str()));
}

/// An edge with a page that lies, beside one that does not.
fn beside_a_good_edge(page: String, code: &str) {
    let scene = Scene::of(&["good"]);
    let redirector = &scene.redirector;
    let pages = BTreeMap::from([("/stat", ("text/xml", page.into_bytes()))]);
    let site = Site::start(pages);
    let setup = AgentSetup::new("liar", 18_090).asking("nginx-rtmp", &site.url("/stat"));
    let _agent = agent(redirector, &setup);
    let edge = redirector.until("liar", code, |edge| edge["livenessReason"]["code"] == code);
    assert_eq!(edge["liveness"], "LIVENESS_SUSPECT", "{edge}");
    for _ in 0..50 {
        assert_eq!(sent_to(&redirector.get("/live/cam")), "good");
    }
    assert!(ctl(redirector, &["edge", "liar"]).contains(code));
    let listed = redirector.grpcurl().fleet("ListEdges", &serde_json::json!({}));
    let listed = listed.expect("a list").to_string();
    assert!(listed.contains(code), "{listed}");
}

#[test]
fn an_edge_whose_page_stands_still_is_never_chosen() {
    beside_a_good_edge(OLD_PAGE.to_owned(), "source_frozen");
}

#[test]
fn an_edge_whose_page_says_minus_one_is_never_chosen() {
    let page = OLD_PAGE.replace("<nclients>5<", "<nclients>-1<");
    assert_ne!(page, OLD_PAGE);
    beside_a_good_edge(page, "source_absurd");
}

#[test]
fn connections_of_nginx_stand_for_viewers_where_nothing_better_is_known() {
    let (redirector, nginx) = (Redirector::start(), Nginx::start());
    let setup = AgentSetup::new("edge-1", nginx.http.port())
        .asking("nginx-stub-status", &nginx.page("/nginx_status"));
    let _agent = agent(&redirector, &setup);
    let viewers = |count: usize| {
        redirector.until("edge-1", &format!("at {count} viewers"), |edge| {
            edge["load"]["viewers"] == count && edge["load"]["bandwidthOutBps"].is_null()
        })
    };
    viewers(0);
    let players: Vec<TcpStream> =
        (0..PLAYERS).map(|_| http::connect(nginx.http).expect("nginx listens")).collect();
    viewers(PLAYERS);
    drop(players);
    viewers(0);
}
