//! Any exporter: which of its metrics is which figure stands in the configuration.

mod exposition;

use std::{collections::BTreeMap, time::Duration};

use tidegate_proto::heartbeat::{BANDWIDTH_BPS_MAX, Load, Trouble, VIEWERS_MAX};

use super::{
    Server,
    fetch::{Fetch, absurd, misread},
    meter::Counters,
    page::{Page, Reading},
    plan::Series,
    trouble,
};

pub use exposition::Selector;
pub(super) use exposition::{Sample, samples};

/// Above this a counter no longer counts single bytes, and a clock has run for 285 million years.
pub(super) const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A value as the whole number it must be, from zero to `most`, which is not above [`EXACT_MAX`].
pub(super) fn whole(value: f64, most: f64) -> Option<u64> {
    // The bounds make the cast exact.
    ((0.0..=most).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

/// One exporter and what its metrics mean.
pub(super) struct Prometheus {
    series: Series,
}

impl Prometheus {
    pub(super) fn new(series: Series) -> Self {
        Self { series }
    }
}

impl Page for Prometheus {
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble> {
        read(fetch.place(), &fetch.text("")?, &self.series)
    }
}

/// The figures on a page of `place`.
pub(super) fn read(place: &str, text: &str, series: &Series) -> Result<Reading, Trouble> {
    let samples = samples(text).map_err(|why| misread(place, why))?;
    let page = Figures { place, samples: &samples, series };
    Ok(Reading {
        load: Load {
            viewers: page.count("viewers")?,
            publishers: page.count("publishers")?,
            bandwidth_out_bps: page.rate_bps("bandwidth_out_bps")?,
            bandwidth_in_bps: page.rate_bps("bandwidth_in_bps")?,
            cpu_utilization: page.sum("cpu_utilization", 1.0)?,
            memory_utilization: page.sum("memory_utilization", 1.0)?,
        },
        bytes_out: page.counters("bytes_out_total")?,
        bytes_in: page.counters("bytes_in_total")?,
        streams: page.streams("streams")?,
        server: Server {
            version: None,
            uptime: page.sum("uptime_s", EXACT_MAX)?.map(Duration::from_secs_f64),
        },
        ..Reading::default()
    })
}

/// A page's samples, asked for by figure. A figure without a metric is unknown; a metric without a
/// sample is trouble.
struct Figures<'a> {
    place: &'a str,
    samples: &'a [Sample],
    series: &'a Series,
}

impl<'a> Figures<'a> {
    fn of(&self, figure: &str) -> Option<(&'a Selector, Vec<&'a Sample>)> {
        let selector = self.series.metrics.get(figure)?;
        Some((selector, self.samples.iter().filter(|sample| selector.matches(sample)).collect()))
    }

    /// As [`of`](Self::of), and there is one.
    fn some(&self, figure: &str) -> Result<Option<(&'a Selector, Vec<&'a Sample>)>, Trouble> {
        match self.of(figure) {
            Some((selector, found)) if found.is_empty() => {
                let text = format!("{} has no {selector} (for {figure})", self.place);
                Err(trouble("source_missing", text))
            }
            found => Ok(found),
        }
    }

    fn sum(&self, figure: &str, most: f64) -> Result<Option<f64>, Trouble> {
        let Some((selector, found)) = self.some(figure)? else { return Ok(None) };
        found
            .iter()
            .try_fold(0.0, |sum, sample| Ok(sum + self.within(selector, sample.value, most)?))
            .and_then(|sum| self.within(selector, sum, most))
            .map(Some)
    }

    fn within(&self, selector: &Selector, value: f64, most: f64) -> Result<f64, Trouble> {
        match (0.0..=most).contains(&value) {
            true => Ok(value),
            false => Err(absurd(self.place, &selector.to_string(), value)),
        }
    }

    fn whole(&self, selector: &Selector, value: f64, most: f64) -> Result<u64, Trouble> {
        whole(value, most).ok_or_else(|| absurd(self.place, &selector.to_string(), value))
    }

    fn count(&self, figure: &str) -> Result<Option<u32>, Trouble> {
        let Some(sum) = self.sum(figure, f64::from(VIEWERS_MAX))? else { return Ok(None) };
        let Some(selector) = self.series.metrics.get(figure) else { return Ok(None) };
        Ok(Some(self.whole(selector, sum, f64::from(VIEWERS_MAX))? as u32))
    }

    fn rate_bps(&self, figure: &str) -> Result<Option<u64>, Trouble> {
        Ok(self.sum(figure, BANDWIDTH_BPS_MAX as f64)?.map(|rate| rate.round() as u64))
    }

    /// Each sample counts for itself, so that one that begins anew does not hide the others.
    fn counters(&self, figure: &str) -> Result<Option<Counters>, Trouble> {
        let Some((selector, found)) = self.some(figure)? else { return Ok(None) };
        let counter = |sample: &&Sample| {
            let bytes = self.within(selector, sample.value, EXACT_MAX)?;
            Ok((format!("{:?}", sample.labels), bytes as u64))
        };
        found.iter().map(counter).collect::<Result<_, _>>().map(Some)
    }

    /// Viewers by the label that names the stream. An exporter that carries no stream has no sample to
    /// show, so none is no trouble here; it is not taken for none either.
    fn streams(&self, figure: &str) -> Result<Option<BTreeMap<String, u32>>, Trouble> {
        let Some((selector, found)) = self.of(figure) else { return Ok(None) };
        let label = &self.series.stream_label;
        let mut streams = BTreeMap::new();
        for sample in &found {
            let stream = sample.labels.get(label).ok_or_else(|| {
                let text = format!("{} has {selector} without the label {label:?}", self.place);
                trouble("source_missing", text)
            })?;
            let viewers = self.whole(selector, sample.value, f64::from(VIEWERS_MAX))? as u32;
            let sum: &mut u32 = streams.entry(stream.clone()).or_default();
            *sum = sum.saturating_add(viewers);
        }
        Ok((!found.is_empty()).then_some(streams))
    }
}

#[cfg(test)]
mod tests;
