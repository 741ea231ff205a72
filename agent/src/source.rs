//! What an edge carries, measured. A source gives figures or says why it has none; it never gives
//! a zero for what it does not know.

pub mod file;
pub mod host;

use std::{collections::BTreeMap, path::PathBuf};

use tidegate_proto::heartbeat::{BANDWIDTH_BPS_MAX, Load, Trouble, VIEWERS_MAX};

/// One measurement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measurement {
    /// What the edge carries now; `None` in it is unknown.
    pub load: Load,
    /// Viewers by stream, named `application/stream`; `None`: unknown. A stream without viewers that
    /// the edge carries all the same is worth naming.
    pub streams: Option<BTreeMap<String, u32>>,
}

impl Measurement {
    /// A measurement that knows the viewers and nothing else.
    #[must_use]
    pub fn of_viewers(viewers: u32) -> Self {
        Self::of_load(Load { viewers: Some(viewers), ..Load::default() })
    }

    /// A measurement that does not know the streams.
    #[must_use]
    pub fn of_load(load: Load) -> Self {
        Self { load, streams: None }
    }

    /// The same with the viewers of each stream, named `application/stream`. Slashes at the ends of a
    /// name do not count, and a name may have any length.
    #[must_use]
    pub fn with_streams(mut self, streams: impl IntoIterator<Item = (String, u32)>) -> Self {
        self.streams = Some(streams.into_iter().collect());
        self
    }
}

/// Something that can be measured: a machine, a file, a media server's own counters.
///
/// A source runs on a thread of its own and may block; while it does, heartbeats go on with its
/// last figures for two intervals and then carry the trouble `source_slow`.
pub trait Source: Send + 'static {
    /// Measures now.
    fn measure(&mut self) -> Result<Measurement, Trouble>;
}

impl<F> Source for F
where
    F: FnMut() -> Result<Measurement, Trouble> + Send + 'static,
{
    fn measure(&mut self) -> Result<Measurement, Trouble> {
        self()
    }
}

/// The sources a configuration can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// The machine's own figures; viewers stay unknown.
    Host,
    /// A JSON file that a script replaces.
    File(PathBuf),
}

impl SourceKind {
    /// The words for `source.kind`.
    pub const NAMES: [&'static str; 2] = ["host", "file"];

    /// Opens the source. What it then lacks is trouble in its measurements, not an error here.
    #[must_use]
    pub fn open(&self) -> Box<dyn Source> {
        match self {
            Self::Host => Box::new(host::HostSource::default()),
            Self::File(path) => Box::new(file::FileSource::new(path.clone())),
        }
    }
}

/// Measures once and refuses figures that no edge can have.
pub fn measure_checked(source: &mut dyn Source) -> Result<Measurement, Trouble> {
    let measurement = source.measure()?;
    match absurdity(&measurement.load) {
        None => Ok(measurement),
        Some(figure) => {
            Err(trouble("source_absurd", format!("the source's {figure} is out of bounds")))
        }
    }
}

/// Names the first figure outside the bounds of a heartbeat.
fn absurdity(load: &Load) -> Option<&'static str> {
    let count = |n: Option<u32>| n.is_some_and(|n| n > VIEWERS_MAX);
    let rate = |n: Option<u64>| n.is_some_and(|n| n > BANDWIDTH_BPS_MAX);
    let share = |n: Option<f64>| n.is_some_and(|n| !(0.0..=1.0).contains(&n));
    [
        ("viewers", count(load.viewers)),
        ("publishers", count(load.publishers)),
        ("bandwidth_out_bps", rate(load.bandwidth_out_bps)),
        ("bandwidth_in_bps", rate(load.bandwidth_in_bps)),
        ("cpu_utilization", share(load.cpu_utilization)),
        ("memory_utilization", share(load.memory_utilization)),
    ]
    .into_iter()
    .find_map(|(figure, absurd)| absurd.then_some(figure))
}

pub(crate) fn trouble(code: &str, text: impl Into<String>) -> Trouble {
    Trouble { code: code.to_owned(), text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_figures_become_trouble_that_names_them() {
        let cases = [
            Load { viewers: Some(VIEWERS_MAX + 1), ..Load::default() },
            Load { bandwidth_in_bps: Some(u64::MAX), ..Load::default() },
            Load { cpu_utilization: Some(f64::NAN), ..Load::default() },
            Load { memory_utilization: Some(1.01), ..Load::default() },
        ];
        for load in cases {
            let mut source = move || Ok(Measurement::of_load(load));
            let trouble = measure_checked(&mut source).expect_err("absurd");
            assert_eq!(trouble.code, "source_absurd");
        }
        let mut fine = || Ok(Measurement::of_viewers(VIEWERS_MAX));
        assert!(measure_checked(&mut fine).is_ok());
    }
}
