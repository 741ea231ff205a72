//! The application a client asks for, out of the two places where it may say so.

use tidegate_proto::edge::Scheme;

use super::ConnectQuestion;
use crate::answer::apps;

/// What the client asks for: a path that can be an application's, and a query that can follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    /// Whether the query came with the application's name, and not with the URL alone.
    pub(super) query_in_app: bool,
    /// The URL's scheme, if it is one we know.
    pub(super) scheme: Option<Scheme>,
}

/// Why nothing can be made of what the client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    Absent,
    Invalid,
}

impl<'a> Asked<'a> {
    /// librtmp puts all of `redirect/live?token=x` into `app`; others leave it to the URL.
    pub(super) fn of(question: &ConnectQuestion<'a>) -> Result<Self, Unusable> {
        let (scheme, target) = split_url(question.tc_url);
        let (app_path, app_query) = split_query(question.app);
        let (url_path, url_query) = split_query(target);
        let path = Some(bare(app_path)).filter(|path| !path.is_empty()).unwrap_or(bare(url_path));
        let query = app_query.or(url_query);
        if path.is_empty() {
            return Err(Unusable::Absent);
        }
        if !apps::is_path(path) || !query.is_none_or(apps::is_query) {
            return Err(Unusable::Invalid);
        }
        Ok(Self { path, query, query_in_app: app_query.is_some(), scheme })
    }

    /// Whether the query asks for a redirect where `connect` alone is none.
    pub(super) fn insists(&self) -> bool {
        let pairs = self.query.into_iter().flat_map(|query| query.split('&'));
        pairs.into_iter().any(|pair| matches!(pair, "redirect=true" | "redirect=1"))
    }
}

/// The scheme of a URL and what follows its authority.
fn split_url(url: &str) -> (Option<Scheme>, &str) {
    let Some((scheme, rest)) = url.split_once("://") else { return (None, "") };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    (scheme.parse().ok(), &rest[end..])
}

/// A path and the query behind it; an empty query is none.
fn split_query(text: &str) -> (&str, Option<&str>) {
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query).filter(|query| !query.is_empty())),
        None => (text, None),
    }
}

/// A path without the slash that some clients put before it, and without those at its end.
fn bare(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn asked<'a>(app: &'a str, tc_url: &'a str) -> Result<Asked<'a>, Unusable> {
        let client = IpAddr::from([192, 0, 2, 1]);
        Asked::of(&ConnectQuestion {
            app,
            tc_url,
            reconnects: false,
            client,
            scheme: Scheme::Rtmp,
            port: 1935,
        })
    }

    #[test]
    fn the_application_stands_in_either_place() {
        for (app, tc_url, path, query) in [
            ("live", "rtmp://lb/live", "live", None),
            ("redirect/live", "rtmp://lb:1935/redirect/live", "redirect/live", None),
            ("live?tok=1", "rtmp://lb/live?tok=1", "live", Some("tok=1")),
            ("live?tok=1", "rtmp://lb/live", "live", Some("tok=1")),
            ("live", "rtmp://lb/live?tok=1", "live", Some("tok=1")),
            ("live?tok=1", "rtmp://lb/live?tok=2", "live", Some("tok=1")),
            ("live?", "rtmp://lb/live?tok=2", "live", Some("tok=2")),
            ("", "rtmp://lb/live/_definst_?a?b", "live/_definst_", Some("a?b")),
            ("", "RTMPS://[::1]:443/live/", "live", None),
            ("/live/", "", "live", None),
            ("live//", "not a url", "live", None),
        ] {
            let found = asked(app, tc_url).expect("an application");
            assert_eq!((found.path, found.query), (path, query), "{app:?} {tc_url:?}");
        }
    }

    #[test]
    fn what_is_no_application_is_told_from_none() {
        for (app, tc_url) in [
            ("", ""),
            ("/", "rtmp://lb"),
            ("?tok=1", "rtmp://lb/?tok=1"),
            ("", "rtmp://lb?live"),
            ("", "live"),
        ] {
            assert_eq!(asked(app, tc_url), Err(Unusable::Absent), "{app:?} {tc_url:?}");
        }
        for (app, tc_url) in [
            ("//evil.com/live", ""),
            ("rtmp://evil.com/live", ""),
            ("", "rtmp://lb//evil.com/live"),
            ("", "rtmp://lb/live#x"),
            ("live?a b", ""),
            ("live", "rtmp://lb/live?a\\b"),
        ] {
            assert_eq!(asked(app, tc_url), Err(Unusable::Invalid), "{app:?} {tc_url:?}");
        }
    }

    #[test]
    fn only_the_whole_pair_insists_on_a_redirect() {
        for (app, insists) in [
            ("live?redirect=true", true),
            ("live?a=b&redirect=1", true),
            ("live", false),
            ("live?redirect=false", false),
            ("live?redirect=10", false),
            ("live?noredirect=1", false),
        ] {
            assert_eq!(asked(app, "").expect("an application").insists(), insists, "{app}");
        }
    }
}
