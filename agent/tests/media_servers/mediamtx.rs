//! MediaMTX.

use std::time::Duration;

use tidegate_agent::source::{Ask, Kind, Login, Source};

use crate::{
    kept, opened,
    server::{Answer, Asked, Server},
};

fn source(url: String) -> Box<dyn Source> {
    opened(Kind::MediaMtx(Ask { url, login: None }))
}

fn answer(asked: &Asked, paths: &str) -> Answer {
    match asked.path.split('?').next().unwrap_or_default() {
        "/v3/info" => (200, kept("mediamtx/info.json")),
        "/v3/paths/list" => (200, kept(paths)),
        "/v3/hlsmuxers/list" => (200, kept("mediamtx/hlsmuxers.json")),
        _ => (404, r#"{"status":"error","error":"not found"}"#.to_owned()),
    }
}

/// What goes wrong where one page is another.
fn wrong(page: &'static str, text: &'static str) -> (String, String) {
    let server = Server::new(move |asked| {
        if asked.path.starts_with(page) {
            return (200, text.to_owned());
        }
        answer(asked, "mediamtx/paths-hls-muxer.json")
    });
    let trouble = source(server.url()).measure().expect_err("wrong");
    (trouble.code, trouble.text)
}

#[test]
fn readers_are_viewers_and_what_the_server_reads_itself_is_not() {
    let server = Server::new(|asked| answer(asked, "mediamtx/paths-hls-session.json"));
    let measured = source(server.url()).measure().expect("all is well");
    assert_eq!((measured.load.viewers, measured.load.publishers), (Some(3 + 1), Some(1)));
    let streams = [("live/later", 1), ("live/pulled", 0), ("live/test", 3)];
    assert_eq!(measured.streams, Some(streams.map(|(n, v)| (n.to_owned(), v)).into()));
    assert_eq!(measured.server.version.as_deref(), Some("MediaMTX/v1.21.1"));
    assert!(server.asked().iter().all(|asked| !asked.path.contains("hlsmuxers")));
    let unknown = (measured.load.cpu_utilization, measured.load.memory_utilization);
    assert_eq!(unknown, (None, None));
}

#[test]
fn an_old_server_without_word_of_itself_is_read_all_the_same() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/v3/info" => (404, String::new()),
        _ => answer(asked, "mediamtx/paths-hls-muxer.json"),
    });
    let measured = source(server.url()).measure().expect("all is well");
    // The muxer was asked last at a time that is long ago by the clock of any machine.
    assert_eq!((measured.load.viewers, measured.load.publishers), (Some(2), Some(1)));
    assert_eq!(measured.server.version, None);
}

#[test]
fn viewers_are_unknown_while_somebody_fetches_hls_from_a_server_that_does_not_count_them() {
    let server = Server::new(|asked| {
        let (status, text) = answer(asked, "mediamtx/paths-hls-muxer.json");
        // No clock of a test machine has come so far.
        (status, text.replace("2025-12-01T10:20:00Z", "2999-12-01T10:20:00Z"))
    });
    let measured = source(server.url()).measure().expect("all is well");
    assert_eq!(measured.load.viewers, None);
    let streams = [("mystream", 1), ("test1", 1)];
    assert_eq!(measured.streams, Some(streams.map(|(n, v)| (n.to_owned(), v)).into()));
}

/// One page of paths, two readers each.
fn page_of_paths(asked: &Asked, pages: u64) -> String {
    let (_, page) = asked.path.split_once("&page=").expect("asked for a page");
    let page: u64 = page.parse().expect("a number");
    let readers = r#"[{"type":"rtmpConn","id":"a"},{"type":"srtConn","id":"b"}]"#;
    let items: Vec<_> = (0..200)
        .map(|n| format!(r#"{{"name":"p{page}-{n}","ready":true,"readers":{readers}}}"#))
        .collect();
    format!(r#"{{"itemCount":1,"pageCount":{pages},"items":[{}]}}"#, items.join(","))
}

#[test]
fn every_page_of_thousands_of_paths_is_read_and_pages_without_end_are_trouble() {
    let paged = |pages: u64| {
        Server::new(move |asked| match asked.path.starts_with("/v3/paths/list") {
            true => (200, page_of_paths(asked, pages)),
            false => answer(asked, ""),
        })
    };
    let server = paged(15);
    let measured = source(server.url()).measure().expect("all is well");
    assert_eq!(measured.load.viewers, Some(15 * 200 * 2));
    assert_eq!(measured.streams.map(|streams| streams.len()), Some(3_000));
    let endless = paged(u64::MAX);
    let trouble = source(endless.url()).measure().expect_err("no end");
    assert_eq!(trouble.code, "source_unreadable");
    assert!(trouble.text.contains("no end"), "{}", trouble.text);
}

#[test]
fn what_is_no_figure_is_trouble_that_names_it_and_never_zero() {
    const PATHS: &str = "/v3/paths/list";
    for (page, text, code, named) in [
        (PATHS, r#"{"items":[{"name":"a","bytesSent":-5}]}"#, "source_absurd", "bytesSent is -5"),
        (PATHS, r#"{"items":[{"name":"a","bytesSent":"5"}]}"#, "source_absurd", "bytesSent"),
        (PATHS, r#"{"items":[{"name":"a","ready":1}]}"#, "source_absurd", "ready is 1"),
        (PATHS, r#"{"items":[{"name":"a","readers":5}]}"#, "source_absurd", "readers is 5"),
        (PATHS, r#"{"items":[{"name":"a","readers":[{}]}]}"#, "source_unreadable", "no type"),
        (PATHS, r#"{"items":[{"ready":true}]}"#, "source_unreadable", "no name"),
        (PATHS, r#"{"pageCount":1}"#, "source_unreadable", "no items"),
        (PATHS, r#"{"pageCount":"x","items":[]}"#, "source_absurd", "pageCount"),
        (PATHS, r#"{"items":[{"name":"#, "source_unreadable", "EOF"),
        (PATHS, "", "source_unreadable", "EOF"),
        ("/v3/info", "{}", "source_unreadable", "no version"),
        ("/v3/hlsmuxers/list", r#"{"items":[{}]}"#, "source_unreadable", "no path"),
    ] {
        let (got, told) = wrong(page, text);
        assert_eq!(got, code, "{page} {text}: {told}");
        assert!(told.contains(named), "{told:?} names no {named:?}");
        assert!(told.contains(page), "{told:?} names no {page:?}");
    }
}

#[test]
fn the_metrics_page_is_read_where_the_url_names_it() {
    for (page, viewers, publishers, streams) in [
        ("mediamtx/metrics-hls-session.txt", Some(3), 2, vec![("mypath", 3)]),
        ("mediamtx/metrics-hls-muxer.txt", None, 1, vec![("mypath", 0)]),
        ("mediamtx/metrics-empty.txt", Some(0), 0, vec![]),
    ] {
        let server = Server::new(move |_| (200, kept(page)));
        let measured = source(format!("{}/metrics", server.url())).measure().expect("all is well");
        assert_eq!(measured.load.viewers, viewers, "{page}");
        assert_eq!(measured.load.publishers, Some(publishers), "{page}");
        let streams = streams.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(measured.streams, Some(streams), "{page}");
        let asked: Vec<_> = server.asked().into_iter().map(|asked| asked.path).collect();
        assert_eq!(asked, ["/metrics"], "{page}");
    }
}

#[test]
fn a_metrics_page_with_odd_figures_or_of_another_program_is_trouble() {
    for (page, code) in [
        ("go_goroutines 12\n", "source_unreadable"),
        ("paths{name=\"a\"", "source_unreadable"),
        ("paths{name=\"a\",state=\"ready\"} 1\npaths_readers{name=\"a\"} -1\n", "source_absurd"),
        ("paths{name=\"a\",state=\"ready\"} 1\npaths_readers{name=\"a\"} NaN\n", "source_absurd"),
        ("paths{name=\"a\",state=\"ready\"} 1\npaths_readers{name=\"a\"} 1e30\n", "source_absurd"),
        (
            "paths{name=\"a\",state=\"ready\"} 1\npaths_bytes_sent{name=\"a\"} 0.5\n",
            "source_absurd",
        ),
    ] {
        let server = Server::new(move |_| (200, page.to_owned()));
        let trouble = source(format!("{}/metrics", server.url())).measure().expect_err("odd");
        assert_eq!(trouble.code, code, "{page}");
    }
}

#[test]
fn the_login_is_sent_and_its_lack_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let password_file = folder.path().join("password");
    write_secret(&password_file, "secret\n");
    let server = Server::new(|asked| match asked.authorization {
        // What base64 makes of `tidegate:secret`.
        Some(ref word) if word == "Basic dGlkZWdhdGU6c2VjcmV0" => {
            answer(asked, "mediamtx/paths-hls-session.json")
        }
        _ => (401, r#"{"status":"error","error":"authentication error"}"#.to_owned()),
    });
    let trouble = source(server.url()).measure().expect_err("no login");
    assert_eq!(trouble.code, "source_refused");
    assert!(trouble.text.contains("source.user"), "{}", trouble.text);
    let login = Some(Login { user: "tidegate".to_owned(), password_file });
    let mut known = opened(Kind::MediaMtx(Ask { url: server.url(), login }));
    assert_eq!(known.measure().expect("all is well").load.viewers, Some(4));
}

fn write_secret(path: &std::path::Path, text: &str) {
    use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt};
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("created");
    file.write_all(text.as_bytes()).expect("written");
}

#[test]
fn uptime_is_the_time_since_the_start() {
    let started = std::time::SystemTime::now() - Duration::from_secs(120);
    let since_1970 = started.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let (days, seconds) = (since_1970 / 86_400, since_1970 % 86_400);
    let date = date_of(days);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let info = format!(
        r#"{{"version":"v1.21.1","started":"{date}T{hour:02}:{minute:02}:{second:02}.5Z"}}"#
    );
    let server = Server::new(move |asked| match asked.path.as_str() {
        "/v3/info" => (200, info.clone()),
        _ => answer(asked, "mediamtx/paths-hls-session.json"),
    });
    let uptime = source(server.url()).measure().expect("all is well").server.uptime;
    let uptime = uptime.expect("it says when it started").as_secs();
    assert!((119..180).contains(&uptime), "{uptime} s");
}

/// The date so many days after 1970 began, by going through the years and months.
fn date_of(mut days: u64) -> String {
    // No century between 1970 and 2100 is without its leap day.
    let leap = |year: u64| year.is_multiple_of(4);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}
