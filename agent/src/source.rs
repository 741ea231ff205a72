//! What an edge carries, measured. A source gives figures or says why it has none; it never gives
//! a zero for what it does not know.

mod combined;
mod command;
mod fetch;
mod figures;
pub mod file;
mod frozen;
pub mod host;
mod json;
mod mediamtx;
mod meter;
mod nginx_rtmp;
mod page;
mod plan;
mod prometheus;
mod readers;
mod srs;
mod stub_status;
mod wowza;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use tidegate_proto::{
    edge::Capacity,
    heartbeat::{BANDWIDTH_BPS_MAX, Load, Trouble, VIEWERS_MAX},
};

pub use self::{
    fetch::Login,
    plan::{Ask, Kind, Plan, Series},
    prometheus::Selector,
};
#[doc(hidden)]
pub use readers::read_as_every_kind;

/// A measured bandwidth above the configured one by this factor is no measurement.
const BANDWIDTH_OVER_CAPACITY_MAX: f64 = 1.5;

/// A century; no clock of a server shows more seconds.
const UPTIME_S_MAX: f64 = 3.2e9;

/// One measurement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Measurement {
    /// What the edge carries now; `None` in it is unknown.
    pub load: Load,
    /// Viewers by stream, named `application/stream`; `None`: unknown. A stream without viewers that
    /// the edge carries all the same is worth naming.
    pub streams: Option<BTreeMap<String, u32>>,
    /// What the media server says of itself.
    pub server: Server,
}

/// A media server's word about itself; `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Server {
    /// Its name and version, such as `nginx/1.22.1`.
    pub version: Option<String>,
    /// How long it has been running.
    #[serde(rename = "uptime_s", serialize_with = "whole_seconds")]
    pub uptime: Option<Duration>,
}

fn whole_seconds<S: serde::Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs()).serialize(serializer)
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
        Self { load, ..Self::default() }
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

/// Measures once and refuses figures that no edge of this capacity can have.
pub fn measure_checked(
    source: &mut dyn Source,
    capacity: &Capacity,
) -> Result<Measurement, Trouble> {
    let measurement = source.measure()?;
    if let Some(figure) = absurdity(&measurement.load) {
        return Err(trouble("source_absurd", format!("the source's {figure} is out of bounds")));
    }
    let (Some(sent), Some(most)) = (measurement.load.bandwidth_out_bps, capacity.bandwidth_bps)
    else {
        return Ok(measurement);
    };
    if sent as f64 > most as f64 * BANDWIDTH_OVER_CAPACITY_MAX {
        let text = format!(
            "the source says {sent} bit/s go out, more than {BANDWIDTH_OVER_CAPACITY_MAX} times \
             capacity.bandwidth_bps = {most}"
        );
        return Err(trouble("source_absurd", text));
    }
    Ok(measurement)
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
            let trouble = measure_checked(&mut source, &Capacity::default()).expect_err("absurd");
            assert_eq!(trouble.code, "source_absurd");
        }
        let mut fine = || Ok(Measurement::of_viewers(VIEWERS_MAX));
        assert!(measure_checked(&mut fine, &Capacity::default()).is_ok());
    }

    #[test]
    fn more_than_the_link_can_carry_is_absurd_only_where_the_link_is_known() {
        let capacity = Capacity { bandwidth_bps: Some(1_000), ..Capacity::default() };
        let sent = |bps| {
            let load = Load { bandwidth_out_bps: Some(bps), ..Load::default() };
            move || Ok(Measurement::of_load(load))
        };
        assert!(measure_checked(&mut sent(1_500), &capacity).is_ok());
        let trouble = measure_checked(&mut sent(1_501), &capacity).expect_err("absurd");
        assert_eq!(trouble.code, "source_absurd");
        assert!(trouble.text.contains("1501 bit/s"), "{}", trouble.text);
        assert!(measure_checked(&mut sent(u64::from(u32::MAX)), &Capacity::default()).is_ok());
    }
}
