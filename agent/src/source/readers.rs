//! Every reader of a stranger's text, in one place for fuzzing. A kind of source names its own here.

use std::collections::BTreeMap;

use tidegate_proto::heartbeat::Trouble;

use super::{
    Measurement, Series, figures, mediamtx, page::Reading, prometheus, srs, trouble, wowza,
};

/// What each reader makes of one text. Not for programs: they ask a [`Source`](super::Source).
#[doc(hidden)]
#[must_use]
pub fn read_as_every_kind(text: &str) -> Vec<Result<Measurement, Trouble>> {
    let mut readings: Vec<Result<Reading, Trouble>> = Vec::new();
    readings.extend(wowza::read_all(text));
    readings.push(srs::read_whole(text));
    readings.extend(mediamtx::read_all(text));
    readings.push(prometheus::read("http://e", text, &every_figure()));
    readings.push(figures::parse_moment(text).map_err(|(code, why)| trouble(code, why)));
    readings.into_iter().map(|reading| reading.map(measured)).collect()
}

/// A metric named like each figure.
fn every_figure() -> Series {
    let named = |figure: &str| Some((figure.to_owned(), figure.parse().ok()?));
    let metrics: BTreeMap<_, _> = Series::FIGURES.into_iter().filter_map(named).collect();
    Series { metrics, stream_label: "name".to_owned() }
}

fn measured(reading: Reading) -> Measurement {
    Measurement { load: reading.load, streams: reading.streams, server: reading.server }
}
