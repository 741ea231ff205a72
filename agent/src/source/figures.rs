//! The JSON in which a script tells figures, in a file or on its output.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use tidegate_proto::heartbeat::{Load, VIEWERS_MAX};

use super::{Measurement, Server, UPTIME_S_MAX, page::Reading};

/// The longest text, in bytes: 10,000 streams fit.
pub(super) const FIGURES_LEN_MAX: u64 = 1 << 20;
const VERSION_LEN_MAX: usize = 64;

/// The code of a trouble and the end of its sentence, which begins with where the text is from.
pub(super) type Wrong = (&'static str, String);

/// The form. Unknown fields are a newer script's business and skipped.
#[derive(Debug, Deserialize)]
struct Figures {
    viewers: Option<u32>,
    publishers: Option<u32>,
    bandwidth_out_bps: Option<u64>,
    bandwidth_in_bps: Option<u64>,
    cpu_utilization: Option<f64>,
    memory_utilization: Option<f64>,
    /// Viewers by stream.
    streams: Option<BTreeMap<String, u32>>,
}

/// What is worth having from whoever has just looked, and nothing from a file, which may be old.
#[derive(Debug, Deserialize)]
struct Moment {
    uptime_s: Option<f64>,
    version: Option<String>,
    bytes_out_total: Option<u64>,
    bytes_in_total: Option<u64>,
}

/// Reads the figures of a file.
pub(super) fn parse(text: &str) -> Result<Measurement, Wrong> {
    let figures = parse_figures(text)?;
    if figures.viewers.is_none() && figures.bandwidth_out_bps.is_none() {
        let why = "has neither viewers nor bandwidth_out_bps".to_owned();
        return Err(("source_absurd", why));
    }
    let load = figures.load();
    Ok(Measurement { load, streams: figures.streams, ..Measurement::default() })
}

/// Reads the figures that a program prints, counters and clock included.
pub(super) fn parse_moment(text: &str) -> Result<Reading, Wrong> {
    let figures = parse_figures(text)?;
    let moment: Moment = parse_json(text)?;
    let bandwidth = figures.bandwidth_out_bps.or(moment.bytes_out_total);
    if figures.viewers.is_none() && bandwidth.is_none() {
        let why = "has none of viewers, bandwidth_out_bps and bytes_out_total".to_owned();
        return Err(("source_absurd", why));
    }
    if moment.uptime_s.is_some_and(|uptime| !(0.0..=UPTIME_S_MAX).contains(&uptime)) {
        return Err(("source_absurd", "has an impossible uptime_s".to_owned()));
    }
    let counters = |bytes| [(String::new(), bytes)].into();
    Ok(Reading {
        load: figures.load(),
        bytes_out: moment.bytes_out_total.map(counters),
        bytes_in: moment.bytes_in_total.map(counters),
        streams: figures.streams,
        server: Server {
            version: moment.version.map(|name| name.chars().take(VERSION_LEN_MAX).collect()),
            uptime: moment.uptime_s.map(Duration::from_secs_f64),
        },
        ..Reading::default()
    })
}

fn parse_figures(text: &str) -> Result<Figures, Wrong> {
    if text.trim().is_empty() {
        return Err(("source_unreadable", "is empty".to_owned()));
    }
    let figures: Figures = parse_json(text)?;
    if figures.streams.iter().flat_map(BTreeMap::values).any(|viewers| *viewers > VIEWERS_MAX) {
        return Err(("source_absurd", "has a stream with an impossible count".to_owned()));
    }
    Ok(figures)
}

fn parse_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Wrong> {
    serde_json::from_str(text).map_err(|error| {
        let code = if error.is_data() { "source_absurd" } else { "source_unreadable" };
        (code, format!("is not the JSON object it should be: {error}"))
    })
}

impl Figures {
    fn load(&self) -> Load {
        Load {
            viewers: self.viewers,
            publishers: self.publishers,
            bandwidth_out_bps: self.bandwidth_out_bps,
            bandwidth_in_bps: self.bandwidth_in_bps,
            cpu_utilization: self.cpu_utilization,
            memory_utilization: self.memory_utilization,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn streams_are_unknown_unless_the_text_names_them() {
        let streams = |text: &str| parse(text).expect("valid").streams;
        assert_eq!(streams(r#"{"viewers": 1}"#), None);
        assert_eq!(streams(r#"{"viewers": 1, "streams": null}"#), None);
        assert_eq!(streams(r#"{"viewers": 1, "streams": {}}"#), Some(BTreeMap::new()));
        let named = streams(r#"{"viewers": 1, "streams": {"live/a": 7, "/live/b/": 0}}"#);
        assert_eq!(named, Some([("live/a".into(), 7), ("/live/b/".into(), 0)].into()));
        let long = "x".repeat(4_096);
        let named = streams(&format!(r#"{{"viewers": 1, "streams": {{"{long}": 1}}}}"#));
        assert_eq!(named, Some([(long, 1)].into()));
    }

    #[test]
    fn a_moment_has_counters_and_a_clock() {
        let text = r#"{"viewers": 5, "uptime_s": 12.5, "version": "mine/1.0",
            "bytes_out_total": 1000, "bytes_in_total": 10, "streams": {"live/a": 5}}"#;
        let moment = parse_moment(text).expect("valid");
        assert_eq!(moment.load.viewers, Some(5));
        assert_eq!(moment.bytes_out, Some([(String::new(), 1_000)].into()));
        assert_eq!(moment.bytes_in, Some([(String::new(), 10)].into()));
        assert_eq!(moment.server.uptime, Some(Duration::from_millis(12_500)));
        assert_eq!(moment.server.version.as_deref(), Some("mine/1.0"));
        let file = parse(text).expect("valid");
        assert_eq!((file.load, file.server), (moment.load, Server::default()));
        assert!(parse_moment(r#"{"bytes_out_total": 0}"#).is_ok(), "a counter is bandwidth");
    }

    #[test]
    fn an_impossible_moment_is_absurd() {
        for text in [
            "{\"uptime_s\": 1}",
            "{\"viewers\": 1, \"uptime_s\": -1}",
            "{\"viewers\": 1, \"uptime_s\": 1e300}",
            "{\"viewers\": 1, \"bytes_out_total\": -1}",
            "{\"viewers\": 1, \"bytes_in_total\": 1.5}",
            "{\"viewers\": 1, \"version\": 7}",
        ] {
            assert_eq!(parse_moment(text).expect_err("wrong").0, "source_absurd", "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,80}") {
            let _ = parse(&text);
            let _ = parse_moment(&text);
        }

        #[test]
        fn viewers_come_back_as_written(viewers in 0..=VIEWERS_MAX) {
            let text = format!("{{\"viewers\":{viewers}}}");
            prop_assert_eq!(parse(&text).expect("valid").load.viewers, Some(viewers));
            prop_assert_eq!(parse_moment(&text).expect("valid").load.viewers, Some(viewers));
        }
    }
}
