//! The metrics page.
//! <https://mediamtx.org/docs/usage/metrics>

use std::collections::{BTreeMap, BTreeSet};

use tidegate_proto::heartbeat::Trouble;

use super::{HLS_MUXER, is_internal};
use crate::source::{
    fetch::{absurd, misread},
    json::bounded,
    meter::Counters,
    page::Reading,
    prometheus::{EXACT_MAX, Sample, samples, whole},
};

/// The series of things that can publish, each with a `state`.
const PUBLISHERS: [&str; 7] = [
    "rtsp_sessions",
    "rtsps_sessions",
    "rtmp_conns",
    "rtmps_conns",
    "srt_conns",
    "webrtc_sessions",
    "moq_sessions",
];

/// Reads the page's text.
pub(super) fn reading(place: &str, text: &str) -> Result<Reading, Trouble> {
    let samples = samples(text).map_err(|why| misread(place, why))?;
    let page = Samples { place, samples: &samples };
    // Without any path the page still has this, as a bare zero.
    if page.named("paths").next().is_none() {
        return Err(misread(place, "it has no paths; is this MediaMTX's metrics page?"));
    }
    let mut reading = Reading { streams: Some(page.streams()?), ..Reading::default() };
    reading.load.viewers = page.viewers()?;
    reading.load.publishers = Some(page.publishers()?);
    let counts_hls = page.has("hls_sessions");
    let mut sent = page.bytes("paths", "name", ["outbound_bytes", "bytes_sent"])?;
    if !counts_hls {
        // Versions that count HLS by session have its bytes among those of the paths.
        sent.extend(page.bytes("hls_muxers", "name", ["outbound_bytes", "bytes_sent"])?);
    }
    reading.bytes_out = Some(sent);
    reading.bytes_in = Some(page.bytes("paths", "name", ["inbound_bytes", "bytes_received"])?);
    Ok(reading)
}

struct Samples<'a> {
    place: &'a str,
    samples: &'a [Sample],
}

impl<'a> Samples<'a> {
    fn named(&self, name: &str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some()
    }

    /// A sample's value as the count it must be.
    fn whole(&self, sample: &Sample) -> Result<u64, Trouble> {
        whole(sample.value, EXACT_MAX).ok_or_else(|| absurd(self.place, &sample.name, sample.value))
    }

    /// The readers of each path that is ready or has some.
    fn streams(&self) -> Result<BTreeMap<String, u32>, Trouble> {
        let mut streams: BTreeMap<String, u64> = BTreeMap::new();
        for path in self.named("paths") {
            if let (Some(name), Some("ready")) = (label(path, "name"), label(path, "state")) {
                streams.entry(name.to_owned()).or_default();
            }
        }
        for readers in self.named("paths_readers") {
            let count = self.people(readers)?;
            if let Some(name) = label(readers, "name").filter(|_| count > 0) {
                let of_path = streams.entry(name.to_owned()).or_default();
                *of_path = of_path.saturating_add(count);
            }
        }
        for muxed in self.muxed_paths() {
            // Where readers have no type, the muxer is one of them.
            streams
                .entry(muxed.to_owned())
                .and_modify(|readers| *readers = readers.saturating_sub(1));
        }
        let bounded = |(name, count)| Ok((name, bounded(self.place, "paths_readers", count)?));
        streams.into_iter().map(bounded).collect()
    }

    /// Readers that are people.
    fn people(&self, readers: &Sample) -> Result<u64, Trouble> {
        let count = self.whole(readers)?;
        let internal = readers.labels.get("readerType").is_some_and(|kind| is_internal(kind));
        Ok(if internal { 0 } else { count })
    }

    /// Paths whose readers have no type and for which HLS is cut.
    fn muxed_paths(&self) -> BTreeSet<&'a str> {
        if self.named("paths_readers").any(|readers| readers.labels.contains_key("readerType")) {
            return BTreeSet::new();
        }
        self.named("hls_muxers").filter_map(|muxer| label(muxer, "name")).collect()
    }

    /// `None` where people watch whom the page does not count.
    fn viewers(&self) -> Result<Option<u32>, Trouble> {
        let muxes = self.named("hls_muxers").any(|muxer| muxer.value > 0.0);
        let muxer_reads = self
            .named("paths_readers")
            .any(|readers| label(readers, "readerType") == Some(HLS_MUXER) && readers.value > 0.0);
        let uncounted = muxer_reads || (muxes && !self.has("hls_sessions"));
        if uncounted || !self.counts_readers() {
            return Ok(None);
        }
        let mut viewers = 0u64;
        for readers in self.named("paths_readers") {
            viewers = viewers.saturating_add(self.people(readers)?);
        }
        Ok(Some(bounded(self.place, "the number of readers", viewers)?))
    }

    /// Old versions count no readers; a page without paths has none to count.
    fn counts_readers(&self) -> bool {
        self.has("paths_readers") || self.named("paths").all(|path| path.value == 0.0)
    }

    fn publishers(&self) -> Result<u32, Trouble> {
        let mut publishers = 0u64;
        for sample in PUBLISHERS.into_iter().flat_map(|name| self.named(name)) {
            if label(sample, "state") == Some("publish") {
                publishers = publishers.saturating_add(self.whole(sample)?);
            }
        }
        bounded(self.place, "the number of publishers", publishers)
    }

    /// Bytes by thing, under the first of the names that the page has.
    fn bytes(&self, things: &str, key: &str, names: [&str; 2]) -> Result<Counters, Trouble> {
        let series = names.map(|name| format!("{things}_{name}"));
        let Some(series) = series.into_iter().find(|series| self.has(series)) else {
            return Ok(Counters::new());
        };
        let named = self.named(&series).filter_map(|sample| Some((label(sample, key)?, sample)));
        named.map(|(name, sample)| Ok((format!("{things} {name}"), self.whole(sample)?))).collect()
    }
}

fn label<'a>(sample: &'a Sample, key: &str) -> Option<&'a str> {
    sample.labels.get(key).map(String::as_str)
}
