//! The applications RTMP clients may connect to, and the grammar of an application's path.

use tidegate_proto::edge::Scheme;

use crate::front::guard::check_target;

/// Stands for every application that no other entry names.
pub const ANY: &str = "*";
/// The application that Wowza's balancer has clients put before their own.
const REDIRECT: &str = "redirect";
/// Visible ASCII that no URL holds as it stands (RFC 3986 section 2), and what begins a fragment.
const NEVER_IN_URLS: &[char] = &['"', '<', '>', '`', '#'];

/// How a client of an application gets to its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is told where to connect.
    #[default]
    Redirect,
    /// Its connection is spliced to the edge. Over RTMPT it is redirected.
    Splice,
}

/// What clients of one application are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The first segment of the client's application, or [`ANY`].
    pub name: String,
    /// How clients get to the edge.
    pub mode: Mode,
    /// The application on the edge; `None`: the client's, without `name` where more follows it.
    pub redirect_app: Option<String>,
    /// The scheme to send clients with, one of RTMP's; `None`: theirs.
    pub redirect_scheme: Option<Scheme>,
    /// The port to send clients to whatever edges list.
    pub redirect_port: Option<u16>,
    /// Whether `connect` sends the client away. If not, it is accepted and may ask for a host.
    pub redirect_on_connect: bool,
    /// Whether clients that can reconnect on request are accepted and asked to.
    pub reconnect_request: bool,
}

impl App {
    /// An application with nothing set but its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            mode: Mode::Redirect,
            redirect_app: None,
            redirect_scheme: None,
            redirect_port: None,
            redirect_on_connect: true,
            reconnect_request: false,
        }
    }

    /// The application on the edge for a client that named `path`.
    pub(super) fn on_the_edge<'a>(&'a self, path: &'a str) -> &'a str {
        let kept = || match path.split_once('/') {
            // The name of an instance is no application: `live/_definst_` is `live`.
            Some((_, rest)) if self.name != ANY && rest != "_definst_" => rest,
            _ => path,
        };
        self.redirect_app.as_deref().unwrap_or_else(kept)
    }
}

/// Every application, those with a name before the one for all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apps(Vec<App>);

impl Apps {
    /// The operator's applications. Without any, clients may connect to every application, and
    /// `redirect/APP` leads to APP as it does over HTTP.
    #[must_use]
    pub fn new(configured: Vec<App>) -> Self {
        if configured.is_empty() { Self::default() } else { Self(configured) }
    }

    /// The entry for a path, by its first segment.
    pub(super) fn find(&self, path: &str) -> Option<&App> {
        let name = path.split('/').next().unwrap_or_default();
        let named = |name: &str| self.0.iter().find(|app| app.name == name);
        // A client that names "*" means the star, and nothing has that name.
        named(name).or_else(|| named(ANY))
    }
}

impl Default for Apps {
    fn default() -> Self {
        Self(vec![App::named(REDIRECT), App::named(ANY)])
    }
}

/// Whether a path can be an application's: segments of visible ASCII between single slashes, none
/// of them dots, nothing that a reader of URLs could take for an authority, a query or a fragment.
#[must_use]
pub fn is_path(path: &str) -> bool {
    let honest = |segment: &str| !segment.is_empty() && !is_dots(segment);
    is_clean(path) && !path.contains(['?', '@']) && path.split('/').all(honest)
}

/// Whether a query can stand behind an application as it is.
pub(super) fn is_query(query: &str) -> bool {
    is_clean(&format!("?{query}"))
}

fn is_clean(text: &str) -> bool {
    check_target(&format!("/{text}")).is_ok() && !text.contains(NEVER_IN_URLS)
}

/// Readers of URLs take `.` and `..` out, plain or encoded (WHATWG URL, path state).
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_segments_between_single_slashes() {
        for path in
            ["live", "live/_definst_", "vod/smil:a.smil", "a%20b", "mp4:x", "it's", "a..b", "%2f"]
        {
            assert!(is_path(path), "{path:?}");
        }
        for path in [
            "",
            "/",
            "/live",
            "live/",
            "a//b",
            "//evil",
            ".",
            "..",
            "a/../b",
            "a/%2e%2E/b",
            "a b",
            "a\tb",
            "a\\b",
            "a%5cb",
            "a%00b",
            "a\"b",
            "<a>",
            "`a`",
            "a@evil",
            "a#b",
            "a?b",
            "é",
            "rtmp://evil/live",
            "\u{202e}live",
        ] {
            assert!(!is_path(path), "{path:?}");
        }
    }

    #[test]
    fn a_query_may_hold_what_a_path_may_not() {
        for query in ["", "tok=1", "a=b@c&d=//x?y", "u=http://x/../y"] {
            assert!(is_query(query), "{query:?}");
        }
        for query in ["a b", "a\\b", "a%0d%0a", "a#b", "a\"b", "é"] {
            assert!(!is_query(query), "{query:?}");
        }
    }

    #[test]
    fn the_exact_name_goes_before_the_star() {
        let apps = Apps::new(vec![App::named(ANY), App::named("live")]);
        for (path, name) in [("live", "live"), ("live/a", "live"), ("lives", ANY), ("*", ANY)] {
            assert_eq!(apps.find(path).map(|app| app.name.as_str()), Some(name), "{path}");
        }
        assert_eq!(Apps::new(vec![App::named("live")]).find("vod"), None);
    }

    #[test]
    fn what_follows_a_name_is_the_application_on_the_edge() {
        let named = App::named("redirect");
        for (path, expected) in [
            ("redirect/live", "live"),
            ("redirect/live/_definst_", "live/_definst_"),
            ("redirect", "redirect"),
            ("redirect/_definst_", "redirect/_definst_"),
        ] {
            assert_eq!(named.on_the_edge(path), expected);
        }
        assert_eq!(App::named(ANY).on_the_edge("live/room"), "live/room");
        let replaced = App { redirect_app: Some("edge/main".into()), ..App::named(ANY) };
        assert_eq!(replaced.on_the_edge("live/room"), "edge/main");
    }
}
