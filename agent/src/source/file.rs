//! Figures from a JSON file that any script may replace by rename. A missing, unreadable or absurd
//! file is trouble; it is never read as zero.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use serde::Deserialize;
use tidegate_proto::heartbeat::{Load, Trouble, VIEWERS_MAX};

use super::{Measurement, Source, trouble};

/// The longest file, in bytes: 10,000 streams fit.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Reads one file at each measurement.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
}

/// The file's form. Unknown fields are a newer script's business and skipped.
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

impl FileSource {
    /// A source that reads `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn read(&self) -> io::Result<String> {
        let file = File::open(&self.path)?;
        // A pipe or a terminal would hold the source up for as long as its writer likes.
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut text = String::new();
        if file.take(FILE_LEN_MAX + 1).read_to_string(&mut text)? as u64 > FILE_LEN_MAX {
            return Err(io::Error::other("it is longer than 1 MiB"));
        }
        Ok(text)
    }
}

impl Source for FileSource {
    fn measure(&mut self) -> Result<Measurement, Trouble> {
        let shown = self.path.display();
        let text = self.read().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                trouble("source_missing", format!("the load file {shown} does not exist"))
            }
            _ => {
                trouble("source_unreadable", format!("cannot read the load file {shown}: {error}"))
            }
        })?;
        parse(&text).map_err(|(code, why)| trouble(code, format!("the load file {shown} {why}")))
    }
}

/// Reads the file's text; on failure the trouble's code and the end of its sentence.
fn parse(text: &str) -> Result<Measurement, (&'static str, String)> {
    if text.trim().is_empty() {
        return Err(("source_unreadable", "is empty".to_owned()));
    }
    let figures: Figures = serde_json::from_str(text).map_err(|error| {
        let code = if error.is_data() { "source_absurd" } else { "source_unreadable" };
        (code, format!("is not the JSON object it should be: {error}"))
    })?;
    if figures.viewers.is_none() && figures.bandwidth_out_bps.is_none() {
        let why = "has neither viewers nor bandwidth_out_bps".to_owned();
        return Err(("source_absurd", why));
    }
    if figures.streams.iter().flat_map(BTreeMap::values).any(|viewers| *viewers > VIEWERS_MAX) {
        return Err(("source_absurd", "has a stream with an impossible count".to_owned()));
    }
    Ok(Measurement {
        load: Load {
            viewers: figures.viewers,
            publishers: figures.publishers,
            bandwidth_out_bps: figures.bandwidth_out_bps,
            bandwidth_in_bps: figures.bandwidth_in_bps,
            cpu_utilization: figures.cpu_utilization,
            memory_utilization: figures.memory_utilization,
        },
        streams: figures.streams,
        ..Measurement::default()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use tidegate_proto::edge::Capacity;

    use crate::source::measure_checked;

    fn measured(text: &str) -> Result<Load, String> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("load.json");
        fs::write(&path, text).expect("written");
        measure_checked(&mut FileSource::new(path), &Capacity::default())
            .map(|m| m.load)
            .map_err(|t| t.code)
    }

    #[test]
    fn the_documented_example_is_read() {
        let load = measured(
            r#"{"viewers": 12, "publishers": 1, "bandwidth_out_bps": 48000000,
                "bandwidth_in_bps": 4000000, "cpu_utilization": 0.31, "streams": {"live/a": 7},
                "a_newer_field": []}"#,
        )
        .expect("valid");
        assert_eq!((load.viewers, load.publishers), (Some(12), Some(1)));
        assert_eq!((load.cpu_utilization, load.memory_utilization), (Some(0.31), None));
    }

    #[test]
    fn streams_are_unknown_unless_the_file_names_them() {
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
    fn what_is_wrong_with_the_file_is_told_and_never_zero() {
        for (text, code) in [
            ("", "source_unreadable"),
            ("{\"viewers\": ", "source_unreadable"),
            ("{}", "source_absurd"),
            ("{\"publishers\": 1}", "source_absurd"),
            ("{\"viewers\": -1}", "source_absurd"),
            ("{\"viewers\": 1.5}", "source_absurd"),
            ("{\"viewers\": \"12\"}", "source_absurd"),
            ("{\"viewers\": 4000000000}", "source_absurd"),
            ("{\"viewers\": 99999999999}", "source_absurd"),
            ("{\"viewers\": 1, \"cpu_utilization\": 31}", "source_absurd"),
            ("{\"viewers\": 1, \"streams\": {\"a\": -7}}", "source_absurd"),
        ] {
            assert_eq!(measured(text).expect_err("wrong"), code, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_no_file_is_told_apart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let code = |path| FileSource::new(path).measure().expect_err("no file").code;
        assert_eq!(code(dir.path().join("none")), "source_missing");
        assert_eq!(code(dir.path().to_owned()), "source_unreadable");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn viewers_come_back_as_written(viewers in 0..=VIEWERS_MAX) {
            let read = parse(&format!("{{\"viewers\":{viewers}}}")).expect("valid");
            prop_assert_eq!(read.load.viewers, Some(viewers));
        }
    }
}
