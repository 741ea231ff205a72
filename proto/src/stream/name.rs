//! Which stream a path or a name means. Edges that report a stream and clients that ask for it name
//! it in different ways; both are read here, so that they meet.
//!
//! A stream is its application, a slash, and the rest of the path less what belongs to the protocol:
//! the file of a playlist or segment below the stream, the extension of one that stands for it,
//! Wowza's default instance, and Wowza's prefixes for kinds of media. Percent-encoding stays as it
//! is, and case matters.

use super::StreamHash;

/// Wowza's name for the instance of an application that has no other.
const DEFAULT_INSTANCE: &str = "_definst_";
/// What Wowza puts before names to say what kind of media they are.
const PREFIXES: [&str; 7] = ["mp4:", "flv:", "mp3:", "id3:", "smil:", "ngrp:", "amlst:"];
/// Extensions that are the protocol's and not the stream's.
const EXTENSIONS: [&str; 9] = ["m3u8", "mpd", "f4m", "flv", "ts", "mp4", "mp3", "smil", "webm"];
/// Files below a stream that are its list of segments, alone or with a number or the like behind.
const LISTS: [&str; 8] =
    ["playlist", "index", "manifest", "master", "chunklist", "media", "main", "prog_index"];
/// Extensions of lists.
const LIST_EXTENSIONS: [&str; 3] = ["m3u8", "mpd", "f4m"];
/// Extensions of segments, which always stand below their stream.
const SEGMENT_EXTENSIONS: [&str; 8] = ["ts", "m4s", "m4v", "m4a", "aac", "cmfv", "cmfa", "vtt"];
/// The last part of paths that are neither.
const VERBS: [&str; 3] = ["whep", "whip", "Manifest"];

impl StreamHash {
    /// The stream of a path, with or without slashes at its ends and a query behind it; of
    /// `/live/cam/playlist.m3u8?t=1`, `/live/cam.m3u8`, `/live/_definst_/cam/manifest.mpd` and
    /// `live/cam` alike it is `live/cam`. `None` where the path names an application alone. Takes
    /// paths of any length and allocates nothing.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
        let (application, rest) = path.split_once('/')?;
        let stream = without_prefix(without_extension(without_file(without_instance(rest))));
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(application.as_bytes());
        let mut is_named = false;
        for part in stream.split('/').filter(|part| !part.is_empty()) {
            hasher.update(b"/");
            hasher.update(part.as_bytes());
            is_named = true;
        }
        is_named.then(|| Self(hasher.finalize()))
    }
}

fn without_instance(rest: &str) -> &str {
    let rest = rest.trim_start_matches('/');
    match rest.strip_prefix(DEFAULT_INSTANCE) {
        Some(stream) if stream.is_empty() || stream.starts_with('/') => {
            stream.trim_start_matches('/')
        }
        _ => rest,
    }
}

fn without_prefix(stream: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| stream.strip_prefix(prefix)).unwrap_or(stream)
}

fn without_file(rest: &str) -> &str {
    match rest.rsplit_once('/') {
        Some((stream, file)) if is_below_a_stream(file) => stream.trim_end_matches('/'),
        _ => rest,
    }
}

fn is_below_a_stream(file: &str) -> bool {
    let Some((stem, extension)) = file.rsplit_once('.') else { return VERBS.contains(&file) };
    let is_list = |list: &str| {
        let rest = stem.strip_prefix(list);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    SEGMENT_EXTENSIONS.contains(&extension)
        || LIST_EXTENSIONS.contains(&extension) && LISTS.iter().any(|list| is_list(list))
}

fn without_extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension))
            if EXTENSIONS.contains(&extension) && !stem.is_empty() && !stem.ends_with('/') =>
        {
            stem
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAME: [(&str, &[&str]); 7] = [
        (
            "live/cam",
            &[
                "/live/cam",
                "//live//cam//",
                "/live/cam/playlist.m3u8",
                "/live/cam/playlist.m3u8?t=1/2",
                "/live/cam#t=1",
                "/live/cam/index.m3u8",
                "/live/cam/master.m3u8",
                "/live/cam/manifest.mpd",
                "/live/cam/manifest_w12.mpd",
                "/live/cam/chunklist_w1.m3u8",
                "/live/cam/index-v1.m3u8",
                "/live/cam/Manifest",
                "/live/cam/media_7.ts",
                "/live/cam/7.m4s",
                "/live/cam.m3u8",
                "/live/cam.flv",
                "/live/cam.mpd",
                "/live/cam/whep",
                "/live/_definst_/cam/playlist.m3u8",
                "live/_definst_/cam",
                "/live/smil:cam.smil/playlist.m3u8",
                "/live/ngrp:cam/playlist.m3u8",
            ],
        ),
        ("vod/movie", &["vod/mp4:movie.mp4", "/vod/_definst_/mp4:movie.mp4/playlist.m3u8"]),
        ("vod/a/movie", &["vod/mp4:a/movie.mp4", "/vod/mp4:a/movie.mp4/manifest.mpd"]),
        ("live/cam.stream", &["/live/cam.stream/playlist.m3u8"]),
        ("live/a%20b", &["/live/a%20b/playlist.m3u8"]),
        ("live/sports/maincam", &["/live/sports/maincam.m3u8"]),
        ("live/_definst_x", &["/live/_definst_x/playlist.m3u8"]),
    ];

    #[test]
    fn one_stream_has_many_paths() {
        for (name, paths) in SAME {
            let expected = Some(StreamHash(crc32fast::hash(name.as_bytes())));
            assert_eq!(StreamHash::of_path(name), expected, "{name}");
            for path in paths {
                assert_eq!(StreamHash::of_path(path), expected, "{path} is {name}");
                assert_eq!(Some(StreamHash::of(path)), expected, "{path} is {name}");
            }
        }
    }

    #[test]
    fn an_application_alone_is_no_stream() {
        for path in ["", "/", "//", "live", "/live/", "/live?a/b", "live/_definst_", "?", "/?/a"] {
            assert_eq!(StreamHash::of_path(path), None, "{path}");
        }
    }

    #[test]
    fn streams_that_differ_are_told_apart() {
        let paths = [
            "/live/cam",
            "/live/Cam",
            "/vod/cam",
            "/live/a/cam",
            "/live/cam.stream",
            "/live/playlist.m3u8",
            "/live/a b",
            "/live/a%20b",
            "/live/.m3u8",
            "/live/a",
            "/live/a/.flv",
        ];
        let hashes: std::collections::BTreeSet<_> =
            paths.iter().map(|path| StreamHash::of_path(path)).collect();
        assert_eq!(hashes.len(), paths.len());
        assert!(!hashes.contains(&None));
        let long = |n| format!("/live/{}/playlist.m3u8", "x".repeat(n));
        assert_eq!(
            StreamHash::of_path(&long(4_096)),
            StreamHash::of_path(&format!("live/{}", "x".repeat(4_096)))
        );
        assert_ne!(StreamHash::of_path(&long(4_096)), StreamHash::of_path(&long(4_095)));
    }

    proptest! {
        #[test]
        fn slashes_at_the_ends_and_queries_do_not_matter(
            path in "[a-z:._%/é-]{0,40}",
            query in "\\PC{0,20}",
        ) {
            let stream = StreamHash::of_path(&path);
            prop_assert_eq!(StreamHash::of_path(&format!("/{path}")), stream);
            prop_assert_eq!(StreamHash::of_path(&format!("{path}/")), stream);
            prop_assert_eq!(StreamHash::of_path(&format!("//{path}//?{query}")), stream);
        }

        #[test]
        fn any_text_has_an_answer(path in "\\PC{0,80}") {
            let _ = StreamHash::of_path(&path);
            let _ = StreamHash::of(&path);
        }
    }
}
