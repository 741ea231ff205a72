//! Figures from a JSON file that any script may replace by rename. A missing, unreadable or absurd
//! file is trouble; it is never read as zero.

use std::{
    io::{self, Read},
    path::PathBuf,
};

use tidegate_proto::{heartbeat::Trouble, regular_file};

use super::{
    Measurement, Source,
    figures::{FIGURES_LEN_MAX, parse},
    trouble,
};

/// Reads one file at each measurement.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
}

impl FileSource {
    /// A source that reads `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn read(&self) -> io::Result<String> {
        let file = regular_file::open(&self.path)?;
        let mut text = String::new();
        if file.take(FIGURES_LEN_MAX + 1).read_to_string(&mut text)? as u64 > FIGURES_LEN_MAX {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, Mode, mkfifoat};
    use tidegate_proto::{edge::Capacity, heartbeat::Load};

    use super::*;

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
        let pipe = dir.path().join("pipe");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe that nobody writes to");
        assert_eq!(code(pipe), "source_unreadable");
    }
}
