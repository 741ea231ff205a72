//! Which stream a client asks for, by its path.

use tidegate_proto::stream::StreamHash;

/// The stream of a path, with or without a slash at its beginning and a query at its end: of
/// `/live/cam/playlist.m3u8?t=1`, `/live/cam.m3u8`, `/live/_definst_/cam/manifest.mpd`, and
/// `live/cam` alike it is `live/cam`. `None` where the path names an application alone.
#[must_use]
pub fn stream_of(path: &str) -> Option<StreamHash> {
    let path = path.split('?').next().unwrap_or_default().trim_matches('/');
    path.contains('/').then(|| StreamHash::of(path))
}
