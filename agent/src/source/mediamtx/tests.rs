use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::{api::Sum, *};
use crate::source::json::{self, Part};

const MUXED: &str = include_str!("../../../testdata/mediamtx/paths-hls-muxer.json");
const MUXERS: &str = include_str!("../../../testdata/mediamtx/hlsmuxers.json");
const SESSIONS: &str = include_str!("../../../testdata/mediamtx/paths-hls-session.json");
const INFO: &str = include_str!("../../../testdata/mediamtx/info.json");
const METRICS: &str = include_str!("../../../testdata/mediamtx/metrics-hls-session.txt");

/// Half a minute after the muxer of the kept answer was asked last.
const JUST_ASKED: &str = "2025-12-01T10:20:30Z";
const LONG_AFTER: &str = "2025-12-01T10:21:00Z";

/// What three texts read as, whatever they say.
fn read(paths: &str, muxers: &str, info: &str, now: &str) -> Result<Reading, Trouble> {
    let now = timestamp::parse(now).expect("a time");
    let mut sum = Sum::default();
    sum.add_paths(Part::new("p", &json::parse("p", paths)?))?;
    sum.add_muxers(Part::new("p", &json::parse("p", muxers)?), now)?;
    let mut reading = sum.reading("p")?;
    reading.server = api::server(Part::new("p", &json::parse("p", info)?), now)?;
    Ok(reading)
}

const NO_MUXER: &str = r#"{"items":[]}"#;

#[test]
fn hls_viewers_are_unknown_only_while_somebody_fetches() {
    let viewers = |now| read(MUXED, MUXERS, INFO, now).expect("all is well").load.viewers;
    assert_eq!((viewers(JUST_ASKED), viewers(LONG_AFTER)), (None, Some(2)));
}

#[test]
fn bytes_are_those_of_the_paths_and_of_what_fetches_hls() {
    let reading = read(MUXED, MUXERS, INFO, JUST_ASKED).expect("all is well");
    let named = |counters: [(&str, u64); 4]| counters.map(|(name, n)| (name.to_owned(), n)).into();
    let bytes = [("path mystream", 789_012), ("path test1", 2_000), ("path test2", 100)];
    let [a, b, c] = bytes;
    assert_eq!(reading.bytes_out, Some(named([a, b, c, ("hls mystream", 5_000)])));
    assert_eq!(reading.bytes_in.map(|bytes| bytes.len()), Some(3));
    assert_eq!(reading.viewers_fed, Some(2));
}

#[test]
fn players_of_hls_and_of_what_is_not_there_yet_are_not_fed() {
    let reading = read(SESSIONS, NO_MUXER, INFO, JUST_ASKED).expect("all is well");
    assert_eq!((reading.load.viewers, reading.viewers_fed), (Some(4), Some(1)));
}

#[test]
fn uptime_is_the_time_since_the_start_and_unknown_before_it() {
    let uptime = |now| read(SESSIONS, NO_MUXER, INFO, now).expect("all is well").server.uptime;
    assert_eq!(uptime("2026-10-04T10:09:39+02:00"), Some(Duration::from_secs(60)));
    assert_eq!(uptime(JUST_ASKED), None);
    assert!(timestamp::parse(JUST_ASKED).is_some_and(|time| time > UNIX_EPOCH));
}

#[test]
fn a_path_named_twice_counts_once() {
    let mut sum = Sum::default();
    for _ in 0..2 {
        let page = json::parse("p", SESSIONS).expect("valid");
        sum.add_paths(Part::new("p", &page)).expect("all is well");
    }
    assert_eq!(sum.reading("p").expect("all is well").load.viewers, Some(4));
}

/// The text with some of its bytes replaced.
fn spoilt(text: &str, at: usize, len: usize, by: &str) -> String {
    let start = text.floor_char_boundary(at % text.len());
    let end = text.floor_char_boundary((start + len).min(text.len()));
    format!("{}{by}{}", &text[..start], &text[end..])
}

proptest! {
    #[test]
    fn no_text_is_a_panic(at in any::<usize>(), len in 0..40_usize, by in "[-0-9a-zTZ\",:{}\\[\\].]{0,9}") {
        let _ = read(&spoilt(MUXED, at, len, &by), MUXERS, INFO, JUST_ASKED);
        let _ = read(&spoilt(SESSIONS, at, len, &by), MUXERS, INFO, JUST_ASKED);
        let _ = read(MUXED, &spoilt(MUXERS, at, len, &by), INFO, JUST_ASKED);
        let _ = read(MUXED, MUXERS, &spoilt(INFO, at, len, &by), JUST_ASKED);
        let _ = metrics::reading("p", &spoilt(METRICS, at, len, &by));
    }
}
