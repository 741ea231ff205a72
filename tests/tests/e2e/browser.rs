//! A browser that asks the redirector plays a picture, and the picture is looked at.

use std::path::{Path, PathBuf};

use serde_json::json;
use tidegate_tests::{
    browser::Browser,
    credentials::write_certificates,
    media::{hls::HlsPage, nginx::Nginx, publisher::Publisher},
    programs::Redirector,
    scene::Scene,
};

/// Where screenshots stay to be looked at.
fn kept(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join(name)
}

#[test]
fn a_browser_plays_the_demo_through_the_redirector() {
    let demo = Redirector::start_demo();
    for name in ["edge-1", "edge-2", "edge-3"] {
        demo.until_liveness(name, "UP");
    }
    let client = demo.ports().client;
    let playlist = format!("http://{client}/live/demo/playlist.m3u8");
    let page = HlsPage::open(Browser::start(), &playlist);
    page.until_it_plays();
    let urls = page.playlist_urls();
    assert!(!urls.is_empty() && urls.iter().all(|url| !url.contains(&client.to_string())));
    page.shows_a_picture(&kept("demo.png"));
    assert_eq!(page.errors(), json!([]));
}

#[test]
fn a_browser_plays_what_ffmpeg_publishes_to_the_edge_it_was_sent_to() {
    let server = Nginx::start();
    let scene = Scene::with_servers(Redirector::start(), &[("edge-1", &server)]);
    let _camera = Publisher::start(&server.url("cam"));
    server.until_hls("cam");
    let client = scene.redirector.ports().client;
    let playlist = format!("http://{client}/live/cam/playlist.m3u8?token=a%2Fb");
    let page = HlsPage::open(Browser::start(), &playlist);
    page.until_it_plays();
    let asked = format!("http://{}/live/cam/playlist.m3u8?token=a%2Fb", server.http);
    let urls = page.playlist_urls();
    assert!(urls.iter().all(|url| *url == asked) && !urls.is_empty(), "{urls:?}");
    page.shows_a_picture(&kept("nginx.png"));
}

#[test]
fn a_browser_plays_over_https_from_an_edge_that_has_it() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path());
    let server = Nginx::start_with_tls(folder.path());
    let scene =
        Scene::with_servers(Redirector::start_with_tls("", folder.path()), &[("edge-1", &server)]);
    let _camera = Publisher::start(&server.url("cam"));
    server.until_hls("cam");
    let playlist = format!("https://{}/live/cam/playlist.m3u8", scene.redirector.ports().client);
    // The authority of this test is in no browser's store.
    let browser = Browser::start_with(&["--ignore-certificate-errors"]);
    let page = HlsPage::open(browser, &playlist);
    page.until_it_plays();
    let asked = format!("https://{}/live/cam/playlist.m3u8", server.https);
    let urls = page.playlist_urls();
    assert!(urls.iter().all(|url| *url == asked) && !urls.is_empty(), "{urls:?}");
    page.shows_a_picture(&kept("https.png"));
}

#[test]
fn a_viewer_who_plays_is_left_alone_when_its_edge_is_drained() {
    let servers = [Nginx::start(), Nginx::start()];
    let named = [("edge-1", &servers[0]), ("edge-2", &servers[1])];
    let scene = Scene::with_servers(Redirector::start(), &named);
    let _cameras = servers.each_ref().map(|server| Publisher::start(&server.url("cam")));
    for server in &servers {
        server.until_hls("cam");
    }
    let playlist = format!("http://{}/live/cam/playlist.m3u8", scene.redirector.ports().client);
    let page = HlsPage::open(Browser::start(), &playlist);
    page.until_it_plays();
    let first = page.playlist_urls().first().cloned().expect("a playlist");
    let at = servers.iter().position(|server| first.contains(&server.http.to_string()));
    let (edge, _) = named[at.unwrap_or_else(|| panic!("{first} is no edge"))];
    let order = json!({"edge": edge, "reason": "kernel update"});
    scene.redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    page.until_it_played_on(3.0);
    let urls = page.playlist_urls();
    assert!(urls.len() > 1 && urls.iter().all(|url| *url == first), "{urls:?}");
}
