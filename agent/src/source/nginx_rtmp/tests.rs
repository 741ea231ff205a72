use proptest::prelude::*;

use super::*;

/// Recorded; see the README beside them.
const EDGE: &str = include_str!("../../../testdata/nginx-rtmp/edge.xml");
const ORIGIN: &str = include_str!("../../../testdata/nginx-rtmp/origin.xml");
const GLOBAL: &str = include_str!("../../../testdata/nginx-rtmp/global.xml");
const WITHOUT_CLIENTS: &str = include_str!("../../../testdata/nginx-rtmp/without-clients.xml");
const WORKERS: [&str; 2] = [
    include_str!("../../../testdata/nginx-rtmp/worker-1.xml"),
    include_str!("../../../testdata/nginx-rtmp/worker-2.xml"),
];

fn form_of(text: &str) -> String {
    match parse(text) {
        Err(Wrong::Form(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recorded_edge_counts_its_players_and_neither_publishers_nor_relays() {
    let stat = parse(EDGE).expect("recorded");
    let named = |name: &str, viewers: u32| (name.to_owned(), viewers);
    // Both servers have an application live with a stream cam: three players and one.
    let streams = [
        named("live/a&b<\"c\"", 0),
        named("live/cam", 4),
        named("live/pulled", 1),
        named("live/waiting", 1),
    ];
    assert_eq!(stat.streams, streams.into());
    assert_eq!((stat.viewers, stat.viewers_fed, stat.publishers), (6, 5, 4));
    assert_eq!((stat.bytes_in, stat.bytes_out, stat.uptime_s), (743_821, 1_109_436, 16));
    assert_eq!(stat.version.as_deref(), Some("nginx/1.22.1 rtmp/1.1.4"));
    assert!(!stat.has_other_workers);
}

#[test]
fn a_reading_has_counters_and_leaves_rates_to_them() {
    let reading = reading(parse(EDGE).expect("recorded"));
    assert_eq!((reading.load.viewers, reading.load.publishers), (Some(6), Some(4)));
    assert_eq!((reading.load.bandwidth_out_bps, reading.load.cpu_utilization), (None, None));
    assert_eq!(reading.bytes_out, Some([(String::new(), 1_109_436)].into()));
    assert_eq!(reading.server.uptime, Some(Duration::from_secs(16)));
}

#[test]
fn another_nginx_that_pulls_is_no_viewer() {
    let stat = parse(ORIGIN).expect("recorded");
    assert!(ORIGIN.contains("LNX.11,1,102,55"));
    assert_eq!((stat.viewers, stat.publishers), (0, 3));
    assert_eq!(stat.streams.get("live/pulled"), Some(&0));
}

#[test]
fn players_of_films_are_viewers() {
    let film = "<play>\r\n<stream>\r\n<name>film.flv</name>\r\n<client><id>7</id>\
                <address>10.0.0.1</address><time>5</time><flashver>LNX 9,0,124,2</flashver></client>\
                \r\n<active/><nclients>1</nclients>\r\n</stream>\r\n<nclients>1</nclients>";
    let text = EDGE.replace("<play>\r\n<nclients>0</nclients>", film);
    let stat = parse(&text).expect("a page");
    assert_eq!(stat.streams.get("vod/film.flv"), Some(&1));
    assert_eq!((stat.viewers, stat.viewers_fed), (7, 5), "a film may have been paused");
}

#[test]
fn a_page_that_does_not_list_the_clients_is_not_read() {
    assert!(form_of(WITHOUT_CLIENTS).contains("set rtmp_stat all"));
    assert!(form_of(GLOBAL).contains("set rtmp_stat all"));
}

#[test]
fn what_is_no_such_page_is_told_and_never_zero() {
    for text in ["", "Active connections: 1", "<html></html>", "{\"viewers\": 1}", "<rtmp>"] {
        form_of(text);
    }
    assert_eq!(form_of("<rtmp><pid>1</pid></rtmp>"), "it has no <uptime>");
    assert_eq!(form_of(&"<rtmp>".repeat(100)), "it is nested too deeply");
    for end in (0..EDGE.len() - "</rtmp>\r\n".len()).step_by(7) {
        form_of(&EDGE[..end]);
    }
}

#[test]
fn figures_that_cannot_be_are_named() {
    let wrong = |from: &str, to: &str| match parse(&EDGE.replacen(from, to, 1)) {
        Err(Wrong::Figure { name, value }) => (name, value),
        other => panic!("{other:?}"),
    };
    for (from, name) in [
        ("<uptime>16<", "uptime"),
        ("<bytes_out>1109436<", "bytes_out"),
        ("<bytes_in>177999<", "bytes_in"),
        ("<nclients>5<", "nclients"),
        ("<nclients>10<", "nclients"),
    ] {
        for value in ["-1", "NaN", "1.5", "18446744073709551616", ""] {
            let told = wrong(from, &format!("<{name}>{value}<"));
            assert_eq!(told, (name.to_owned(), format!("{value:?}")));
        }
    }
}

#[test]
fn addresses_that_nobody_escaped_harm_nothing() {
    let text = EDGE.replace("?a=1&amp;b=2", "?a=1&b=2&");
    assert_eq!(parse(&text), parse(EDGE));
}

#[test]
fn a_stream_shared_with_other_workers_shows_that_there_are_several() {
    for (from, to) in [
        ("<flashver>FMLE/3.0 (compatible; Lavf59.27<", "<flashver>APSH 0,4711<"),
        ("<address>127.0.0.1:21937/copies<", "<address>unix:/tmp/nginx-rtmp.1<"),
    ] {
        let stat = parse(&EDGE.replacen(from, to, 1)).expect("a page");
        assert!(stat.has_other_workers && Worker::default().is_one_of_several(&stat), "{to}");
    }
}

#[test]
fn workers_that_answer_in_turn_are_told_apart_from_one() {
    let [one, other] = WORKERS.map(|text| parse(text).expect("recorded"));
    let mut worker = Worker::default();
    assert!(!worker.is_one_of_several(&one));
    assert!(!worker.is_one_of_several(&one));
    assert!(worker.is_one_of_several(&other));
    assert!(worker.is_one_of_several(&one));
    assert!(worker.is_one_of_several(&one), "known by now");
    assert!(several_workers("http://127.0.0.1/stat", 1).text.len() <= 200);
}

#[test]
fn a_new_start_and_a_replaced_worker_are_no_other_worker() {
    let stat = |pid, uptime_s| Stat { pid, uptime_s, ..parse(EDGE).expect("recorded") };
    let mut worker = Worker::default();
    assert!(!worker.is_one_of_several(&stat(10, 50)));
    assert!(!worker.is_one_of_several(&stat(11, 1)), "nginx was started anew");
    assert!(worker.is_one_of_several(&stat(12, 3)), "told once");
    assert!(!worker.is_one_of_several(&stat(12, 6)), "one worker replaced another");
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "\\PC{0,80}", at in 0..EDGE.len(), middle in "[<>&;/a-z0-9-]{0,12}") {
        let _ = parse(&text);
        let _ = parse(&format!("{}{middle}{}", &EDGE[..at], &EDGE[at..]));
    }

    #[test]
    fn any_name_comes_back_as_it_was(name in "[ -~]{1,40}") {
        let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let text = EDGE.replacen("<name>pulled<", &format!("<name>{escaped}<"), 1);
        let stat = parse(&text).expect("a page");
        let name = format!("live/{name}");
        prop_assert!(stat.streams.contains_key(&name));
    }
}
