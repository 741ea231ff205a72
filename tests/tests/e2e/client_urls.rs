//! Every URL that clients of Wowza's load balancer ask, by curl, in the clear and over TLS.

use tempfile::TempDir;
use tidegate_proto::edge::{Endpoint, Scheme};
use tidegate_tests::{
    credentials::write_certificates,
    edge::{LiveEdges, SimulatedEdge},
    http::Reply,
    programs::Redirector,
    tools::{curl, tool},
};

/// An address, because old clients look for digits and dots.
const EDGE: &str = "192.0.2.7";
const ENDPOINTS: [(Scheme, u16); 2] = [(Scheme::Http, 8_080), (Scheme::Https, 8_443)];

/// What is asked, and where on the edge it leads.
const REDIRECTS: &[(&str, &str)] = &[
    ("/live/stream1/playlist.m3u8?token=x", "/live/stream1/playlist.m3u8?token=x"),
    ("/redirect/live/stream1?type=m3u8", "/live/stream1/playlist.m3u8"),
    ("/redirect/live/stream1?type=mpd", "/live/stream1/manifest.mpd"),
    ("/redirect/live/stream1?t=x%2Fy&type=m3u8&u=1", "/live/stream1/playlist.m3u8?t=x%2Fy&u=1"),
    (
        "/redirect/video/_definst_/smil:smil/video/7.smil?type=m3u8",
        "/video/_definst_/smil:smil/video/7.smil/playlist.m3u8",
    ),
    ("/redirect/live/stream1", "/redirect/live/stream1"),
    ("/redirect/live/stream1?type=f4m", "/redirect/live/stream1?type=f4m"),
];

/// A redirector that serves TLS too, and one edge.
struct Site {
    redirector: Redirector,
    _edges: LiveEdges,
    files: TempDir,
}

impl Site {
    #[track_caller]
    fn start() -> Self {
        let files = tempfile::tempdir().expect("a folder");
        write_certificates(files.path());
        let redirector = Redirector::start_with_tls("", files.path());
        let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
        edge.heartbeat.redirect_address = Some(EDGE.parse().expect("an address"));
        let listed = |(scheme, port): (Scheme, u16)| Endpoint {
            scheme,
            port: port.try_into().expect("not 0"),
        };
        edge.heartbeat.endpoints = ENDPOINTS.map(listed).to_vec();
        let edges = LiveEdges::start(vec![edge], redirector.ports().heartbeat);
        redirector.until_liveness("edge-1", "UP");
        Self { redirector, _edges: edges, files }
    }

    /// What curl got, head and body.
    #[track_caller]
    fn ask(&self, scheme: Scheme, target: &str, options: &[&str]) -> Reply {
        let ca = self.files.path().join("ca.pem").display().to_string();
        let url = format!("{scheme}://{}{target}", self.redirector.ports().client);
        let mut arguments =
            vec!["--globoff", "--path-as-is", "--http1.1", "--include", "--cacert", &ca];
        arguments.extend(options);
        arguments.push(&url);
        Reply::parse(curl(&arguments).ok().as_bytes()).expect("curl's record of the answer")
    }
}

#[test]
fn every_form_of_a_redirect_leads_to_the_edge_with_the_clients_scheme() {
    let site = Site::start();
    for (scheme, port) in ENDPOINTS {
        for (asked, leads_to) in REDIRECTS {
            let reply = site.ask(scheme, asked, &[]);
            assert_eq!(reply.status, 302, "{scheme} {asked}: {reply:?}");
            assert_eq!(reply.location(), format!("{scheme}://{EDGE}:{port}{leads_to}"));
            assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{asked}");
            let playlist = leads_to.contains(".m3u8");
            let kind = reply.header("content-type");
            assert_eq!(
                kind == Some("application/vnd.apple.mpegurl"),
                playlist,
                "{asked}: {kind:?}"
            );
        }
    }
}

#[test]
fn a_target_that_would_begin_with_two_slashes_on_the_edge_is_refused() {
    let site = Site::start();
    for asked in ["/redirect//evil.example/x?type=m3u8", "/redirect/..//evil.example?type=m3u8"] {
        let reply = site.ask(Scheme::Http, asked, &[]);
        assert_eq!((reply.status, reply.header("location")), (400, None), "{asked}: {reply:?}");
    }
}

#[test]
fn the_loadbalancer_pages_are_what_scripts_in_the_field_read() {
    let site = Site::start();
    for (scheme, _) in ENDPOINTS {
        for target in ["/loadbalancer", "/loadbalancer?channel7", "/live/loadbalancer"] {
            let reply = site.ask(scheme, target, &[]);
            assert_eq!((reply.status, reply.text()), (200, format!("redirect={EDGE}")), "{target}");
        }
    }
    // The expressions of players' plug-ins and of monitors, run by the language they stand in.
    let script = r#"
import re, sys
host, page = open(sys.argv[1]).read().split("\0")
assert re.search(r"redirect=(.+)", host).group(1) == "192.0.2.7"
assert re.search(r"redirect=([\.\d]+)", host).group(1) == "192.0.2.7"
assert host.split("=")[1] == "192.0.2.7"
import xml.etree.ElementTree as tree
rows = tree.fromstring(page).findall("LoadBalancerServer")
usable = [row for row in rows if row.find("status").text in ("RUNNING", "PAUSED")]
assert [row.find("redirect").text for row in usable] == ["192.0.2.7"], page
assert int(usable[0].find("connectCount").text) == 0
assert int(usable[0].find("redirectCount").text) > 0
assert re.search(r"<lastMessage>\d+ \w+", page)
assert re.search(r"<serverId>[0-9a-f-]{36}</serverId>", page)
"#;
    let host = site.ask(Scheme::Http, "/loadbalancer", &[]).text();
    let info = site.ask(Scheme::Http, "/loadbalancer?serverInfoXML", &[]);
    assert!(info.header("content-type").is_some_and(|kind| kind.starts_with("text/xml")));
    let input = site.files.path().join("pages");
    std::fs::write(&input, format!("{host}\0{}", info.text())).expect("written");
    let mut python = std::process::Command::new(tool("python3"));
    python.args(["-c", script]).arg(&input);
    tidegate_tests::process::run(python, std::time::Duration::from_secs(20)).ok();
}

#[test]
fn the_flash_policy_is_served_and_sends_nobody_anywhere() {
    let site = Site::start();
    let reply = site.ask(Scheme::Http, "/crossdomain.xml", &[]);
    assert_eq!(reply.status, 200, "{reply:?}");
    let page = reply.text();
    assert!(page.contains("<cross-domain-policy>"), "{page}");
    assert!(page.contains(r#"<allow-access-from domain="*""#), "{page}");
    assert_eq!(site.redirector.edge("edge-1").expect("an edge")["pending"], 0);
}

#[test]
fn whip_and_whep_keep_their_method_and_body() {
    let site = Site::start();
    for (scheme, port) in ENDPOINTS {
        for method in ["POST", "PATCH", "DELETE"] {
            let offer = ["--request", method, "--data-binary", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"];
            let kind = ["--header", "Content-Type: application/sdp"];
            let reply = site.ask(scheme, "/live/stream1/whip", &[&offer[..], &kind[..]].concat());
            assert_eq!(reply.status, 307, "{method}: {reply:?}");
            assert_eq!(reply.location(), format!("{scheme}://{EDGE}:{port}/live/stream1/whip"));
        }
    }
    let asked = ["--request", "OPTIONS", "--header", "Access-Control-Request-Method: POST"];
    let preflight = site.ask(Scheme::Http, "/live/stream1/whep", &asked);
    assert_eq!(preflight.status, 204, "{preflight:?}");
    let methods = preflight.header("access-control-allow-methods").unwrap_or_default();
    for method in ["GET", "POST", "PATCH", "DELETE"] {
        assert!(methods.contains(method), "{methods}");
    }
}
