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
        "/api/v1/streams/" => kept(streams),
        "/api/v1/clients/" => kept(clients),
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
    assert_eq!(measured.load.viewers, Some(5));
    assert_eq!(measured.load.publishers, Some(1));
    assert_eq!(measured.load.cpu_utilization, Some(0.25));
    assert_eq!(measured.load.memory_utilization, Some(0.18));
    assert_eq!(measured.load.bandwidth_out_bps, None, "one reading tells no rate");
    let streams = [("live/published", 2), ("live/pulled", 2), ("live/waited-for", 1)];
    assert_eq!(measured.streams, Some(streams.map(|(n, v)| (n.to_owned(), v)).into()));
    assert_eq!(measured.server.version.as_deref(), Some("SRS/6.0.134"));
    assert_eq!(measured.server.uptime, Some(Duration::from_secs(3_540)));
}

#[test]
fn an_old_server_numbers_what_a_new_one_names() {
    let server = served("srs/streams-v3.json", "srs/clients-v3.json");
    let measured = source(&server).measure().expect("all is well");
    assert_eq!((measured.load.viewers, measured.load.publishers), (Some(2), Some(1)));
    let server = served("srs/streams-idle.json", "srs/clients-v3.json");
    let measured = source(&server).measure().expect("all is well");
    assert_eq!(measured.load.viewers, Some(2), "of streams that are not in the list yet");
    assert_eq!(measured.streams, Some([].into()), "nobody publishes and nobody plays it");
}

/// Things from `start` on, at most `count` and at most `most` of them.
fn page_of(asked: &Asked, things: usize, most: usize) -> String {
    let figure = |key: &str| -> usize {
        let (_, rest) = asked.path.split_once(key).expect("asked for a page");
        rest.split('&').next().and_then(|figure| figure.parse().ok()).expect("a number")
    };
    let (start, count) = (figure("start="), figure("count=").min(most));
    let thing = |n| match asked.path.starts_with("/api/v1/streams/") {
        true => format!(r#"{{"id":"s{n}","name":"{n}","app":"live","publish":{{"active":true}}}}"#),
        false => {
            format!(r#"{{"id":"c{n}","stream":"s{}","type":"flv-play","publish":false}}"#, n / 2)
        }
    };
    let page: Vec<_> = (start..things.min(start + count)).map(thing).collect();
    let key = if asked.path.starts_with("/api/v1/streams/") { "streams" } else { "clients" };
    format!(r#"{{"code":0,"{key}":[{}]}}"#, page.join(","))
}

/// A server of so many streams with two players each, which makes pages of at most `most`.
fn paged(streams: usize, most: usize) -> Server {
    Server::new(move |asked| match asked.path.split('?').next() {
        Some("/api/v1/streams/") => (200, page_of(asked, streams, most)),
        Some("/api/v1/clients/") => (200, page_of(asked, streams * 2, most)),
        _ => one_page(asked, "", ""),
    })
}

#[test]
fn every_page_of_thousands_of_streams_is_read() {
    for most in [usize::MAX, 100] {
        let server = paged(2_507, most);
        let measured = source(&server).measure().expect("all is well");
        assert_eq!(measured.load.viewers, Some(5_014), "pages of {most}");
        let streams = measured.streams.expect("known");
        assert_eq!((streams.len(), streams.get("live/2506")), (2_507, Some(&2)));
    }
}

#[test]
fn a_server_that_knows_no_pages_counts_once_and_a_list_without_end_is_trouble() {
    let server = Server::new(|asked| {
        let whole = Asked { path: asked.path.replace("start=", "start=0&was="), ..asked.clone() };
        match asked.path.split('?').next() {
            Some("/api/v1/streams/" | "/api/v1/clients/") => (200, page_of(&whole, 50, 50)),
            _ => one_page(asked, "", ""),
        }
    });
    assert_eq!(source(&server).measure().expect("all is well").load.viewers, Some(50));

    let trouble = source(&paged(usize::MAX / 2, 10)).measure().expect_err("no end");
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

/// Readings of a server with such players whose clock goes on while no byte moves.
fn still(kind: &'static str) -> Vec<Result<(), String>> {
    let uptime = AtomicU64::new(3_540);
    let server = Server::new(move |asked| {
        let (status, text) = one_page(asked, "srs/streams.json", "srs/clients.json");
        let text =
            text.replace(r#"rtmp-play"#, kind).replace("flv-play", kind).replace("rtc-play", kind);
        if !asked.path.starts_with("/api/v1/summaries") {
            return (status, text);
        }
        let uptime = uptime.fetch_add(3, Ordering::SeqCst);
        (status, text.replace(r#""srs_uptime":3540"#, &format!(r#""srs_uptime":{uptime}"#)))
    });
    let mut source = source(&server);
    (0..6).map(|_| source.measure().map(|_| ()).map_err(|trouble| trouble.code)).collect()
}

#[test]
fn bytes_that_stand_still_are_frozen_where_bytes_must_flow() {
    let frozen = Err("source_frozen".to_owned());
    assert_eq!(still("rtmp-play"), [Ok(()), Ok(()), Ok(()), Ok(()), frozen.clone(), frozen]);
    for uncounted in ["hls-play", "rtc-play", "srt-play", "Play"] {
        assert_eq!(still(uncounted), [const { Ok(()) }; 6], "{uncounted}");
    }
}

#[test]
fn a_player_of_what_the_origin_has_not_makes_no_figure_frozen() {
    let uptime = AtomicU64::new(3_540);
    let server = Server::new(move |asked| {
        let (status, text) = one_page(asked, "srs/streams.json", "srs/clients.json");
        if asked.path.starts_with("/api/v1/clients/") {
            // All of them wait for the stream that has neither sound nor pictures.
            let text = text.replace("vid-0000001", "vid-0000003");
            return (status, text.replace("vid-0000002", "vid-0000003"));
        }
        let uptime = uptime.fetch_add(2, Ordering::SeqCst);
        (status, text.replace(r#""srs_uptime":3540"#, &format!(r#""srs_uptime":{uptime}"#)))
    });
    let mut source = source(&server);
    for _ in 0..6 {
        let viewers = source.measure().expect("nothing has to flow").load.viewers;
        assert_eq!(viewers, Some(5));
    }
}

#[test]
fn a_code_that_is_not_zero_is_trouble() {
    let (code, text) = wrong("/api/v1/streams/", r#"{"code":100}"#);
    assert_eq!(code, "source_unreadable");
    assert!(text.ends_with("SRS answered with its error code 100"), "{text}");
    assert_eq!(kept("srs/error.json").trim(), r#"{"code":100}"#);
}

#[test]
fn what_is_no_figure_is_trouble_that_names_it_and_never_zero() {
    const STREAMS: &str = "/api/v1/streams/";
    const CLIENTS: &str = "/api/v1/clients/";
    const SUMMARIES: &str = "/api/v1/summaries";
    for (page, text, code, named) in [
        (STREAMS, r#"{"code":0,"streams":{}}"#, "source_absurd", "streams is {}"),
        (STREAMS, r#"{"code":0}"#, "source_unreadable", "no streams"),
        (STREAMS, r#"{"code":0,"streams":[{"name":"#, "source_unreadable", "EOF"),
        (STREAMS, r#"{"code":0,"streams":[{}]}"#, "source_unreadable", "no id"),
        (STREAMS, r#"{"code":0,"streams":[7]}"#, "source_unreadable", "no id"),
        (STREAMS, r#"{"code":0,"streams":[{"id":1}]}"#, "source_unreadable", "no app"),
        (CLIENTS, r#"{"code":0}"#, "source_unreadable", "no clients"),
        (
            CLIENTS,
            r#"{"code":0,"clients":[{"id":-1,"publish":1}]}"#,
            "source_absurd",
            "publish is 1",
        ),
        (CLIENTS, r#"{"code":0,"clients":[{"id":NaN}]}"#, "source_unreadable", "expected"),
        (CLIENTS, r#"{"code":0,"clients":[{"id":1}]}"#, "source_unreadable", "no stream"),
        (CLIENTS, r#"{"code":0,"clients":[{"id":1,"stream":2}]}"#, "source_unreadable", "no type"),
        (SUMMARIES, r#"{"code":0}"#, "source_unreadable", "no data"),
        (SUMMARIES, r#"{"code":"0"}"#, "source_absurd", "code is \"0\""),
        (SUMMARIES, r#"{"code":0,"data":{"self":{}}}"#, "source_unreadable", "no system"),
        (SUMMARIES, "[]", "source_unreadable", "no code"),
        (SUMMARIES, "<html>", "source_unreadable", "expected value"),
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

#[test]
fn a_figure_of_the_machine_that_cannot_be_is_trouble_that_names_it() {
    for (from, to, named) in [
        (
            r#""srs_send_bytes":87975000"#,
            r#""srs_send_bytes":-87975000"#,
            "srs_send_bytes is -87975000",
        ),
        (r#""srs_send_bytes":87975000"#, r#""srs_send_bytes":"NaN""#, "srs_send_bytes is \"NaN\""),
        (r#""srs_uptime":3540"#, r#""srs_uptime":-1"#, "srs_uptime is -1"),
        (r#""cpu_percent":0.25"#, r#""cpu_percent":-0.25"#, "cpu_percent is -0.25"),
        (
            r#""srs_sample_time":1720428680003"#,
            r#""srs_sample_time":1.5"#,
            "srs_sample_time is 1.5",
        ),
    ] {
        let server = Server::new(move |asked| {
            let (status, text) = one_page(asked, "srs/streams.json", "srs/clients.json");
            (status, text.replace(from, to))
        });
        let trouble = source(&server).measure().expect_err("absurd");
        assert_eq!(trouble.code, "source_absurd", "{to}");
        assert!(trouble.text.ends_with(named), "{}", trouble.text);
    }
}
