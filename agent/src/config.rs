//! The agent's configuration: its keys, their defaults, and every rule they must hold.

mod check;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize, Serializer};
use tidegate_proto::{edge::Labels, heartbeat::INTERVAL_DEFAULT, settings::Setting};

pub use check::{Checked, Refused, name_of_host};

/// What environment variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "TIDEGATE_AGENT";

/// The file's keys. Each scalar one is also a flag and a variable ([`SETTINGS`]).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What operators call the edge; "" = the host name.
    pub name: String,
    /// Where the edge's UUID is kept.
    pub state_dir: PathBuf,
    /// The redirectors and their keys.
    pub targets_file: PathBuf,
    /// The time between two heartbeats.
    #[serde(serialize_with = "in_seconds", deserialize_with = "humantime_serde::deserialize")]
    pub interval: Duration,
    /// Where clients are sent; "" = the address of the interface that reaches the first target.
    pub redirect_address: String,
    /// Free text by key, for the operator.
    pub labels: Labels,
    /// What clients may be sent to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoint: Vec<EndpointConfig>,
    /// What the edge can carry.
    pub capacity: CapacityConfig,
    /// When the edge takes no more viewers of its own accord.
    pub limit: LimitConfig,
    /// Where figures come from.
    pub source: SourceConfig,
    /// The agent's own HTTP listener.
    pub control: ControlConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
}

/// `[[endpoint]]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointConfig {
    /// http, https, rtmp, rtmps, rtmpt or rtmpts.
    pub scheme: String,
    /// 1 to 65535.
    pub port: u16,
}

/// `[capacity]`; 0 is unknown.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapacityConfig {
    /// Viewers at the same time.
    pub viewers: u32,
    /// Outgoing bits per second.
    pub bandwidth_bps: u64,
    /// Whose speed stands in for `bandwidth_bps`: "" nobody's, `auto`, or an interface.
    pub link: String,
}

/// `[limit]`; 0 viewers: no limit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitConfig {
    /// So many viewers, and the edge takes no new ones.
    pub viewers: u32,
    /// So few, and it takes them again; 0: nine tenths of `viewers`.
    pub resume_viewers: u32,
}

/// `[source]`. Keys that a kind does not read are left alone, so that a flag can change the kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceConfig {
    /// One of [`Kind::NAMES`](crate::source::Kind::NAMES).
    pub kind: String,
    /// For kinds that ask a media server.
    pub url: String,
    /// For servers that want to know who asks.
    pub user: String,
    /// The file with that user's password.
    pub password_file: PathBuf,
    /// For `file`.
    pub path: PathBuf,
    /// For `command`: a program and its arguments.
    pub command: Vec<String>,
    /// For `prometheus`: which figure is which metric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, String>,
    /// For `prometheus`: the label that names the stream in the metric for `streams`.
    pub stream_label: String,
    /// Further sources, which fill in what this one does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<SourceConfig>,
}

/// `[control]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// Address and port; port 0 = any free one.
    pub listen: String,
}

/// `[telemetry]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// A level, or directives such as `info,tidegate_agent=debug`.
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::new(),
            state_dir: "/var/lib/tidegate-agent".into(),
            targets_file: "loadbalancertargets.txt".into(),
            interval: INTERVAL_DEFAULT,
            redirect_address: String::new(),
            labels: Labels::new(),
            endpoint: Vec::new(),
            capacity: CapacityConfig::default(),
            limit: LimitConfig::default(),
            source: SourceConfig::default(),
            control: ControlConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            kind: "host".into(),
            url: String::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            path: PathBuf::new(),
            command: Vec::new(),
            metrics: BTreeMap::new(),
            stream_label: "name".into(),
            also: Vec::new(),
        }
    }
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { listen: "127.0.0.1:1938".into() }
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".into(), log_format: LogFormat::default() }
    }
}

fn in_seconds<S: Serializer>(interval: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{}s", interval.as_secs_f64()))
}

/// Every scalar key. `labels`, `endpoint`, `source.metrics` and `source.also` stand in the file only.
pub const SETTINGS: &[Setting] = &[
    Setting { path: "name", help: "What operators call this edge; empty: the host name" },
    Setting { path: "state_dir", help: "Folder that keeps the edge's UUID" },
    Setting { path: "targets_file", help: "File with a line host,port,key for each redirector" },
    Setting { path: "interval", help: "Time between two heartbeats, 100ms to 60s" },
    Setting {
        path: "redirect_address",
        help: "Host or address clients are sent to; ${env:NAME}, ${ec2:public-ipv4} and its like, \
               ${interface:eth0} and ${interface6:eth0} are replaced; empty: the address of the \
               interface that reaches the first target",
    },
    Setting { path: "capacity.viewers", help: "Viewers this edge can carry; 0: unknown" },
    Setting { path: "capacity.bandwidth_bps", help: "Bits per second it can send; 0: unknown" },
    Setting { path: "limit.viewers", help: "At so many viewers it takes no new ones; 0: no limit" },
    Setting {
        path: "limit.resume_viewers",
        help: "At so few it takes them again; 0: nine tenths of limit.viewers",
    },
    Setting {
        path: "capacity.link",
        help: "Network interface whose speed stands in for capacity.bandwidth_bps; auto: the one \
               that reaches the first target; empty: none",
    },
    Setting {
        path: "source.kind",
        help: "Where figures come from: host, nginx-rtmp, nginx-stub-status, srs, mediamtx, wowza, \
               prometheus, command or file",
    },
    Setting { path: "source.url", help: "Where to ask, for kinds that ask a media server" },
    Setting { path: "source.user", help: "As whom to ask; empty: nobody" },
    Setting { path: "source.password_file", help: "File with that user's password" },
    Setting { path: "source.path", help: "The JSON file, for the kind `file`" },
    Setting { path: "source.command", help: "Program and arguments, for the kind `command`" },
    Setting {
        path: "source.stream_label",
        help: "For the kind `prometheus`: the label that names the stream",
    },
    Setting { path: "control.listen", help: "Address of the agent's own HTTP listener" },
    Setting { path: "telemetry.log", help: "Log level or directives" },
    Setting { path: "telemetry.log_format", help: "text or json" },
];

#[cfg(test)]
mod tests;
