//! Players that others wrote: those that follow play, and those that do not end at once and say
//! where to go.

use std::time::Duration;

use tidegate_tests::{
    credentials::write_certificates,
    media::{
        nginx::Nginx,
        players::{curl_rtmp, ffmpeg_receives, ffprobe, gst_rtmp2src, rtmpdump},
        publisher::Publisher,
    },
    process::Ran,
    programs::Redirector,
    scene::Scene,
};

/// A refusal takes milliseconds; the rest is for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);

struct Stage {
    server: Nginx,
    scene: Scene,
    folder: tempfile::TempDir,
}

impl Stage {
    /// One edge that is nginx, and a redirector with certificates.
    fn set() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_certificates(folder.path());
        let server = Nginx::start_with_tls(folder.path());
        let redirector = Redirector::start_with_tls("", folder.path());
        let scene = Scene::with_servers(redirector, &[("edge-1", &server)]);
        Self { server, scene, folder }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/live/cam", self.scene.redirector.ports().client)
    }

    /// What a person should read: the application at the edge.
    fn leads_to(&self, scheme: &str) -> String {
        let port = if scheme.ends_with('s') { self.server.rtmps } else { self.server.rtmp }.port();
        format!("{scheme}://127.0.0.1:{port}/live")
    }
}

#[track_caller]
fn ended_at_once(ran: &Ran) {
    assert!(ran.took < AT_ONCE && ran.code.is_some_and(|code| code != 0), "{ran:#?}");
}

#[test]
fn ffprobe_and_ffmpeg_end_at_once_and_name_the_edge() {
    let stage = Stage::set();
    for scheme in ["rtmp", "rtmpt", "rtmps", "rtmpts"] {
        let said = stage.leads_to(scheme);
        let ran = ffprobe(&stage.url(scheme));
        ended_at_once(&ran);
        assert!(ran.err.contains(&said), "{said}: {ran:#?}");
    }
    let ran = ffmpeg_receives(&stage.url("rtmp"), 1);
    ended_at_once(&ran);
    assert!(ran.err.contains(&stage.leads_to("rtmp")), "{ran:#?}");
}

#[test]
fn an_ffmpeg_that_publishes_ends_at_once_and_names_the_edge() {
    let stage = Stage::set();
    let mut camera = Publisher::spawn(&stage.url("rtmp"));
    let status = camera.process().wait(AT_ONCE);
    assert!(!status.success());
    let said = camera.process().output();
    assert!(said.contains(&stage.leads_to("rtmp")), "{said}");
}

#[test]
fn rtmpdump_and_curl_end_at_once() {
    let stage = Stage::set();
    let file = stage.folder.path().join("out.flv");
    for scheme in ["rtmp", "rtmpt", "rtmps", "rtmpts"] {
        ended_at_once(&rtmpdump(&stage.url(scheme), &file));
    }
    for scheme in ["rtmp", "rtmpt"] {
        ended_at_once(&curl_rtmp(&stage.url(scheme), &file));
    }
    assert!(file.metadata().map_or(0, |file| file.len()) < 1_000, "nothing was played");
}

#[test]
fn gstreamer_ends_at_once_and_names_the_edge() {
    let stage = Stage::set();
    let ran = gst_rtmp2src(&stage.url("rtmp"), 1, &[]);
    ended_at_once(&ran);
    assert!(ran.err.contains(&stage.leads_to("rtmp")), "{ran:#?}");
    // It trusts no unknown authority unless told to.
    let ran = gst_rtmp2src(&stage.url("rtmps"), 1, &["tls-validation-flags=0"]);
    ended_at_once(&ran);
    assert!(ran.err.contains(&stage.leads_to("rtmps")), "{ran:#?}");
}

#[test]
fn a_tunnel_of_a_client_that_never_pauses_is_not_polled_for_long() {
    let stage = Stage::set();
    let file = stage.folder.path().join("out.flv");
    ended_at_once(&rtmpdump(&stage.url("rtmpt"), &file));
    let metrics = stage.scene.redirector.metrics();
    let answers = metrics.sum("tidegate_rtmp_answers_total", &[("kind", "rtmp_redirect")]);
    assert_eq!(answers, 1.0, "it was answered");
    // What it asks after its session has ended; left polling, it asks thousands of times a second.
    let reason = [("reason", "tunnel_no_session")];
    let late = metrics.sum("tidegate_rtmp_refused_total", &reason);
    assert!(late < 10.0, "{late} requests after the end");
}

#[test]
fn ffprobe_follows_an_http_redirect_and_plays() {
    let stage = Stage::set();
    let _camera = Publisher::start(&stage.server.url("cam"));
    stage.server.until_hls("cam");
    let shown = ffprobe(&format!("{}/playlist.m3u8?token=x", stage.url("http"))).ok();
    assert!(shown.contains("\"h264\"") && shown.contains("\"aac\""), "{shown}");
}
