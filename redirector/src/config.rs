//! The redirector's configuration: every key, its default, and every rule about its value.
//! A [`Config`] that [`Config::check`] has seen needs no further checks.

mod check;
mod rtmp_app;
mod selection;
mod settings;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_control::registry::Patience;

pub use self::{
    check::networks,
    selection::{RuleConfig, SelectionConfig, ZoneConfig},
    settings::SETTINGS,
};

/// The prefix of the environment twins.
pub const ENVIRONMENT: &str = "TIDEGATE_REDIRECTOR";

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Config {
    pub data_dir: String,
    pub heartbeat: HeartbeatConfig,
    pub client: ClientConfig,
    pub selection: SelectionConfig,
    pub liveness: LivenessConfig,
    pub admin: AdminConfig,
    pub ops: OpsConfig,
    pub telemetry: TelemetryConfig,
}

/// `[heartbeat]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct HeartbeatConfig {
    pub listen: String,
    pub keys_file: String,
    pub allow_weak_key: bool,
    pub allowed_redirect_hosts: Vec<String>,
    pub allowed_edges: Vec<String>,
    pub edges_max: u32,
}

/// `[client]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ClientConfig {
    #[serde(deserialize_with = "one_or_several")]
    pub listen: Vec<String>,
    pub connections_max: u32,
    pub connections_per_address_max: u32,
    pub rtmp_redirects_per_second: u32,
    pub rtmp_redirects_burst: u32,
    pub rtmpt_sessions_max: u32,
    pub splices_max: u32,
    pub redirect_scheme: String,
    pub redirect_port: u16,
    pub server_info_xml: bool,
    pub ignore_clients: Vec<String>,
    pub trusted_proxies: Vec<String>,
    pub tls_cert: String,
    pub tls_key: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rtmp_app: Vec<RtmpApp>,
}

/// `[[client.rtmp_app]]`: what RTMP clients of an application are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct RtmpApp {
    pub name: String,
    pub mode: String,
    pub redirect_app: String,
    pub redirect_scheme: String,
    pub redirect_port: u16,
    pub redirect_on_connect: bool,
    pub reconnect_request: bool,
}

/// `[liveness]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LivenessConfig {
    pub suspect_intervals: f64,
    pub down_intervals: f64,
    #[serde(with = "humantime_serde")]
    pub forget_after: Duration,
    pub preserve_share: f64,
    pub panic_share: f64,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct AdminConfig {
    pub listen: String,
    pub reflection: bool,
    pub insecure: bool,
    pub tls_cert: String,
    pub tls_key: String,
    pub client_ca: String,
    pub tokens_file: String,
}

/// `[ops]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct OpsConfig {
    pub listen: String,
    pub open: bool,
    #[serde(with = "humantime_serde")]
    pub stop_delay: Duration,
    #[serde(with = "humantime_serde")]
    pub first_edge_wait: Duration,
}

/// `[telemetry]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct TelemetryConfig {
    pub otlp_endpoint: String,
    pub log: String,
    pub log_format: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: "/var/lib/tidegate".into(),
            heartbeat: HeartbeatConfig::default(),
            client: ClientConfig::default(),
            selection: SelectionConfig::default(),
            liveness: LivenessConfig::default(),
            admin: AdminConfig::default(),
            ops: OpsConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:1934".into(),
            keys_file: "/etc/tidegate/keys".into(),
            allow_weak_key: false,
            allowed_redirect_hosts: Vec::new(),
            allowed_edges: Vec::new(),
            edges_max: 200_000,
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            listen: vec!["0.0.0.0:1935".into()],
            connections_max: 20_000,
            connections_per_address_max: 0,
            rtmp_redirects_per_second: 20,
            rtmp_redirects_burst: 200,
            rtmpt_sessions_max: 4_096,
            splices_max: 1_000,
            redirect_scheme: String::new(),
            redirect_port: 0,
            server_info_xml: true,
            ignore_clients: Vec::new(),
            trusted_proxies: Vec::new(),
            tls_cert: String::new(),
            tls_key: String::new(),
            rtmp_app: Vec::new(),
        }
    }
}

impl Default for RtmpApp {
    fn default() -> Self {
        Self {
            name: "*".into(),
            mode: "redirect".into(),
            redirect_app: String::new(),
            redirect_scheme: String::new(),
            redirect_port: 0,
            redirect_on_connect: true,
            reconnect_request: false,
        }
    }
}

impl Default for LivenessConfig {
    fn default() -> Self {
        let patience = Patience::default();
        Self {
            suspect_intervals: patience.suspect_intervals,
            down_intervals: patience.down_intervals,
            forget_after: patience.forget_after,
            preserve_share: patience.preserve_share,
            panic_share: patience.panic_share,
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:1936".into(),
            reflection: true,
            insecure: false,
            tls_cert: String::new(),
            tls_key: String::new(),
            client_ca: String::new(),
            tokens_file: String::new(),
        }
    }
}

impl Default for OpsConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:1937".into(),
            open: false,
            stop_delay: Duration::ZERO,
            first_edge_wait: Duration::ZERO,
        }
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), log: "info".into(), log_format: "text".into() }
    }
}

fn one_or_several<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrSeveral {
        One(String),
        Several(Vec<String>),
    }
    Ok(match OneOrSeveral::deserialize(source)? {
        OneOrSeveral::One(address) => vec![address],
        OneOrSeveral::Several(addresses) => addresses,
    })
}

#[cfg(test)]
mod tests;
