//! Clients that follow nothing are spliced to an edge: they play and publish as if it were the
//! redirector that they reached.

use std::{net::TcpListener, time::Duration};

use serde_json::json;
use tidegate_proto::edge::Scheme;
use tidegate_tests::{
    credentials::write_certificates,
    edge::{LiveEdges, SimulatedEdge},
    media::{
        nginx::Nginx,
        players::{curl_receives, ffprobe, gst_rtmp2src, rtmpdump_receives},
        publisher::{Publisher, until_live},
    },
    programs::Redirector,
    rtmp::{
        chunk::kind,
        client::{Answer, Client, connect},
        follow::rejected,
        url::RtmpUrl,
    },
    scene::Scene,
    wait::{SOON, eventually},
};

const SPLICE: &str = r#"
[[client.rtmp_app]]
name = "relay"
mode = "splice"
[[client.rtmp_app]]
name = "*"
"#;

fn url(redirector: &Redirector, scheme: &str, stream: &str) -> String {
    format!("{scheme}://{}/relay/live/{stream}", redirector.ports().client)
}

fn accepted(url: &str) -> Client {
    let url: RtmpUrl = url.parse().expect("a URL");
    match connect(&url, None).expect("an answer") {
        Answer::Accepted(client) => client,
        Answer::Rejected(rejection) => panic!("refused: {rejection:?}"),
    }
}

#[test]
fn players_play_through_a_splice_what_ffmpeg_published_to_the_edge() {
    let server = Nginx::start();
    let redirector = Redirector::start_configured(SPLICE, &[]);
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let _camera = Publisher::start(&server.url("cam"));
    let through = url(&scene.redirector, "rtmp", "cam");
    let shown = ffprobe(&through).ok();
    assert!(shown.contains("\"h264\"") && shown.contains("\"aac\""), "{shown}");
    gst_rtmp2src(&through, 20, &[]).ok();
    rtmpdump_receives(&through, &server.home().join("rtmpdump.flv"));
    curl_receives(&through, &server.home().join("curl.flv"));
}

#[test]
fn a_player_plays_through_a_splice_in_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path());
    let server = Nginx::start_with_tls(folder.path());
    let redirector = Redirector::start_with_tls(SPLICE, folder.path());
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let _camera = Publisher::start(&server.url("cam"));
    let shown = ffprobe(&url(&scene.redirector, "rtmps", "cam")).ok();
    assert!(shown.contains("\"h264\"") && shown.contains("\"aac\""), "{shown}");
}

#[test]
fn the_edge_is_told_its_own_url_and_the_token() {
    let server = Nginx::start();
    let redirector = Redirector::start_configured(SPLICE, &[]);
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let _camera = Publisher::start(&server.url("cam"));
    let mut client = accepted(&url(&scene.redirector, "rtmp", "cam"));
    client.play("cam?token=a%2Fb").expect("it plays");
    drop(client);
    let session = server.session("that player", |session| session.args == "token=a%2Fb");
    assert_eq!((session.app.as_str(), session.name.as_str()), ("live", "cam"));
    assert_eq!(session.tc_url, format!("rtmp://{}/live", server.rtmp));
}

#[test]
fn ffmpeg_publishes_through_a_splice_and_the_edge_plays_it() {
    let server = Nginx::start();
    let redirector = Redirector::start_configured(SPLICE, &[]);
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let _camera = Publisher::spawn(&url(&scene.redirector, "rtmp", "sent"));
    until_live(&server.url("sent"));
    let shown = ffprobe(&server.url("sent")).ok();
    assert!(shown.contains("\"h264\"") && shown.contains("\"aac\""), "{shown}");
}

#[test]
fn a_drain_leaves_a_splice_alone_and_gives_the_edge_no_new_one() {
    let servers = [Nginx::start(), Nginx::start()];
    let redirector = Redirector::start_configured(SPLICE, &[]);
    let named = [("edge-1", &servers[0]), ("edge-2", &servers[1])];
    let scene = Scene::with_servers(redirector, &named);
    let _cameras = servers.each_ref().map(|server| Publisher::start(&server.url("cam")));
    let through = url(&scene.redirector, "rtmp", "cam");
    let mut stays = accepted(&through);
    stays.play("cam?who=stays").expect("it plays");
    let at = eventually(SOON, "an edge has the player", || {
        let counts = servers.each_ref().map(|server| server.players("cam"));
        counts.iter().position(|count| *count > 0).ok_or_else(|| format!("{counts:?}"))
    });
    let order = json!({"edge": named[at].0, "reason": "kernel update"});
    scene.redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    for n in 0..20 {
        let mut comes = accepted(&through);
        comes.play(&format!("cam?who=comes&n={n}")).expect("it plays");
        drop(comes);
        let mine = format!("who=comes&n={n}");
        servers[1 - at].session("the newcomer", |session| session.args == mine);
    }
    let strangers = servers[at].sessions();
    assert!(strangers.iter().all(|session| !session.args.contains("who=comes")), "{strangers:?}");
    for _ in 0..30 {
        let picture = eventually(SOON, "a picture", || match stays.message() {
            Ok(message) if message.kind == kind::VIDEO => Ok(message),
            Ok(message) => Err(format!("type {}", message.kind)),
            Err(error) => panic!("the splice to the drained edge ended: {error}"),
        });
        assert!(!picture.payload.is_empty());
    }
}

#[test]
fn an_edge_that_cannot_be_reached_is_a_rejection_in_time() {
    let redirector = Redirector::start_configured(SPLICE, &[]);
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let edge = SimulatedEdge::new(redirector.key(), "edge-1")
        .at("127.0.0.1", &[(Scheme::Rtmp, closed.port())]);
    let _edges = LiveEdges::start(vec![edge], redirector.ports().heartbeat);
    redirector.until_liveness("edge-1", "UP");
    let began = std::time::Instant::now();
    let asked: RtmpUrl = url(&redirector, "rtmp", "cam").parse().expect("a URL");
    let rejection = rejected(&asked, None);
    assert!(rejection.closed && rejection.redirect().is_err(), "{rejection:?}");
    assert!(rejection.description().contains("no edge"), "{rejection:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[test]
fn a_splice_ends_when_either_side_does() {
    let mut server = Nginx::start();
    let redirector = Redirector::start_configured(SPLICE, &[]);
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let camera = Publisher::start(&server.url("cam"));
    let mut client = accepted(&url(&scene.redirector, "rtmp", "cam"));
    client.play("cam?who=first").expect("it plays");
    drop(client);
    server.session("the player who left", |session| session.args == "who=first");
    let mut client = accepted(&url(&scene.redirector, "rtmp", "cam"));
    client.play("cam").expect("it plays");
    drop(camera);
    server.process().kill();
    for _ in 0..2_000 {
        if client.message().is_err() {
            return;
        }
    }
    panic!("the client still receives from an edge that is gone");
}
