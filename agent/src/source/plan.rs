//! What a configuration says about sources, checked, and made into the source that measures.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    Source,
    combined::Combined,
    command::CommandSource,
    fetch::{Fetch, Login},
    file::FileSource,
    host::HostSource,
    mediamtx::MediaMtx,
    nginx_rtmp::NginxRtmp,
    page::{Page, PageSource},
    prometheus::{Prometheus, Selector},
    srs::Srs,
    stub_status::StubStatus,
    wowza::Wowza,
};

/// A server has this share of an interval to answer, so that its silence is told within one.
const PATIENCE: f64 = 0.4;
const PATIENCE_MAX: Duration = Duration::from_secs(2);

/// One source as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The machine's own figures; viewers stay unknown.
    Host,
    /// A JSON file that a script replaces.
    File(PathBuf),
    /// A program and its arguments, which prints the same JSON.
    Command(Vec<String>),
    /// The statistics page (XML) of nginx's RTMP module.
    NginxRtmp(Ask),
    /// nginx's own `stub_status` page.
    NginxStubStatus(Ask),
    /// The HTTP API of SRS.
    Srs(Ask),
    /// The API (version 3) of MediaMTX, or its metrics page.
    MediaMtx(Ask),
    /// Wowza's connection counts (XML) or its REST API.
    Wowza(Ask),
    /// Any exporter.
    Prometheus(Ask, Series),
}

/// Where to ask, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// An `http://` URL.
    pub url: String,
    /// Where the server wants to know.
    pub login: Option<Login>,
}

/// Which metrics of an exporter mean what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Series {
    /// Figure (one of [`Series::FIGURES`]) to metric, such as `viewers` to
    /// `nginx_connections_active{state="writing"}`.
    pub metrics: BTreeMap<String, Selector>,
    /// The label that names the stream in the metric for `streams`.
    pub stream_label: String,
}

impl Series {
    /// The figures a metric can stand for. Rates in bits per second, `_total` in bytes.
    pub const FIGURES: [&'static str; 10] = [
        "viewers",
        "publishers",
        "bandwidth_out_bps",
        "bandwidth_in_bps",
        "bytes_out_total",
        "bytes_in_total",
        "cpu_utilization",
        "memory_utilization",
        "uptime_s",
        "streams",
    ];
}

impl Kind {
    /// The words for `source.kind`.
    pub const NAMES: [&'static str; 9] = [
        "host",
        "nginx-rtmp",
        "nginx-stub-status",
        "srs",
        "mediamtx",
        "wowza",
        "prometheus",
        "command",
        "file",
    ];

    /// Opens the source. What it then lacks is trouble in its measurements, not an error here.
    fn open(&self, patience: Duration) -> Box<dyn Source> {
        match self {
            Self::Host => Box::new(HostSource::default()),
            Self::File(path) => Box::new(FileSource::new(path.clone())),
            Self::Command(words) => Box::new(CommandSource::new(words.clone(), patience)),
            Self::NginxRtmp(ask) => ask.pages(NginxRtmp::default(), patience),
            Self::NginxStubStatus(ask) => ask.pages(StubStatus::default(), patience),
            Self::Srs(ask) => ask.pages(Srs, patience),
            Self::MediaMtx(ask) => ask.pages(MediaMtx, patience),
            Self::Wowza(ask) => ask.pages(Wowza, patience),
            Self::Prometheus(ask, series) => ask.pages(Prometheus::new(series.clone()), patience),
        }
    }
}

impl Ask {
    fn pages(&self, page: impl Page, patience: Duration) -> Box<dyn Source> {
        let fetch = Fetch::new(&self.url, self.login.clone(), patience);
        Box::new(PageSource::new(page, fetch))
    }
}

/// The sources of one edge, in the order in which they are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(pub Vec<Kind>);

impl Plan {
    /// Opens them as one source for an edge that reports at this interval.
    #[must_use]
    pub fn open(&self, interval: Duration) -> Box<dyn Source> {
        let patience = interval.mul_f64(PATIENCE).min(PATIENCE_MAX);
        let mut sources: Vec<_> = self.0.iter().map(|kind| kind.open(patience)).collect();
        match sources.len() {
            1 => sources.remove(0),
            _ => Box::new(Combined(sources)),
        }
    }
}
