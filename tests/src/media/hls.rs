//! hls.js in a real browser, on a page of another origin than the streams.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use serde_json::Value;

use crate::{browser::Browser, process::run, site::Site, tools::tool};

const DEADLINE: Duration = Duration::from_secs(30);
/// Fewer colours than this are a flat or a broken picture; the test pictures have hundreds.
const COLOURS_MIN: usize = 32;

/// The page. `state` is what a test may look at.
const PAGE: &str = r#"<!doctype html>
<title>hls.js</title>
<body style="margin:0;background:#000">
<video id="v" muted autoplay playsinline style="width:480px;height:270px"></video>
<script src="/hls.js"></script>
<script>
const video = document.getElementById("v");
const state = { playing: false, errors: [], urls: [] };
video.addEventListener("playing", () => { state.playing = true; });
const hls = new Hls({ enableWorker: false });
hls.on(Hls.Events.ERROR, (_, d) => state.errors.push(d.details + (d.fatal ? " (fatal)" : "")));
hls.on(Hls.Events.LEVEL_LOADED, (_, d) => state.urls.push(d.networkDetails.responseURL));
hls.loadSource(new URLSearchParams(location.search).get("url"));
hls.attachMedia(video);
</script>
"#;

/// A page that plays a playlist.
#[derive(Debug)]
pub struct HlsPage {
    browser: Browser,
    _site: Site,
}

impl HlsPage {
    /// Opens the page in a browser, to play a playlist.
    #[track_caller]
    pub fn open(browser: Browser, playlist: &str) -> Self {
        let script = tool("hls.js");
        let script = fs::read(&script).unwrap_or_else(|e| panic!("{}: {e}", script.display()));
        let page = ("text/html", PAGE.as_bytes().to_vec());
        let pages = BTreeMap::from([("/", page), ("/hls.js", ("text/javascript", script))]);
        let site = Site::start(pages);
        let mut url = url::Url::parse(&site.url("/")).expect("a URL");
        url.query_pairs_mut().append_pair("url", playlist);
        browser.open(url.as_str());
        Self { browser, _site: site }
    }

    /// Waits until the picture moves.
    #[track_caller]
    pub fn until_it_plays(&self) {
        self.browser.until(
            "state.playing && video.currentTime > 1 && video.videoWidth > 0",
            "[state, video.currentTime, video.videoWidth, video.readyState]",
        );
    }

    /// Waits until it has played for this many seconds more.
    #[track_caller]
    pub fn until_it_played_on(&self, seconds: f64) {
        let now = self.browser.evaluate("video.currentTime").as_f64().expect("a position");
        let further = format!("video.currentTime > {}", now + seconds);
        self.browser.until(&further, "[state, video.currentTime, video.readyState]");
    }

    /// Where the playlists came from at last, after every redirect.
    #[track_caller]
    pub fn playlist_urls(&self) -> Vec<String> {
        let urls = self.browser.evaluate("state.urls");
        let urls = urls.as_array().expect("a list").iter();
        urls.map(|url| url.as_str().expect("a URL").to_owned()).collect()
    }

    /// What hls.js complained of.
    #[track_caller]
    pub fn errors(&self) -> Value {
        self.browser.evaluate("state.errors")
    }

    /// Takes a screenshot and makes sure that a picture is in it, not one flat colour.
    #[track_caller]
    pub fn shows_a_picture(&self, file: &Path) {
        self.browser.screenshot(file);
        let colours = colours(file);
        assert!(colours >= COLOURS_MIN, "{}: only {colours} colours", file.display());
    }
}

/// How many different colours a picture has, in steps that compression does not make.
#[track_caller]
fn colours(picture: &Path) -> usize {
    let raw = picture.with_extension("rgb");
    let mut command = Command::new(tool("ffmpeg"));
    command.args(["-nostdin", "-v", "error", "-y", "-i"]).arg(picture);
    command.args(["-f", "rawvideo", "-pix_fmt", "rgb24"]).arg(&raw);
    run(command, DEADLINE).ok();
    let pixels = fs::read(&raw).expect("just written");
    let _ = fs::remove_file(&raw);
    let coarse = pixels.chunks_exact(3).map(|rgb| [rgb[0] >> 4, rgb[1] >> 4, rgb[2] >> 4]);
    coarse.collect::<std::collections::HashSet<_>>().len()
}
