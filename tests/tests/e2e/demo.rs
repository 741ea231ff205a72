//! The demonstration is the real thing, small: it plays, it drains, and it remembers.

use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_tests::{
    http,
    programs::Redirector,
    tools::curl,
    wait::{SOON, eventually},
};

const PLAYLIST: &str = "/live/demo/playlist.m3u8";
const EDGES: [&str; 3] = ["edge-1", "edge-2", "edge-3"];
/// One packet of an MPEG transport stream, in bytes (ISO/IEC 13818-1).
const TS_PACKET_LEN: usize = 188;
const TS_SYNC: u8 = 0x47;

fn until_ready(demo: &Redirector) {
    for name in EDGES {
        demo.until_liveness(name, "UP");
    }
}

/// `host:port` of an edge.
fn authority(demo: &Redirector, name: &str) -> String {
    let edge = demo.edge(name).expect("an edge of the demo");
    let host = edge["redirectAddress"].as_str().expect("an address");
    format!("{host}:{}", edge["endpoints"][0]["port"])
}

fn redirected_authority(demo: &Redirector) -> String {
    let reply = demo.get(PLAYLIST);
    let rest = reply.location().strip_prefix("http://").expect("an absolute URL");
    rest.split('/').next().expect("an authority").to_owned()
}

#[test]
fn curl_follows_the_redirector_to_a_playlist_and_a_picture() {
    let demo = Redirector::start_demo();
    until_ready(&demo);
    let url = format!("http://{}{PLAYLIST}", demo.ports().client);
    let shown = curl(&["--location", "--write-out", "\n%{url_effective}", &url]).ok();
    let (playlist, landed) = shown.rsplit_once('\n').expect("the playlist, then the URL");
    assert!(playlist.starts_with("#EXTM3U\n"), "{playlist}");
    let named: Vec<_> = EDGES.into_iter().filter(|name| playlist.contains(name)).collect();
    let [edge] = named[..] else { panic!("one edge is named in {playlist}") };
    assert!(landed.contains(&authority(&demo, edge)), "{landed} is not {edge}");
    let segment = playlist.lines().rfind(|line| !line.starts_with('#')).expect("a segment");
    let base = url::Url::parse(landed.trim()).expect("the URL curl ended at");
    let segment = base.join(segment).expect("a URL beside the playlist");
    let picture = http::get(
        format!("127.0.0.1:{}", segment.port().expect("a port")).parse().expect("an address"),
        segment.path(),
    );
    assert_eq!(picture.status, 200);
    assert!(picture.body.len() > 10 * TS_PACKET_LEN, "{} bytes", picture.body.len());
    assert_eq!(picture.body.len() % TS_PACKET_LEN, 0, "whole packets");
    let packets = picture.body.chunks(TS_PACKET_LEN);
    assert!(packets.into_iter().all(|packet| packet[0] == TS_SYNC), "every packet is in sync");
}

#[test]
fn a_drain_with_grpcurl_holds_through_a_thousand_clients_and_a_kill() {
    let mut demo = Redirector::start_demo();
    until_ready(&demo);
    let target = redirected_authority(&demo);
    let edge = EDGES.into_iter().find(|name| authority(&demo, name) == target).expect("an edge");
    let order = json!({"edge": edge, "reason": "kernel update"});
    demo.grpcurl().fleet("DrainEdge", &order).expect("drained");
    for _ in 0..1_000 {
        assert_ne!(redirected_authority(&demo), target, "{edge} is drained");
    }

    demo.kill();
    let first = start_and_time_first_redirect(&mut demo);
    eprintln!("start to first redirect: {first:?}");
    assert!(first < Duration::from_secs(1), "start to first redirect took {first:?}");
    let known = demo.edge(edge).expect("remembered");
    assert_eq!(known["drain"]["reason"], "kernel update", "{known}");
    until_ready(&demo);
    let target = authority(&demo, edge);
    for _ in 0..100 {
        assert_ne!(redirected_authority(&demo), target, "{edge} is still drained");
    }

    demo.grpcurl().fleet("UndrainEdge", &json!({"edge": edge})).expect("undrained");
    eventually(SOON, "the edge is chosen again", || match redirected_authority(&demo) {
        chosen if chosen == target => Ok(()),
        other => Err(other),
    });
}

/// The best of three kills, since this machine runs other tests meanwhile.
fn start_and_time_first_redirect(demo: &mut Redirector) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        demo.kill();
        let began = Instant::now();
        demo.start_again();
        eventually(SOON, "the first redirect", || match demo.get(PLAYLIST) {
            reply if reply.status == 302 => Ok(()),
            reply => Err(format!("{reply:?}")),
        });
        best = best.min(began.elapsed());
    }
    best
}

#[test]
fn demo_reset_forgets_a_drain() {
    let mut demo = Redirector::start_demo();
    until_ready(&demo);
    let before = demo.edge("edge-2").expect("an edge")["edgeId"].clone();
    demo.grpcurl().fleet("DrainEdge", &json!({"edge": "edge-2"})).expect("drained");
    demo.kill();
    demo.start_again();
    let again = demo.until_liveness("edge-2", "UP");
    assert!(again["drain"].is_object() && again["edgeId"] == before, "{again}");
    demo.kill();
    demo.start_again_with(&["--demo-reset"]);
    let fresh = demo.until_liveness("edge-2", "UP");
    assert_eq!(fresh["adminState"], "ADMIN_STATE_ACTIVE", "{fresh}");
    assert_ne!(fresh["edgeId"], before, "{fresh}");
}

#[test]
fn the_demo_prints_lines_that_can_be_tried() {
    let demo = Redirector::start_demo();
    until_ready(&demo);
    let said = demo.output();
    let ports = demo.ports();
    for part in [ports.client.to_string(), ports.admin.to_string(), ports.ops.to_string()] {
        assert!(said.contains(&part), "{part} is not in {said}");
    }
    for part in ["curl -L ", "grpcurl -plaintext ", "DrainEdge", "UndrainEdge"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}
