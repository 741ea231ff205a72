//! Logs to standard error, and traces to an OpenTelemetry collector where one is configured.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use http::Uri;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::{sync::oneshot, time::timeout};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, fmt, layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// How long the last traces and metrics may take to leave when the process stops.
pub const FLUSH_LIMIT: Duration = Duration::from_secs(3);

const SERVICE_NAME: &str = "tidegate-redirector";

/// Why telemetry was refused. Each message names the key.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error(
        "telemetry.log: {text:?} is no log filter ({cause}); write a level such as \"info\", or levels by target such as \"info,tidegate_redirector=debug\""
    )]
    BadFilter {
        /// What was given.
        text: String,
        /// What is wrong with it.
        cause: String,
    },
    /// Neither of the formats.
    #[error("telemetry.log_format: {0:?} is neither \"text\" nor \"json\"")]
    BadFormat(String),
    /// The collector's address is none.
    #[error(
        "telemetry.otlp_endpoint: {text:?} {cause}; write the address of a collector that speaks OTLP over gRPC, such as \"http://127.0.0.1:4317\""
    )]
    BadEndpoint {
        /// What was given.
        text: String,
        /// What is wrong with it.
        cause: String,
    },
    /// There is a subscriber already.
    #[error("logging was set up before")]
    SetUpBefore,
}

/// Where OTLP goes: an address that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector(Uri);

impl Collector {
    /// Reads `telemetry.otlp_endpoint`; empty means none.
    pub fn parse(text: &str) -> Result<Option<Self>, TelemetryError> {
        if text.is_empty() {
            return Ok(None);
        }
        let bad = |cause: &str| TelemetryError::BadEndpoint {
            text: text.to_owned(),
            cause: cause.to_owned(),
        };
        let uri: Uri = text.parse().map_err(|_| bad("is no URL"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http"), Some(host)) if !host.is_empty() => Ok(Some(Self(uri))),
            (Some("https"), _) => {
                Err(bad("asks for TLS, which a collector beside the redirector does not need"))
            }
            _ => Err(bad("is no http:// URL")),
        }
    }

    /// The address, for exporters.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.0.to_string()
    }
}

/// Checks `telemetry.log` and `telemetry.otlp_endpoint` without setting anything up.
pub fn check(log: &str, otlp_endpoint: &str) -> Result<(), TelemetryError> {
    filter(log)?;
    Collector::parse(otlp_endpoint).map(drop)
}

fn filter(log: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(log).map_err(|error| TelemetryError::BadFilter {
        text: log.to_owned(),
        cause: error.to_string(),
    })
}

/// Keeps telemetry running.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sets up logging for the whole process, from the keys of `[telemetry]`. With a collector it
    /// needs the tokio runtime.
    pub fn init(
        log: &str,
        log_format: &str,
        collector: Option<&Collector>,
    ) -> Result<Self, TelemetryError> {
        let filter = filter(log)?;
        let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
        let lines: Box<dyn Layer<Registry> + Send + Sync> = match log_format {
            "text" => lines.with_filter(filter).boxed(),
            "json" => lines.json().with_ansi(false).with_filter(filter).boxed(),
            other => return Err(TelemetryError::BadFormat(other.to_owned())),
        };
        let traces = collector.map(tracer_provider).transpose()?;
        tracing_subscriber::registry()
            .with(lines)
            .with(traces.as_ref().map(spans))
            .try_init()
            .map_err(|_| TelemetryError::SetUpBefore)?;
        Ok(Self { traces })
    }

    /// Sends what is left to the collector; gives up after [`FLUSH_LIMIT`].
    pub async fn shutdown(self) {
        if let Some(traces) = self.traces {
            flush(move || {
                let _ = traces.shutdown_with_timeout(FLUSH_LIMIT);
            })
            .await;
        }
    }
}

/// Who sends, in traces and metrics.
pub(crate) fn resource() -> Resource {
    Resource::builder().with_service_name(SERVICE_NAME).build()
}

/// Runs a blocking farewell, but waits no longer than [`FLUSH_LIMIT`] for it.
pub(crate) async fn flush(farewell: impl FnOnce() + Send + 'static) {
    // No runtime's thread, because a runtime that ends would wait for it.
    let _ = timeout(FLUSH_LIMIT, on_own_thread(farewell)).await;
}

async fn on_own_thread(farewell: impl FnOnce() + Send + 'static) {
    let (done, finished) = oneshot::channel();
    std::thread::spawn(move || {
        farewell();
        let _ = done.send(());
    });
    let _ = finished.await;
}

fn tracer_provider(collector: &Collector) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(collector.endpoint())
        .with_timeout(FLUSH_LIMIT)
        .build()
        .map_err(|error| TelemetryError::BadEndpoint {
            text: collector.endpoint(),
            cause: format!("cannot be used ({error})"),
        })?;
    Ok(SdkTracerProvider::builder().with_resource(resource()).with_batch_exporter(exporter).build())
}

/// Our own spans only: those of the exporter's HTTP client would make more of themselves.
fn spans<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span> + Send + Sync,
{
    let own = filter_fn(|about| about.target().starts_with("tidegate"));
    tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE_NAME)).with_filter(own)
}

#[cfg(test)]
pub(crate) mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    /// Where a collector would listen, and the collector as configured.
    pub(crate) async fn collector() -> (TcpListener, Collector) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        (listener, Collector::parse(&endpoint).expect("allowed").expect("given"))
    }

    /// Whoever comes speaks HTTP/2, as gRPC does (RFC 9113 section 3.4).
    pub(crate) async fn hear_http2(listener: &TcpListener) {
        let (mut connection, _) = listener.accept().await.expect("it connects");
        let mut preface = [0; 14];
        connection.read_exact(&mut preface).await.expect("it speaks");
        assert_eq!(&preface, b"PRI * HTTP/2.0");
    }

    #[test]
    fn each_bad_key_is_named() {
        let init = |log, format| Telemetry::init(log, format, None).expect_err("refused");
        let filter = init("tidegate=loud", "text").to_string();
        assert!(filter.starts_with("telemetry.log:") && filter.contains("tidegate=loud"));
        let format = init("info", "xml").to_string();
        assert!(format.starts_with("telemetry.log_format:") && format.contains("xml"));
        for text in ["4317", "ftp://a:1", "https://a:4317", "http://", "a b", "127.0.0.1:4317"] {
            let endpoint = Collector::parse(text).expect_err("refused").to_string();
            assert!(endpoint.starts_with("telemetry.otlp_endpoint:") && endpoint.contains(text));
        }
    }

    #[test]
    fn an_empty_endpoint_is_none_and_a_good_one_is_kept() {
        assert_eq!(Collector::parse("").expect("allowed"), None);
        let collector = Collector::parse("http://127.0.0.1:4317").expect("allowed");
        assert_eq!(collector.expect("given").endpoint(), "http://127.0.0.1:4317/");
    }

    #[tokio::test]
    async fn a_farewell_holds_up_no_task_but_its_own() {
        let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
        let hanging = on_own_thread(move || {
            let _ = held.recv();
        });
        assert!(timeout(Duration::from_millis(1), hanging).await.is_err(), "it can be given up");
        drop(release);
        flush(|| {}).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn spans_reach_the_collector_before_the_end() {
        let (listener, collector) = collector().await;
        let traces = tracer_provider(&collector).expect("a good address");
        let subscriber = tracing_subscriber::registry().with(spans(&traces));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info_span!(target: "tidegate_test", "one").in_scope(|| {});
        });
        let end = Telemetry { traces: Some(traces) }.shutdown();
        tokio::join!(hear_http2(&listener), end);
    }
}
