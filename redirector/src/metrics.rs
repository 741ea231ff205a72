//! Every metric of the redirector: one table of what is measured and how it is read, and the two
//! ways out, Prometheus text on request and OTLP when a collector is configured.
//!
//! Values are read when somebody looks. No label ever holds text from outside: no edge names, no
//! addresses, no paths.

mod last_balance;
mod table;

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter, MeterProvider},
};
use opentelemetry_otlp::{MetricExporter, WithExportConfig};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::{Registry, TextEncoder};
use tidegate_control::{
    fleet::{Figures, Fleet},
    publish::Snapshot,
    selection::Balance,
    snapshot::FleetView,
};

use self::last_balance::LastBalance;
pub use self::table::METRICS;
use crate::{
    clients::Clients,
    figures::IngestFigures,
    front::FrontFigures,
    telemetry::{self, Collector},
};

/// How often a collector is sent the figures.
const PUSH_EVERY: Duration = Duration::from_secs(15);

/// What metrics need of the fleet.
pub trait Observed: Send + Sync {
    /// The fleet as last published.
    fn view(&self) -> Arc<FleetView> {
        self.snapshot().fleet
    }

    /// The same with what picks draw from.
    fn snapshot(&self) -> Snapshot;

    /// What its writer counts.
    fn figures(&self) -> &Figures;
}

impl Observed for Fleet {
    fn snapshot(&self) -> Snapshot {
        self.published().copy()
    }

    fn figures(&self) -> &Figures {
        Self::figures(self)
    }
}

/// Where the figures are read.
#[derive(Clone)]
pub struct Sources {
    /// The heartbeat path.
    pub ingest: Arc<IngestFigures>,
    /// The fleet.
    pub fleet: Arc<dyn Observed>,
    /// What clients were answered.
    pub clients: Clients,
    /// The connections of clients.
    pub front: Arc<FrontFigures>,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    /// The word for documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The label it is split by; empty: none.
    pub label: &'static str,
    /// What it tells.
    pub help: &'static str,
    read: fn(&Sources, &mut Reading<'_>),
}

/// Takes the values of one metric at one moment.
struct Reading<'a> {
    label: &'static str,
    observer: &'a dyn AsyncInstrument<f64>,
    last_balance: &'a LastBalance,
}

impl Reading<'_> {
    /// The value of a metric without a label. Counts are exact up to 2^53.
    fn value(&mut self, value: f64) {
        self.observer.observe(value, &[]);
    }

    fn count(&mut self, count: u64) {
        self.value(count as f64);
    }

    fn flag(&mut self, flag: bool) {
        self.value(if flag { 1.0 } else { 0.0 });
    }

    fn balance(&self, from: &Sources) -> Balance {
        self.last_balance.of(&from.fleet.snapshot())
    }

    /// The value under one label.
    fn under(&mut self, label: impl Into<opentelemetry::Value>, value: f64) {
        self.observer.observe(value, &[KeyValue::new(self.label, label)]);
    }

    /// A count for each of several labels.
    fn counts(&mut self, counts: impl Iterator<Item = (&'static str, u64)>) {
        for (label, count) in counts {
            self.under(label, count as f64);
        }
    }
}

/// Every metric, ready to be read.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

/// The metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct MetricsError(String);

impl Metrics {
    /// Registers every metric, and sends them to `collector` where there is one; that needs the
    /// tokio runtime.
    pub fn new(sources: &Sources, collector: Option<&Collector>) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_counter_suffixes()
            .without_units()
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .map_err(|error| MetricsError(error.to_string()))?;
        let mut provider =
            SdkMeterProvider::builder().with_resource(telemetry::resource()).with_reader(exporter);
        if let Some(collector) = collector {
            provider = provider.with_reader(push_to(collector)?);
        }
        let provider = provider.build();
        let meter = provider.meter("tidegate");
        let last_balance = Arc::new(LastBalance::default());
        for metric in METRICS {
            register(&meter, metric, sources.clone(), Arc::clone(&last_balance));
        }
        Ok(Self { registry, provider })
    }

    /// The current figures as Prometheus text (exposition format 0.0.4).
    #[must_use]
    pub fn render(&self) -> String {
        // Encoding into a string fails only for metrics without a name, which no table row has.
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    /// Sends what is left to the collector; gives up after [`telemetry::FLUSH_LIMIT`].
    pub async fn shutdown(self) {
        telemetry::flush(move || {
            let _ = self.provider.shutdown();
        })
        .await;
    }
}

fn push_to(collector: &Collector) -> Result<PeriodicReader<MetricExporter>, MetricsError> {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(collector.endpoint())
        .with_timeout(telemetry::FLUSH_LIMIT)
        .build()
        .map_err(|error| MetricsError(error.to_string()))?;
    Ok(PeriodicReader::builder(exporter).with_interval(PUSH_EVERY).build())
}

fn register(
    meter: &Meter,
    metric: &'static Metric,
    sources: Sources,
    last_balance: Arc<LastBalance>,
) {
    let read = move |observer: &dyn AsyncInstrument<f64>| {
        let last_balance = &last_balance;
        let mut reading = Reading { label: metric.label, observer, last_balance };
        (metric.read)(&sources, &mut reading);
    };
    // The meter keeps the callback; the handle it returns is of no further use.
    match metric.kind {
        Kind::Counter => {
            let counter = meter.f64_observable_counter(metric.name);
            let _ = counter.with_description(metric.help).with_callback(read).build();
        }
        Kind::Gauge => {
            let gauge = meter.f64_observable_gauge(metric.name);
            let _ = gauge.with_description(metric.help).with_callback(read).build();
        }
    }
}

#[cfg(test)]
mod tests;
