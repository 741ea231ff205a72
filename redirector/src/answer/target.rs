//! Path and query on the edge: those the client asks for, or the playlist it means.
//!
//! Wowza's balancer since 4.0 has players ask for `/redirect/APP/STREAM?type=m3u8` and sends them
//! to `/APP/STREAM/playlist.m3u8`.

use std::borrow::Cow;

use crate::front::guard::{HttpReject, check_target};

/// What follows the edge's origin for a client that asks for `target`, which has passed the guard.
/// Everything but a form that is translated stays byte for byte.
///
/// # Errors
/// What is wrong with a translated target, which has to pass the guard by itself.
pub fn on_the_edge(target: &str) -> Result<Cow<'_, str>, HttpReject> {
    let Some(translated) = translate(target) else { return Ok(Cow::Borrowed(target)) };
    check_target(&translated)?;
    Ok(Cow::Owned(translated))
}

/// `None` where the target is no such form: another path, no stream, no type or one not known.
fn translate(target: &str) -> Option<String> {
    let (path, query) = target.split_once('?')?;
    let stream = path.strip_prefix("/redirect").filter(|stream| has_stream(stream))?;
    let is_type = |pair: &&str| pair.starts_with("type=");
    let file = match query.split('&').find(is_type)? {
        "type=m3u8" => "playlist.m3u8",
        "type=mpd" => "manifest.mpd",
        _ => return None,
    };
    let others: Vec<_> = query.split('&').filter(|pair| !is_type(pair)).collect();
    let mark = if others.is_empty() { "" } else { "?" };
    Some(format!("{stream}/{file}{mark}{}", others.join("&")))
}

/// Whether a path is an application and a stream below it.
fn has_stream(path: &str) -> bool {
    let below = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    below.is_some_and(|(_, stream)| !stream.is_empty() && !stream.ends_with('/'))
}

/// What a playlist is, by its path: some players look at a redirect's type before they follow it
/// (RFC 8216 section 4, ISO/IEC 23009-1 annex C).
pub(super) fn playlist_type(target: &str) -> Option<&'static str> {
    let path = target.split('?').next().unwrap_or_default();
    if path.ends_with(".m3u8") {
        return Some("application/vnd.apple.mpegurl");
    }
    path.ends_with(".mpd").then_some("application/dash+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_with_a_type_is_its_playlist() {
        for (target, expected) in [
            ("/redirect/live/a?type=m3u8", "/live/a/playlist.m3u8"),
            ("/redirect/live/a?type=mpd", "/live/a/manifest.mpd"),
            ("/redirect/live/a?type=m3u8&tok=%2F", "/live/a/playlist.m3u8?tok=%2F"),
            ("/redirect/live/a?b=1&type=m3u8&c&&d=", "/live/a/playlist.m3u8?b=1&c&&d="),
            ("/redirect/live/a?type=m3u8&type=mpd", "/live/a/playlist.m3u8"),
            (
                "/redirect/video/_definst_/smil:smil/video/1.smil?type=m3u8",
                "/video/_definst_/smil:smil/video/1.smil/playlist.m3u8",
            ),
            ("/redirect/a/b//c%20d?type=m3u8", "/a/b//c%20d/playlist.m3u8"),
        ] {
            assert_eq!(on_the_edge(target).as_deref(), Ok(expected), "{target}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for target in [
            "/redirect/live/a",
            "/redirect/live/a?tok=1",
            "/redirect/live/a?type=",
            "/redirect/live/a?type=smil",
            "/redirect/live/a?type=smil&type=m3u8",
            "/redirect/live/a?TYPE=m3u8",
            "/redirect/live/a?xtype=m3u8",
            "/redirect/live/a/?type=m3u8",
            "/redirect/live?type=m3u8",
            "/redirect/live/?type=m3u8",
            "/redirect/?type=m3u8",
            "/redirect?type=m3u8",
            "/redirected/live/a?type=m3u8",
            "/live/a?type=m3u8",
            "/x/redirect/live/a?type=m3u8",
        ] {
            assert_eq!(on_the_edge(target).as_deref(), Ok(target), "{target}");
        }
    }

    #[test]
    fn a_path_that_cannot_stand_by_itself_is_refused() {
        for target in [
            "/redirect//evil.com/x?type=m3u8",
            "/redirect///evil.com?type=m3u8",
            "/redirect/.//evil.com?type=m3u8",
            "/redirect/%2e//evil.com/x?type=mpd",
            "/redirect/a/..//evil.com?type=m3u8",
        ] {
            assert_eq!(check_target(target), Ok(()), "the guard lets it pass: {target}");
            assert_eq!(on_the_edge(target), Err(HttpReject::DoubleSlash), "{target}");
        }
    }
}
