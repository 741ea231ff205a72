//! What a client asks for and where it is sent.

use hyper::{Method, Request, Version, header::HOST};
use tidegate_proto::edge::{Host, Scheme};
use tidegate_redirector::{
    answer::{location as location_on, target::on_the_edge},
    front::guard::{CLIENT_METHODS, Target, check, check_target},
};
use url::Url;

use super::Verdict;

/// A name and an address of either kind, as edges announce them.
const HOSTS: [&str; 3] = ["edge-1.example.com", "192.0.2.7", "2001:db8::7"];
/// Never a scheme's own port, which `Url` would leave out.
const PORT: u16 = 1935;

/// A request's target: the Location made of one that passes the guard leads to the edge and to
/// nobody else, for every reader of URLs, and carries byte for byte what is meant for the edge.
pub fn location(bytes: &[u8]) -> Verdict {
    let Some(target) = passed(bytes) else { return Verdict::Refused };
    let target = target.as_str();
    assert!(target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{target:?}");
    assert!(target.starts_with('/') && !target.starts_with("//"), "{target:?}");
    check_locations(target);
    check_behind_redirect(target);
    Verdict::Accepted
}

/// The same path as Wowza's players ask for it, with a type and behind `/redirect`.
fn check_behind_redirect(target: &str) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    for query in ["type=m3u8".to_owned(), format!("{query}&type=mpd")] {
        let asked = format!("/redirect{path}?{query}");
        if check_target(&asked).is_ok() {
            check_locations(&asked);
        }
    }
}

/// What a target that passed the guard leads to, on every kind of edge.
fn check_locations(target: &str) {
    let Ok(on_the_edge) = on_the_edge(target) else { return };
    for host in HOSTS {
        check_location(&host.parse().expect("a host"), &on_the_edge);
    }
}

/// Reads the target as hyper does and puts the request before the guard.
fn passed(bytes: &[u8]) -> Option<Target> {
    let mut request = Request::builder().version(Version::HTTP_11).method(Method::GET);
    request = request.uri(bytes).header(HOST, "lb.example.com");
    let target = check(&request.body(()).ok()?, &CLIENT_METHODS).ok()?;
    // A fragment is no part of a target; it is cut, and nothing else is.
    let sent = bytes.split(|byte| *byte == b'#').next().unwrap_or_default();
    assert_eq!(target.as_str().as_bytes(), sent);
    Some(target)
}

fn check_location(host: &Host, target: &str) {
    let location = location_on(Scheme::Http, host, PORT, target);
    let origin = location.strip_suffix(target).expect("the target is at the end, as it was sent");
    let url = Url::parse(&location).unwrap_or_else(|why| panic!("{location:?}: {why}"));
    let expected = Url::parse(origin).expect("an edge's origin");
    assert_eq!((url.scheme(), url.host(), url.port()), ("http", expected.host(), Some(PORT)));
    assert_eq!((url.username(), url.password(), url.fragment()), ("", None, None), "{location:?}");
    // Clients ask for the path that is left when dot segments are resolved.
    assert!(url.path().starts_with('/') && !url.path().starts_with("//"), "{location:?}");
}
