//! A media server's own pages: asked, read, metered, and doubted where they stand still.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tidegate_proto::heartbeat::{Load, Trouble};

use super::{
    Measurement, Server, Source,
    fetch::Fetch,
    frozen::{Signs, Watch},
    meter::{Counters, Meter},
    trouble,
};

/// What a server's pages say at one moment. `None` is unknown.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reading {
    /// Figures as the server has them. Its own rates stand only until counters give better ones.
    pub(super) load: Load,
    /// Those of the viewers to whom bytes must be flowing; `None`: all, where somebody publishes.
    pub(super) viewers_fed: Option<u32>,
    pub(super) bytes_out: Option<Counters>,
    pub(super) bytes_in: Option<Counters>,
    /// When the server counted those bytes, by its own clock; `None`: as it answered.
    pub(super) counted_at: Option<Duration>,
    /// Viewers by `application/stream`.
    pub(super) streams: Option<BTreeMap<String, u32>>,
    pub(super) server: Server,
}

/// One kind of media server: which pages to ask for, and how to read them.
pub(super) trait Page: Send + 'static {
    /// Asks and reads. A page that is not what it should be is trouble, never zero.
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble>;
}

/// A server that is asked at each measurement.
pub(super) struct PageSource<P> {
    page: P,
    fetch: Fetch,
    scales: Scales,
}

impl<P: Page> PageSource<P> {
    pub(super) fn new(page: P, fetch: Fetch) -> Self {
        Self { page, fetch, scales: Scales::default() }
    }
}

/// Makes a measurement of each reading by what the readings before it said.
#[derive(Default)]
pub(super) struct Scales {
    sent: Meter,
    received: Meter,
    watch: Watch,
    /// When the last bytes were counted, by the server's clock and by ours.
    counted: Option<(Duration, Instant)>,
}

impl Scales {
    /// When the bytes of a reading were counted. A server that counts every few seconds shows the
    /// same bytes twice in between, which by our clock would look like a pause.
    fn counted(&mut self, at: Option<Duration>, now: Instant) -> Instant {
        let Some(at) = at else { return now };
        if self.counted.is_some_and(|(last, _)| at < last) {
            // The server's clock was set back, so older readings say nothing about this one.
            (self.sent, self.received, self.counted) = Default::default();
        }
        let (last, then) = self.counted.unwrap_or((at, now));
        let then = then.checked_add(at - last).unwrap_or(now);
        self.counted = Some((at, then));
        then
    }

    /// Meters the counters of a reading of `place`, and doubts it where it stands still.
    pub(super) fn weigh(
        &mut self,
        place: &str,
        reading: Reading,
        now: Instant,
    ) -> Result<Measurement, Trouble> {
        let signs = Signs {
            uptime: reading.server.uptime,
            bytes_out: reading.bytes_out.as_ref(),
            viewers: reading.viewers_fed.or(reading.load.viewers),
            // A server may pull what nobody publishes to it; viewers who are fed allow for that.
            publishers: reading.load.publishers.filter(|_| reading.viewers_fed.is_none()),
        };
        if let Some(what) = self.watch.frozen(&signs, now) {
            let text = format!("the figures of {place} are frozen: {what}");
            return Err(trouble("source_frozen", text));
        }
        let counted = self.counted(reading.counted_at, now);
        let sent = reading.bytes_out.and_then(|bytes| self.sent.rate_bps(&bytes, counted));
        let received = reading.bytes_in.and_then(|bytes| self.received.rate_bps(&bytes, counted));
        let load = Load {
            bandwidth_out_bps: sent.or(reading.load.bandwidth_out_bps),
            bandwidth_in_bps: received.or(reading.load.bandwidth_in_bps),
            ..reading.load
        };
        Ok(Measurement { load, streams: reading.streams, server: reading.server })
    }
}

impl<P: Page> Source for PageSource<P> {
    fn measure(&mut self) -> Result<Measurement, Trouble> {
        let reading = self.page.read(&self.fetch)?;
        self.scales.weigh(self.fetch.place(), reading, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The code after twelve seconds without a byte.
    fn still(viewers_fed: Option<u32>) -> Option<String> {
        let (mut scales, start) = (Scales::default(), Instant::now());
        let mut code = None;
        for second in (0..=12).step_by(2) {
            let reading = Reading {
                load: Load { viewers: Some(5), publishers: Some(1), ..Load::default() },
                viewers_fed,
                bytes_out: Some([(String::new(), 7)].into()),
                server: Server { version: None, uptime: Some(Duration::from_secs(second)) },
                ..Reading::default()
            };
            let measured = scales.weigh("a page", reading, start + Duration::from_secs(second));
            code = measured.err().map(|trouble| trouble.code);
        }
        code
    }

    #[test]
    fn viewers_who_wait_need_no_byte() {
        assert_eq!(still(None).as_deref(), Some("source_frozen"));
        assert_eq!(still(Some(1)).as_deref(), Some("source_frozen"));
        assert_eq!(still(Some(0)), None);
    }
}
