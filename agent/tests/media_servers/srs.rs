//! SRS.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidegate_agent::source::{Ask, Kind, Source};

use crate::{
    kept, opened,
    server::{Answer, Asked, Server},
};

fn source(server: &Server) -> Box<dyn Source> {
    opened(Kind::Srs(Ask { url: server.url(), login: None }))
}

/// A server that has these streams and clients in one page each.
fn served(streams: &'static str, clients: &'static str) -> Server {
    Server::new(move |asked| one_page(asked, streams, clients))
}

fn one_page(asked: &Asked, streams: &str, clients: &str) -> Answer {
    let page = asked.path.split('?').next().unwrap_or_default();
    let text = match page {
        "/api/v1/summaries" => kept("srs/summaries.json"),
        "/api/v1/vhosts" => kept("srs/vhosts.json"),
        "/api/v1/streams" => kept(streams),
        "/api/v1/clients" => kept(clients),
        _ => return (404, "Not Found".to_owned()),
    };
    (200, text)
}

/// What goes wrong where one page is another.
fn wrong(page: &'static str, text: &'static str) -> (String, String) {
    let server = Server::new(move |asked| {
        if asked.path.starts_with(page) {
            return (200, text.to_owned());
        }
        one_page(asked, "srs/streams.json", "srs/clients.json")
    });
    let trouble = source(&server).measure().expect_err("wrong");
    (trouble.code, trouble.text)
}

#[test]
fn players_are_viewers_and_publishers_are_not() {
    let server = served("srs/streams.json", "srs/clients.json");
    let measured = source(&server).measure().expect("all is well");
    assert_eq!(measured.load.viewers, Some(3 + 7 + 1));
    assert_eq!(measured.load.publishers, Some(1));
    assert_eq!(measured.load.cpu_utilization, Some(0.25));
    assert_eq!(measured.load.memory_utilization, Some(0.18));
    assert_eq!(measured.load.bandwidth_out_bps, None, "one reading tells no rate");
    let streams = [("live/published", 3), ("live/pulled", 7), ("live/waited-for", 1)];
    assert_eq!(measured.streams, Some(streams.map(|(n, v)| (n.to_owned(), v)).into()));
    assert_eq!(measured.server.version.as_deref(), Some("SRS/6.0.134"));
    assert_eq!(measured.server.uptime, Some(Duration::from_secs(3_540)));
}

#[test]
fn an_old_server_numbers_what_a_new_one_names() {
    let server = served("srs/streams-v3.json", "srs/clients-v3.json");
    let measured = source(&server).measure().expect("all is well");
    assert_eq!((measured.load.viewers, measured.load.publishers), (Some(2), Some(1)));
    let server = served("srs/streams-idle.json", "srs/clients.json");
    let measured = source(&server).measure().expect("all is well");
    assert_eq!((measured.load.viewers, measured.load.publishers), (Some(1), Some(0)));
}

#[test]
fn clients_are_asked_for_only_where_a_publisher_is_new() {
    let server = served("srs/streams.json", "srs/clients.json");
    let mut source = source(&server);
    let clients = |server: &Server| {
        server.asked().iter().filter(|asked| asked.path.starts_with("/api/v1/clients")).count()
    };
    let first = source.measure().expect("all is well");
    assert_eq!(clients(&server), 1);
    assert_eq!(source.measure().expect("all is well").load.viewers, first.load.viewers);
    assert_eq!(clients(&server), 0);
}

/// Streams from `start` on, at most `count` and at most `most` of them.
fn page_of_streams(asked: &Asked, streams: usize, most: usize) -> String {
    let figure = |key: &str| -> usize {
        let (_, rest) = asked.path.split_once(key).expect("asked for a page");
        rest.split('&').next().and_then(|figure| figure.parse().ok()).expect("a number")
    };
    let (start, count) = (figure("start="), figure("count=").min(most));
    let page: Vec<_> = (start..streams.min(start + count))
        .map(|n| {
            format!(r#"{{"id":"vid-{n}","name":"s{n}","app":"live","clients":2,"publish":{{"active":false}}}}"#)
        })
        .collect();
    format!(r#"{{"code":0,"streams":[{}]}}"#, page.join(","))
}

#[test]
fn every_page_of_thousands_of_streams_is_read() {
    for most in [usize::MAX, 100] {
        let server = Server::new(move |asked| {
            if asked.path.starts_with("/api/v1/streams") {
                return (200, page_of_streams(asked, 3_007, most));
            }
            one_page(asked, "srs/streams.json", "srs/clients.json")
        });
        let measured = source(&server).measure().expect("all is well");
        assert_eq!(measured.load.viewers, Some(6_014), "pages of {most}");
        assert_eq!(measured.streams.map(|streams| streams.len()), Some(3_007));
    }
}

#[test]
fn a_server_that_knows_no_pages_counts_once_and_a_list_without_end_is_trouble() {
    let whole: &'static str = Box::leak(
        page_of_streams(
            &Asked { path: "?start=0&count=50".to_owned(), authorization: None },
            50,
            50,
        )
        .into_boxed_str(),
    );
    let server = Server::new(move |asked| {
        if asked.path.starts_with("/api/v1/streams") {
            return (200, whole.to_owned());
        }
        one_page(asked, "srs/streams.json", "srs/clients.json")
    });
    assert_eq!(source(&server).measure().expect("all is well").load.viewers, Some(100));

    let endless = Server::new(move |asked| {
        if asked.path.starts_with("/api/v1/streams") {
            return (200, page_of_streams(asked, usize::MAX, 10));
        }
        one_page(asked, "srs/streams.json", "srs/clients.json")
    });
    let trouble = source(&endless).measure().expect_err("no end");
    assert_eq!(trouble.code, "source_unreadable");
    assert!(trouble.text.contains("no end"), "{}", trouble.text);
}

#[test]
fn bytes_that_are_counted_every_three_seconds_give_no_pause_and_no_leap() {
    let (sample, bytes) = (Arc::new(AtomicU64::new(1_000_000)), Arc::new(AtomicU64::new(500)));
    let server = {
        let (sample, bytes) = (sample.clone(), bytes.clone());
        Server::new(move |asked| {
            let (status, text) = one_page(asked, "srs/streams.json", "srs/clients.json");
            let (sample, bytes) = (sample.load(Ordering::SeqCst), bytes.load(Ordering::SeqCst));
            let text = text
                .replace(
                    r#""srs_sample_time":1720428680003"#,
                    &format!(r#""srs_sample_time":{sample}"#),
                )
                .replace(r#""srs_send_bytes":87975000"#, &format!(r#""srs_send_bytes":{bytes}"#));
            (status, text)
        })
    };
    let mut source = source(&server);
    let mut rate = || source.measure().expect("all is well").load.bandwidth_out_bps;
    assert_eq!(rate(), None);
    sample.store(1_003_000, Ordering::SeqCst);
    bytes.store(3_500, Ordering::SeqCst);
    assert_eq!(rate(), Some(8_000), "3000 bytes in 3 s of the server's clock");
    assert_eq!(rate(), Some(8_000), "nothing was counted since");
    sample.store(900_000, Ordering::SeqCst);
    assert_eq!(rate(), None, "its clock was set back");
    sample.store(903_000, Ordering::SeqCst);
    bytes.store(9_500, Ordering::SeqCst);
    assert_eq!(rate(), Some(16_000));
}

/// Readings of a server with players whose clock goes on while no byte moves.
fn still(vhosts: &'static str) -> Vec<Result<(), String>> {
    let uptime = AtomicU64::new(3_540);
    let server = Server::new(move |asked| {
        if asked.path.starts_with("/api/v1/vhosts") {
            return (200, vhosts.to_owned());
        }
        let (status, text) = one_page(asked, "srs/streams.json", "srs/clients.json");
        if !asked.path.starts_with("/api/v1/summaries") {
            return (status, text);
        }
        let uptime = uptime.fetch_add(3, Ordering::SeqCst);
        (status, text.replace(r#""srs_uptime":3540"#, &format!(r#""srs_uptime":{uptime}"#)))
    });
    let mut source = source(&server);
    (0..4).map(|_| source.measure().map(|_| ()).map_err(|trouble| trouble.code)).collect()
}

#[test]
fn bytes_that_stand_still_are_frozen_unless_players_fetch_hls() {
    let frozen = Err("source_frozen".to_owned());
    let plain = still(r#"{"code":0,"vhosts":[{"id":"v","hls":{"enabled":false}}]}"#);
    assert_eq!(plain, [Ok(()), Ok(()), frozen.clone(), frozen]);
    let hls = still(r#"{"code":0,"vhosts":[{"id":"v","hls":{"enabled":true,"fragment":10}}]}"#);
    assert_eq!(hls, [const { Ok(()) }; 4]);
}

#[test]
fn a_code_that_is_not_zero_is_trouble() {
    let (code, text) = wrong("/api/v1/streams", r#"{"code":100}"#);
    assert_eq!(code, "source_unreadable");
    assert!(text.ends_with("SRS answered with its error code 100"), "{text}");
    assert_eq!(kept("srs/error.json").trim(), r#"{"code":100}"#);
}

#[test]
fn what_is_no_figure_is_trouble_that_names_it_and_never_zero() {
    const STREAM: &str = r#""id":"a","name":"s","app":"live""#;
    let stream = |rest: &str| -> &'static str {
        Box::leak(format!(r#"{{"code":0,"streams":[{{{STREAM},{rest}}}]}}"#).into_boxed_str())
    };
    for (page, text, code, named) in [
        ("/api/v1/streams", stream(r#""clients":-1"#), "source_absurd", "clients is -1"),
        ("/api/v1/streams", stream(r#""clients":"3""#), "source_absurd", "clients is \"3\""),
        ("/api/v1/streams", stream(r#""clients":1.5"#), "source_absurd", "clients is 1.5"),
        (
            "/api/v1/streams",
            stream(r#""clients":99999999999999"#),
            "source_absurd",
            "clients is 9999",
        ),
        ("/api/v1/streams", stream(r#""clients":NaN"#), "source_unreadable", "/api/v1/streams"),
        ("/api/v1/streams", stream(r#""publish":{"active":"yes"}"#), "source_absurd", "active"),
        ("/api/v1/streams", r#"{"code":0,"streams":{}}"#, "source_absurd", "streams is {}"),
        ("/api/v1/streams", r#"{"code":0}"#, "source_unreadable", "no streams"),
        ("/api/v1/streams", r#"{"code":0,"streams":[{"name":"#, "source_unreadable", "EOF"),
        ("/api/v1/streams", r#"{"code":0,"streams":[{}]}"#, "source_unreadable", "no id"),
        ("/api/v1/streams", r#"{"code":0,"streams":[7]}"#, "source_unreadable", "no id"),
        ("/api/v1/summaries", r#"{"code":0}"#, "source_unreadable", "no data"),
        ("/api/v1/summaries", r#"{"code":0,"data":{"self":{}}}"#, "source_unreadable", "no system"),
        ("/api/v1/summaries", "[]", "source_unreadable", "no code"),
        ("/api/v1/summaries", "<html>", "source_unreadable", "/api/v1/summaries"),
        ("/api/v1/clients", r#"{"code":0}"#, "source_unreadable", "no clients"),
        ("/api/v1/vhosts", r#"{"code":0,"vhosts":7}"#, "source_absurd", "vhosts is 7"),
    ] {
        let (got, told) = wrong(page, text);
        assert_eq!(got, code, "{page} {text}: {told}");
        assert!(told.contains(named), "{told:?} names no {named:?}");
        assert!(told.contains(page), "{told:?} names no {page:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_down() {
    let server = served("srs/streams.json", "srs/clients.json");
    let mut source = source(&server);
    drop(server);
    assert_eq!(source.measure().expect_err("gone").code, "server_down");
}
