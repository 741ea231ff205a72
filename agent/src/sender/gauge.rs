//! Measures on a thread of its own, so that a slow source delays no heartbeat, and shortly before
//! heartbeats, so that what they say is as old as they are: a redirector reckons by that.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, mpsc as std_mpsc},
    thread,
    time::{Duration, Instant},
};

use tidegate_proto::{
    edge::Capacity,
    heartbeat::{Load, Trouble},
    stream::Streams,
};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

use super::Shared;
use crate::{
    limit::ViewerLimit,
    source::{Measurement, Server, Source, measure_checked, trouble},
};

/// Measurements are at least this share of an interval apart, however many targets there are: the
/// rates that some sources make of two of them would be noise.
const APART: f64 = 0.25;
/// After so many intervals without a heartbeat that asks, it is measured all the same.
const UNASKED: f64 = 1.5;

type Measured = Result<Measurement, Trouble>;

/// What heartbeats say of a measurement.
#[derive(Debug, Clone, PartialEq, Default)]
struct Reading {
    load: Load,
    streams: Option<Arc<Streams>>,
    server: Server,
    trouble: Option<Trouble>,
}

/// The measuring thread's two ends.
pub(super) struct Thread {
    requests: std_mpsc::SyncSender<()>,
    answers: mpsc::Receiver<Measured>,
}

/// Starts the thread; it ends when its requests do.
pub(super) fn start_thread(mut source: Box<dyn Source>, capacity: Capacity) -> io::Result<Thread> {
    let (requests, asked) = std_mpsc::sync_channel(1);
    let (answer, answers) = mpsc::channel(1);
    thread::Builder::new().name("tidegate-source".to_owned()).spawn(move || {
        while asked.recv().is_ok() {
            if answer.blocking_send(measure_checked(source.as_mut(), &capacity)).is_err() {
                return;
            }
        }
    })?;
    Ok(Thread { requests, answers })
}

/// Measures whenever a heartbeat is about to be sent, until the edge stops.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut thread: Thread,
    limit: Option<ViewerLimit>,
    mut stopped: watch::Receiver<()>,
) {
    let mut ticks = tokio::time::interval(shared.profile.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gauge = Gauge::new(shared.profile.interval, Instant::now());
    let mut alive = true;
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = shared.wanted.notified() => {
                if alive && gauge.is_older_than(APART, Instant::now()) {
                    gauge.waiting = thread.requests.try_send(()).is_ok();
                }
            }
            _ = ticks.tick() => {
                if alive && gauge.is_older_than(UNASKED, Instant::now()) {
                    gauge.waiting = thread.requests.try_send(()).is_ok();
                }
            }
            answer = thread.answers.recv(), if alive => {
                alive = answer.is_some();
                let lost = || Err(trouble("source_failed", "the source broke down; restart the agent"));
                gauge.take(answer.unwrap_or_else(lost), Instant::now(), alive);
            }
        }
        publish(&shared, &gauge, limit, Instant::now());
    }
}

fn publish(shared: &Shared, gauge: &Gauge, limit: Option<ViewerLimit>, now: Instant) {
    let Reading { load, streams, server, trouble } = gauge.reading(now);
    shared.state.send_if_modified(|state| {
        let measured = gauge.last.is_some();
        log_change(state.trouble.as_ref(), trouble.as_ref());
        let full = limit.is_some_and(|limit| limit.is_full(state.full, load.viewers));
        if full != state.full {
            tracing::info!(full, viewers = load.viewers, "the viewer limit");
        }
        let changed = state.trouble != trouble
            || state.load != load
            || state.streams != streams
            || state.server != server
            || state.full != full
            || state.measured != measured;
        (state.load, state.measured, state.trouble) = (load, measured, trouble);
        (state.streams, state.server, state.full) = (streams, server, full);
        changed
    });
}

/// A line for each kind of trouble and its end, however long it lasts.
fn log_change(before: Option<&Trouble>, now: Option<&Trouble>) {
    let code = |trouble: &Trouble| trouble.code.clone();
    match now {
        _ if before.map(code) == now.map(code) => {}
        Some(Trouble { code, text }) => tracing::warn!(code, text, "the edge doubts its figures"),
        None => tracing::info!("the edge has figures again"),
    }
}

/// What is known of the load, and how old it may become.
struct Gauge {
    interval: Duration,
    began: Instant,
    waiting: bool,
    last: Option<(Reading, Instant)>,
    /// A source that is gone says nothing newer, and slow is not its trouble.
    gone: bool,
}

impl Gauge {
    fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, began: now, waiting: false, last: None, gone: false }
    }

    /// Whether the last figures are older than this share of an interval and no newer ones are on
    /// the way.
    fn is_older_than(&self, intervals: f64, now: Instant) -> bool {
        let age = self.last.as_ref().map(|(_, at)| now.saturating_duration_since(*at));
        !self.waiting && age.is_none_or(|age| age >= self.interval.mul_f64(intervals))
    }

    fn take(&mut self, measured: Measured, now: Instant, alive: bool) {
        self.waiting = false;
        self.gone = !alive;
        let reading = match measured {
            Ok(measurement) => Reading::of(measurement),
            Err(trouble) => Reading { trouble: Some(trouble), ..Reading::default() },
        };
        self.last = Some((reading, now));
    }

    fn reading(&self, now: Instant) -> Reading {
        let at = self.last.as_ref().map_or(self.began, |(_, at)| *at);
        let stale = now.saturating_duration_since(at) > self.interval * 2 && !self.gone;
        if stale && self.waiting {
            let text = "the source has not answered for two intervals";
            return Reading { trouble: Some(trouble("source_slow", text)), ..Reading::default() };
        }
        self.last.as_ref().map(|(reading, _)| reading.clone()).unwrap_or_default()
    }
}

impl Reading {
    fn of(measurement: Measurement) -> Self {
        let hashed = |streams: BTreeMap<String, u32>| {
            Streams::of_names(streams.iter().map(|(name, viewers)| (name.as_str(), *viewers)))
        };
        let streams = measurement.streams.map(|streams| Arc::new(hashed(streams)));
        Self { load: measurement.load, streams, server: measurement.server, trouble: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn code(gauge: &Gauge, now: Instant) -> Option<String> {
        gauge.reading(now).trouble.map(|trouble| trouble.code)
    }

    #[test]
    fn old_figures_hold_for_two_intervals_and_then_are_unknown() {
        let start = Instant::now();
        let mut gauge = Gauge::new(INTERVAL, start);
        gauge.take(Ok(Measurement::of_viewers(5)), start, true);
        gauge.waiting = true;
        let reading = gauge.reading(start + INTERVAL * 2);
        assert_eq!((reading.load.viewers, reading.trouble), (Some(5), None));
        let late = start + INTERVAL * 2 + Duration::from_millis(1);
        assert_eq!(gauge.reading(late).load, Load::default());
        assert_eq!(code(&gauge, late).as_deref(), Some("source_slow"));
        gauge.take(Ok(Measurement::of_viewers(6)), late, true);
        assert_eq!(gauge.reading(late).load.viewers, Some(6));
    }

    #[test]
    fn a_measurement_waits_for_the_last_one_and_for_its_time() {
        let start = Instant::now();
        let mut gauge = Gauge::new(INTERVAL, start);
        assert!(gauge.is_older_than(APART, start), "nothing was measured yet");
        gauge.waiting = true;
        assert!(!gauge.is_older_than(APART, start + INTERVAL * 5), "one is under way");
        gauge.take(Ok(Measurement::of_viewers(5)), start, true);
        assert!(!gauge.is_older_than(APART, start + INTERVAL / 5));
        assert!(gauge.is_older_than(APART, start + INTERVAL / 4));
    }

    #[test]
    fn a_source_that_never_answers_is_slow_and_not_idle() {
        let start = Instant::now();
        let mut gauge = Gauge::new(INTERVAL, start);
        gauge.waiting = true;
        assert_eq!(code(&gauge, start), None);
        assert_eq!(code(&gauge, start + INTERVAL * 3).as_deref(), Some("source_slow"));
    }

    #[test]
    fn trouble_carries_no_figures() {
        let start = Instant::now();
        let mut gauge = Gauge::new(INTERVAL, start);
        let five = Measurement::of_viewers(5).with_streams([("live/a".into(), 5)]);
        gauge.take(Ok(five), start, true);
        assert!(gauge.reading(start).streams.is_some());
        gauge.take(Err(trouble("source_missing", "gone")), start, true);
        assert_eq!(gauge.reading(start).load, Load::default());
        assert_eq!(gauge.reading(start).streams, None);
        assert_eq!(code(&gauge, start).as_deref(), Some("source_missing"));
    }

    #[test]
    fn a_source_that_broke_down_stays_broken() {
        let start = Instant::now();
        let mut gauge = Gauge::new(INTERVAL, start);
        gauge.take(Err(trouble("source_failed", "gone")), start, false);
        assert_eq!(code(&gauge, start + INTERVAL * 9).as_deref(), Some("source_failed"));
    }
}
