//! What an operator sets for RTMP applications is what their clients are told.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use serde_json::json;
use tidegate_tests::{
    media::{nginx::Nginx, publisher::Publisher},
    programs::Redirector,
    rtmp::{
        amf::Value,
        client::{Answer, Client, connect},
        follow::rejected,
        url::RtmpUrl,
    },
    scene::Scene,
};

/// In `capsEx`: the client reconnects on request (Enhanced RTMP v2).
const RECONNECTS: (&str, Value) = ("capsEx", Value::Number(1.0));

fn url(redirector: &Redirector, scheme: &str, app: &str) -> RtmpUrl {
    let client = redirector.ports().client;
    RtmpUrl::of(&format!("{scheme}://{client}/{app}"), "cam").expect("a URL")
}

fn accepted(answer: Answer) -> Client {
    match answer {
        Answer::Accepted(client) => client,
        Answer::Rejected(rejection) => panic!("refused: {rejection:?}"),
    }
}

#[test]
fn a_client_that_comes_back_for_ever_is_given_no_more_redirects() {
    let server = Nginx::start();
    let flags = [("client-rtmp-redirects-per-second", "1"), ("client-rtmp-redirects-burst", "5")];
    let scene = Scene::with_servers(Redirector::start_with(&flags), &[("edge-1", &server)]);
    let asked = url(&scene.redirector, "rtmp", "live");
    let led = (0..40).filter(|_| rejected(&asked, None).redirect().is_ok()).count();
    let told = scene.redirector.metrics();
    let answers = |kind: &str| told.sum("tidegate_rtmp_answers_total", &[("kind", kind)]);
    assert!((5..40).contains(&led), "{led} of 40 were redirected");
    assert_eq!(answers("rtmp_redirect"), led as f64);
    assert_eq!(answers("loop_guard"), (40 - led) as f64);
    // A tunnel is no way around it.
    let tunnelled = url(&scene.redirector, "rtmpt", "live");
    let led = (0..10).filter(|_| rejected(&tunnelled, None).redirect().is_ok()).count();
    assert!(led < 10, "all 10 were redirected");
    // Another application, and another protocol, have nothing to do with it.
    assert!(rejected(&url(&scene.redirector, "rtmp", "vod"), None).redirect().is_ok());
    assert_eq!(scene.redirector.get("/live/cam/playlist.m3u8").status, 302);
}

#[test]
fn an_application_that_does_not_redirect_on_connect_tells_the_host_when_asked() {
    let server = Nginx::start();
    let apps = "[[client.rtmp_app]]\nname = \"ask\"\nredirect_on_connect = false\n";
    let redirector = Redirector::start_configured(apps, &[]);
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    for scheme in ["rtmp", "rtmpt"] {
        let asked = url(&scene.redirector, scheme, "ask");
        let mut client = accepted(connect(&asked, None).expect("an answer"));
        let call = [Value::text("getLoadBalancerRedirect"), Value::Number(2.0), Value::Null];
        client.call(0, &call).expect("sent");
        let answer = client.command().expect("an answer");
        assert_eq!(
            answer,
            [Value::text("_result"), Value::Number(2.0), Value::Null, Value::text("127.0.0.1")]
        );
    }
    // A client that insists is redirected on connect all the same.
    let insists = rejected(&url(&scene.redirector, "rtmp", "ask/live?redirect=true"), None);
    let redirect = insists.redirect().expect("a redirect");
    assert!(redirect.contains(&server.rtmp.to_string()), "{redirect}");
}

#[test]
fn applications_that_are_not_configured_are_refused() {
    let server = Nginx::start();
    let apps = "[[client.rtmp_app]]\nname = \"only\"\nredirect_app = \"live\"\n";
    let redirector = Redirector::start_configured(apps, &[]);
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let known = rejected(&url(&scene.redirector, "rtmp", "only"), None);
    assert_eq!(known.redirect(), Ok(format!("rtmp://{}/live", server.rtmp).as_str()));
    for app in ["live", "onlyx", "Only/live", ""] {
        let unknown = rejected(&url(&scene.redirector, "rtmp", app), None);
        assert!(unknown.redirect().is_err() && unknown.closed, "{app}: {unknown:?}");
    }
}

#[test]
fn a_client_that_can_reconnect_is_asked_to_and_plays_where_it_is_led() {
    let server = Nginx::start();
    let apps = "[[client.rtmp_app]]\nname = \"*\"\nreconnect_request = true\n";
    let redirector = Redirector::start_configured(apps, &[]);
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let _camera = Publisher::start(&server.url("cam"));
    let asked = url(&scene.redirector, "rtmp", "live");
    let client = Client::open(&asked, None).expect("a handshake");
    let mut client = accepted(client.connect_saying(&asked, &[RECONNECTS]).expect("an answer"));
    let request = client.command().expect("a request");
    let info = request.get(3).expect("an information object");
    let text = |name: &str| info.get(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!((request[0].as_str(), text("level")), (Some("onStatus"), "status"));
    assert_eq!(text("code"), "NetConnection.Connect.ReconnectRequest");
    let led = RtmpUrl::of(text("tcUrl"), "cam").expect("a tcUrl");
    assert_eq!(led.tc_url(), format!("rtmp://{}/live", server.rtmp));
    accepted(connect(&led, None).expect("an answer")).play("cam").expect("it plays");
    // Whoever does not say so is redirected as ever.
    assert!(rejected(&asked, None).redirect().is_ok());
}

#[test]
fn a_client_in_a_tunnel_is_redirected_where_others_are_spliced() {
    let server = Nginx::start();
    let apps = "[[client.rtmp_app]]\nname = \"*\"\nmode = \"splice\"\nredirect_scheme = \"rtmp\"\n";
    let redirector = Redirector::start_configured(apps, &[]);
    let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
    let rejection = rejected(&url(&scene.redirector, "rtmpt", "live"), None);
    assert_eq!(rejection.redirect(), Ok(format!("rtmp://{}/live", server.rtmp).as_str()));
    accepted(connect(&url(&scene.redirector, "rtmp", "live"), None).expect("an answer"));
}

#[test]
fn addresses_that_are_never_redirected_are_refused() {
    let server = Nginx::start();
    let flags = [("client-ignore-clients", "127.0.0.0/8")];
    let scene = Scene::with_servers(Redirector::start_with(&flags), &[("edge-1", &server)]);
    let rejection = rejected(&url(&scene.redirector, "rtmp", "live"), None);
    assert!(rejection.redirect().is_err() && rejection.closed, "{rejection:?}");
}

#[test]
fn once_a_drain_is_answered_no_connect_begun_after_it_leads_there() {
    let servers = [Nginx::start(), Nginx::start()];
    let unlimited = [("client-rtmp-redirects-per-second", "0")];
    let redirector = Redirector::start_with(&unlimited);
    let named = [("edge-1", &servers[0]), ("edge-2", &servers[1])];
    let scene = Scene::with_servers(redirector, &named);
    let drained = format!(":{}/", servers[0].rtmp.port());
    let stop = AtomicBool::new(false);
    let asked = url(&scene.redirector, "rtmp", "live");
    let ask = || {
        let mut answers = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            let rejection = rejected(&asked, None);
            answers.push((began, rejection.redirect().expect("a redirect").contains(&drained)));
        }
        answers
    };
    let (durable, answers) = thread::scope(|scope| {
        let clients = [(); 4].map(|()| scope.spawn(ask));
        let order = json!({"edge": "edge-1", "reason": "kernel update"});
        // Long enough before and after that both edges are seen.
        for _ in 0..50 {
            rejected(&asked, None);
        }
        let done = scene.redirector.grpcurl().fleet("DrainEdge", &order);
        let durable = Instant::now();
        for _ in 0..200 {
            rejected(&asked, None);
        }
        stop.store(true, Ordering::Relaxed);
        done.expect("drained");
        (durable, clients.map(|client| client.join().expect("a client")).concat())
    });
    let (after, before): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|(began, _)| *began > durable);
    assert!(before.iter().any(|(_, led)| *led), "it was never chosen before the drain");
    assert!(after.len() > 100, "only {} connects after the drain", after.len());
    let wrong = after.iter().filter(|(_, led)| *led).count();
    assert_eq!(wrong, 0, "of {} connects after the drain", after.len());
}
