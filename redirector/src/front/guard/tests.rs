use proptest::prelude::*;
use url::Url;

use super::*;

#[test]
fn targets_that_could_lead_elsewhere_are_refused() {
    use HttpReject::{Backslash, ControlCharacter, DoubleSlash, NotAscii, TargetForm};
    for (target, reject) in [
        ("", TargetForm),
        ("*", TargetForm),
        ("evil.com", TargetForm),
        ("http://evil.com/", TargetForm),
        ("//evil.com", DoubleSlash),
        ("///evil.com", DoubleSlash),
        ("//", DoubleSlash),
        ("/.//evil.com", DoubleSlash),
        ("/..//evil.com", DoubleSlash),
        ("/%2e//evil.com", DoubleSlash),
        ("/a/..//evil.com", DoubleSlash),
        ("/a/b/.%2E/../%2e//evil.com", DoubleSlash),
        ("//a/../..//evil.com", DoubleSlash),
        ("//../evil.com", DoubleSlash),
        ("//..", DoubleSlash),
        ("/..//a/C:/../../..", DoubleSlash),
        ("/\\evil.com", Backslash),
        ("/%5cevil.com", Backslash),
        ("/a?b=%5C", Backslash),
        ("/a%0d%0aLocation:x", ControlCharacter),
        ("/a?b=%00", ControlCharacter),
        ("/%7f", ControlCharacter),
        ("/a\tb", ControlCharacter),
        ("/a b", ControlCharacter),
        ("/é", NotAscii),
    ] {
        assert_eq!(check_target(target), Err(reject), "{target:?}");
    }
}

#[test]
fn ordinary_targets_pass() {
    for target in [
        "/",
        "/?",
        "/live/stream1/playlist.m3u8?token=a%2Fb%3D%3D&x=//y",
        "/a//b",
        "/a/../b",
        "/..",
        "/%2f/x",
        "/%e2%82%ac",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%+1",
        "/a?b?c#",
        "/a@b:80/c",
    ] {
        assert_eq!(check_target(target), Ok(()), "{target:?}");
    }
}

#[test]
fn a_host_is_a_host_and_perhaps_a_port() {
    for host in ["a", "a.example.com", "10.0.0.1:80", "[::1]", "[::1]:1935", "a:", "a_b:65535"] {
        assert!(is_host(host.as_bytes()), "{host:?}");
    }
    for host in [
        "",
        ":80",
        "a@evil.com",
        "a:b@evil.com",
        "a/b",
        "a\\b",
        "a b",
        "a,b",
        "a:65536",
        "a:+80",
        "a:80:80",
        "[::1",
        "[::1]x",
        "[::1]:x",
        "[a]",
        "::1",
        "é",
        "a?b",
        "a#b",
    ] {
        assert!(!is_host(host.as_bytes()), "{host:?}");
    }
}

#[test]
fn a_transfer_encoding_is_chunked_alone_and_where_a_body_belongs() {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE];
    let judge = |method: &Method, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri("/a").header(HOST, "a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).expect("a request"), &methods).map(drop)
    };
    for method in &methods {
        let has_body = method == Method::POST || method == Method::PATCH;
        let expected = if has_body { Ok(()) } else { Err(HttpReject::TransferEncoding) };
        assert_eq!(judge(method, &[("transfer-encoding", "chunked")]), expected, "{method}");
        assert_eq!(judge(method, &[("content-length", "5")]), Ok(()), "{method}");
        for headers in [
            &[("transfer-encoding", "identity")][..],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "Chunked")],
            &[("transfer-encoding", "")],
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            &[("transfer-encoding", "chunked"), ("content-length", "5")],
        ] {
            let refused = Err(HttpReject::TransferEncoding);
            assert_eq!(judge(method, headers), refused, "{method} {headers:?}");
        }
    }
}

/// Targets made of what matters to the rules, so that many come near them.
fn targets() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", ".", "..", "%2e", "%2E", "%2f", "a", "?", "@", ":", "evil.com", "%", "5c", "\\",
        ";", "#", "%09", "\t", "é",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn what_passes_stays_on_the_edge_with_one_slash(target in targets()) {
        let url = Url::parse(&format!("http://edge:80{target}")).expect("a URL");
        let holds = url.host_str() == Some("edge")
            && url.path().starts_with('/')
            && !url.path().starts_with("//");
        if check_target(&target).is_ok() {
            prop_assert!(holds, "{target:?} passed and leads to {url}");
        }
    }

    #[test]
    fn two_slashes_are_found_where_browsers_find_them(target in targets()) {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        prop_assume!(path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'));
        // A client may stop anywhere, so any beginning of the path counts.
        let found = (1..=path.len()).any(|end| {
            let url = Url::parse(&format!("http://edge:80{}", &path[..end])).expect("a URL");
            url.path().starts_with("//")
        });
        prop_assert_eq!(begins_with_two_slashes(path), found, "{}", path);
    }

    #[test]
    fn any_bytes_are_judged_without_panic(target in ".*", host in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = check_target(&target);
        let _ = is_host(&host);
    }
}
