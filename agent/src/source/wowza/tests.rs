use std::time::Duration;

use proptest::prelude::*;

use super::*;

const COUNTS_XML: &str = include_str!("../../../testdata/wowza/connectioncounts.xml");
const STATUS: &str = include_str!("../../../testdata/wowza/status.json");
const APPLICATION: &str = include_str!("../../../testdata/wowza/application_monitoring.json");
const REFUSED: &str = include_str!("../../../testdata/wowza/unauthorized.json");

fn counts(text: &str) -> Result<Reading, Trouble> {
    counts::read("http://e", text)
}

#[test]
fn a_recorded_page_of_connection_counts_is_read() {
    let reading = counts(COUNTS_XML).expect("figures");
    assert_eq!((reading.load.viewers, reading.load.publishers), (Some(6), None));
    assert_eq!(reading.load.bandwidth_out_bps, Some(175_126 * 8));
    assert_eq!(reading.load.bandwidth_in_bps, Some(403_858 * 8));
    assert_eq!((reading.load.cpu_utilization, reading.bytes_out), (None, None));
    assert_eq!(reading.server.uptime, Some(Duration::from_millis(505_435_573)));
    let streams = reading.streams.expect("streams");
    assert_eq!(streams.len(), 8);
    assert_eq!(streams["devvsqlive/461272.stream"], 0, "carried, though nobody plays it");
    assert_eq!(streams["vsq/294/294/294_content_lq.mp4"], 1);
}

#[test]
fn the_engine_calls_its_root_otherwise() {
    let page = COUNTS_XML.replace("WowzaMediaServer", "WowzaStreamingEngine");
    assert_eq!(counts(&page), counts(COUNTS_XML));
    // What a version adds to a stream is in its total already.
    let page = page
        .replace("<SessionsTotal>1<", "<SessionsMPEGDash>1</SessionsMPEGDash><SessionsTotal>2<");
    assert_eq!(counts(&page).expect("figures").load.viewers, Some(12));
}

#[test]
fn a_publisher_is_no_viewer() {
    let page = COUNTS_XML.replacen("<ConnectionsCurrent>6<", "<ConnectionsCurrent>7<", 1);
    assert_eq!(counts(&page).expect("figures").load.viewers, Some(6));
}

#[test]
fn where_no_stream_is_named_all_connections_count() {
    let page = |connections: &str| {
        format!(
            "<WowzaMediaServer><ConnectionsCurrent>{connections}</ConnectionsCurrent></WowzaMediaServer>"
        )
    };
    let reading = counts(&page("3")).expect("figures");
    assert_eq!((reading.load.viewers, reading.streams), (Some(3), None));
    let reading = counts(&page("0")).expect("figures");
    assert_eq!((reading.load.viewers, reading.streams), (Some(0), Some([].into())));
}

#[test]
fn another_instance_stands_in_the_name_and_streams_of_two_hosts_are_one() {
    let page = COUNTS_XML.replace("_definst_", "two").replace("302%2F302%2F302", "294%2F294%2F294");
    let streams = counts(&page).expect("figures").streams.expect("streams");
    assert_eq!(streams["vsq/two/294/294/294_video_lq.mp4"], 2);
}

#[test]
fn what_is_wrong_with_the_counts_is_told_and_never_zero() {
    let with = |from: &str, to: &str| COUNTS_XML.replacen(from, to, 1);
    for (page, code) in [
        (String::new(), "source_unreadable"),
        ("<html><body>Wowza Streaming Engine</body></html>".to_owned(), "source_unreadable"),
        ("<WowzaMediaServer/>".to_owned(), "source_unreadable"),
        (COUNTS_XML[..COUNTS_XML.len() / 2].to_owned(), "source_unreadable"),
        (with("</VHost>", ""), "source_unreadable"),
        (with("<SessionsTotal>0</SessionsTotal>", ""), "source_unreadable"),
        (with("<ConnectionsCurrent>6<", "<ConnectionsCurrent>-6<"), "source_absurd"),
        (with("<SessionsTotal>1<", "<SessionsTotal>-1<"), "source_absurd"),
        (with("<SessionsTotal>1<", "<SessionsTotal><"), "source_absurd"),
        (with("<SessionsTotal>1<", "<SessionsTotal>99999999999<"), "source_absurd"),
        (with(">175126.0<", ">NaN<"), "source_absurd"),
        (with(">175126.0<", ">-1.0<"), "source_absurd"),
        (with(">175126.0<", ">1e300<"), "source_absurd"),
        (with(">505435.573<", ">-5<"), "source_absurd"),
        ("<Wowza>".repeat(1_000), "source_unreadable"),
    ] {
        let trouble = counts(&page).expect_err("wrong");
        assert_eq!(trouble.code, code, "{}", trouble.text);
        assert!(trouble.text.starts_with("http://e "), "{}", trouble.text);
        assert!(trouble.text.len() < 200, "{}", trouble.text);
    }
}

/// As the API's description has it; no recorded answer is public.
const MACHINE: &str = r#"{"serverName":"_defaultServer_","serverUptime":3296,"cpuIdle":75,"cpuUser":20,
    "cpuSystem":5,"memoryFree":1000,"memoryUsed":3000,"heapFree":1,"heapUsed":1,"diskFree":1,
    "diskUsed":1,"connectionCount":7}"#;

#[test]
fn the_rest_api_is_read() {
    let mut reading = Reading::default();
    rest::read_status(&mut reading, "http://e", STATUS).expect("a recorded status");
    assert_eq!(reading.server.version.as_deref(), Some("Wowza Streaming Engine 4.7.0"));
    assert_eq!(reading.server.uptime, Some(Duration::from_millis(3_296_008)));
    // A virtual host has the fields of an application, less those by protocol.
    rest::read_vhost(&mut reading, "http://e", APPLICATION).expect("a recorded answer");
    assert_eq!((reading.load.viewers, reading.load.publishers), (Some(0), None));
    assert_eq!(reading.bytes_out, Some([(String::new(), 0)].into()));
    assert_eq!(reading.viewers_fed, Some(0), "they may all be publishers");
    rest::read_machine(&mut reading, "http://e", MACHINE).expect("a described answer");
    assert_eq!(reading.load.cpu_utilization, Some(0.25));
    assert_eq!(reading.load.memory_utilization, Some(0.75));
    assert_eq!((reading.load.bandwidth_out_bps, reading.streams), (None, None));
}

#[test]
fn what_is_wrong_with_the_rest_api_is_told_and_never_zero() {
    for result in read_all(REFUSED).into_iter().chain(read_all("[]")).chain(read_all("")) {
        assert_ne!(result.expect_err("no figures").code, "");
    }
    let code = |text: &str| {
        let read = |read: fn(&mut Reading, &str, &str) -> Result<(), Trouble>| {
            read(&mut Reading::default(), "http://e", text).err().map(|trouble| trouble.code)
        };
        [read(rest::read_status), read(rest::read_vhost), read(rest::read_machine)]
            .map(|code| code.unwrap_or_default())
    };
    assert_eq!(code(REFUSED), ["source_unreadable"; 3]);
    assert_eq!(code("{"), ["source_unreadable"; 3]);
    assert_eq!(code(&STATUS.replace("3296.008", "-1"))[0], "source_absurd");
    for wrong in
        ["\"totalConnections\":-1", "\"totalConnections\":4000000000", "\"totalConnections\":1.5"]
    {
        assert_eq!(code(&APPLICATION.replace("\"totalConnections\":0", wrong))[1], "source_absurd");
    }
    assert_eq!(code(&APPLICATION.replace("\"bytesOut\":0", "\"bytesOut\":-1"))[1], "source_absurd");
    for wrong in ["-1", "101", "\"75\""] {
        assert_eq!(code(&MACHINE.replace("75", wrong))[2], "source_absurd", "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "(?s).{0,80}", at in 0..COUNTS_XML.len(), odd in "(?s).{0,4}") {
        let _ = read_all(&text);
        // The recorded page is ASCII, so it may be cut anywhere.
        let _ = read_all(&format!("{}{odd}{}", &COUNTS_XML[..at], &COUNTS_XML[at..]));
        let _ = read_all(&format!("{}{odd}", &MACHINE[..at.min(MACHINE.len())]));
    }
}
