//! A client that knows redirects is refused at the redirector, goes to the edge it was given, and
//! plays there, whatever carries its RTMP.

use serde_json::json;
use tidegate_proto::edge::Scheme;
use tidegate_tests::{
    credentials::write_certificates,
    edge::{LiveEdges, SimulatedEdge},
    media::{nginx::Nginx, publisher::Publisher},
    programs::Redirector,
    rtmp::{
        amf::Value,
        follow::{follow, rejected},
        transport::Trust,
        url::RtmpUrl,
    },
    scene::Scene,
};

const TOKEN: &str = "token=a%2Fb.c_d-e~f&n=1";

/// The applications: nginx speaks RTMP and RTMPS but not RTMPT, so that two leave the tunnel.
const APPS: &str = r#"
[[client.rtmp_app]]
name = "plain"
redirect_scheme = "rtmp"
[[client.rtmp_app]]
name = "safe"
redirect_scheme = "rtmps"
[[client.rtmp_app]]
name = "*"
"#;

/// A folder with certificates, what trusts them, and a redirector that has them.
fn with_tls() -> (tempfile::TempDir, Trust, Redirector) {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path());
    let trust = Trust::only(&folder.path().join("ca.pem"));
    let redirector = Redirector::start_with_tls(APPS, folder.path());
    (folder, trust, redirector)
}

fn url(redirector: &Redirector, scheme: &str, app: &str, stream: &str) -> RtmpUrl {
    let client = redirector.ports().client;
    RtmpUrl::of(&format!("{scheme}://{client}/{app}"), stream).expect("a URL")
}

#[test]
fn a_client_over_each_of_the_four_is_rejected_reconnects_and_plays_with_its_token() {
    let (folder, trust, redirector) = with_tls();
    let server = Nginx::start_with_tls(folder.path());
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let _camera = Publisher::start(&server.url("cam"));
    let plain = format!("rtmp://{}/live", server.rtmp);
    let safe = format!("rtmps://{}/live", server.rtmps);
    for (n, (scheme, app, leads_to)) in [
        ("rtmp", "live", &plain),
        ("rtmps", "live", &safe),
        ("rtmpt", "plain/live", &plain),
        ("rtmpts", "safe/live", &safe),
        ("rtmpts", "plain/live", &plain),
        ("rtmp", "safe/live", &safe),
    ]
    .into_iter()
    .enumerate()
    {
        let mine = format!("{TOKEN}&case={n}");
        let asked = url(&scene.redirector, scheme, app, &format!("cam?{mine}"));
        let mut followed = follow(&asked, Some(&trust));
        assert_eq!(followed.redirect, *leads_to, "{scheme} {app}");
        assert!(followed.rejection.description().contains(leads_to), "people read it too");
        let played = followed.client.play(&followed.stream).expect("it plays");
        assert_eq!(played.code, "NetStream.Play.Start", "{scheme} {app}");
        drop(followed);
        let session = server.session("that player", |session| session.args == mine);
        assert_eq!((session.command.as_str(), session.name.as_str()), ("PLAY", "cam"));
        assert_eq!((session.app.as_str(), &session.tc_url), ("live", leads_to));
    }
}

#[test]
fn the_query_of_an_application_comes_along() {
    let server = Nginx::start();
    let scene = Scene::with_servers(Redirector::start(), &[("edge-1", &server)]);
    let _camera = Publisher::start(&server.url("cam"));
    let asked = url(&scene.redirector, "rtmp", "live?wowzatokenhash=x%3D&e=2", "cam");
    let mut followed = follow(&asked, None);
    let leads_to = format!("rtmp://{}/live?wowzatokenhash=x%3D&e=2", server.rtmp);
    assert_eq!(followed.redirect, leads_to);
    followed.client.play(&followed.stream).expect("it plays");
    drop(followed);
    server.session("that player", |session| session.tc_url == leads_to);
}

#[test]
fn a_publisher_is_led_to_the_edge_as_a_player_is() {
    let server = Nginx::start();
    let scene = Scene::with_servers(Redirector::start(), &[("edge-1", &server)]);
    let mut followed = follow(&url(&scene.redirector, "rtmp", "live", "mine?key=1"), None);
    let code = followed.client.publish(&followed.stream).expect("a status");
    assert_eq!(code, "NetStream.Publish.Start");
    drop(followed);
    let session = server.session("the publisher", |session| session.command == "PUBLISH");
    assert_eq!((session.name.as_str(), session.args.as_str()), ("mine", "key=1"));
}

#[test]
fn without_an_edge_the_rejection_names_none_and_still_ends() {
    let (_folder, trust, redirector) = with_tls();
    for scheme in ["rtmp", "rtmps", "rtmpt", "rtmpts"] {
        let rejection = rejected(&url(&redirector, scheme, "live", "cam"), Some(&trust));
        assert!(rejection.closed, "{scheme}: {rejection:?}");
        let info = rejection.command.get(3).expect("an information object");
        assert_eq!(info.get("code"), Some(&Value::text("NetConnection.Connect.Rejected")));
        assert_eq!(info.get("ex"), None, "{scheme}: {rejection:?}");
        assert!(rejection.description().contains("no edge"), "{scheme}: {rejection:?}");
    }
}

#[test]
fn a_drained_edge_is_named_to_no_rtmp_client() {
    let [first, second] = [Nginx::start(), Nginx::start()];
    let scene =
        Scene::with_servers(Redirector::start(), &[("edge-1", &first), ("edge-2", &second)]);
    let order = json!({"edge": "edge-1", "reason": "kernel update"});
    scene.redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    for n in 0..100 {
        let scheme = if n % 4 == 0 { "rtmpt" } else { "rtmp" };
        let rejection = rejected(&url(&scene.redirector, scheme, "live", "cam"), None);
        let redirect = rejection.redirect().expect("a redirect");
        assert!(redirect.contains(&format!(":{}/", second.rtmp.port())), "{redirect}");
    }
}

#[test]
fn an_edge_that_is_the_redirector_itself_is_never_named() {
    let redirector = Redirector::start();
    let client = redirector.ports().client;
    let ports = [(Scheme::Rtmp, client.port())];
    let edge = SimulatedEdge::new(redirector.key(), "edge-1").at("127.0.0.1", &ports);
    let _edges = LiveEdges::start(vec![edge], redirector.ports().heartbeat);
    redirector.until_liveness("edge-1", "UP");
    let rejection = rejected(&url(&redirector, "rtmp", "live", "cam"), None);
    assert!(rejection.redirect().is_err(), "{rejection:?}");
}

#[test]
fn each_redirect_is_counted_once() {
    let server = Nginx::start();
    let scene = Scene::with_servers(Redirector::start(), &[("edge-1", &server)]);
    let redirects = || {
        let metrics = scene.redirector.metrics();
        metrics.sum("tidegate_rtmp_answers_total", &[("kind", "rtmp_redirect")])
    };
    let before = redirects();
    for scheme in ["rtmp", "rtmpt", "rtmp"] {
        rejected(&url(&scene.redirector, scheme, "live", "cam"), None);
    }
    assert_eq!(redirects() - before, 3.0);
}
