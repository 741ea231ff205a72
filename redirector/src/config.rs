//! The redirector's configuration: every key, its default, and every rule about its value.
//! A [`Config`] that [`Config::check`] has seen needs no further checks.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tidegate_control::registry::Patience;
use tidegate_proto::{
    edge::{Invalid, Scheme},
    settings::{Setting, SettingsError},
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

/// `[[client.rtmp_app]]`: read and checked, though RTMP clients are not answered yet.
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
}

/// `[selection]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct SelectionConfig {
    pub policy: String,
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
        }
    }
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self { policy: "least".into() }
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
        Self { listen: "127.0.0.1:1937".into(), open: false, stop_delay: Duration::ZERO }
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), log: "info".into(), log_format: "text".into() }
    }
}

/// Every scalar key, for flags, variables and `--help`.
pub const SETTINGS: &[Setting] = &[
    Setting { path: "data_dir", help: "Folder of the store; created 0700 when absent" },
    Setting { path: "heartbeat.listen", help: "UDP address for heartbeats" },
    Setting { path: "heartbeat.keys_file", help: "File with one accepted key a line" },
    Setting { path: "heartbeat.allow_weak_key", help: "Admit text: keys such as Wowza's" },
    Setting {
        path: "heartbeat.allowed_redirect_hosts",
        help: "Name suffixes and CIDRs that edges may announce; empty: any valid host",
    },
    Setting { path: "heartbeat.allowed_edges", help: "UUIDs of edges to admit; empty: any" },
    Setting { path: "heartbeat.edges_max", help: "The most edges to remember" },
    Setting { path: "client.listen", help: "TCP addresses for clients" },
    Setting { path: "client.connections_max", help: "The most client connections at once" },
    Setting { path: "client.redirect_scheme", help: "Scheme of redirects; empty: the client's" },
    Setting { path: "client.redirect_port", help: "Port of redirects; 0: the edge's endpoint" },
    Setting { path: "client.server_info_xml", help: "Answer ?serverInfoXML" },
    Setting { path: "client.ignore_clients", help: "CIDRs that are never redirected" },
    Setting { path: "client.trusted_proxies", help: "CIDRs whose X-Forwarded-For is believed" },
    Setting { path: "client.tls_cert", help: "Leave empty: TLS for clients is not served yet" },
    Setting { path: "client.tls_key", help: "Leave empty, as client.tls_cert" },
    Setting { path: "selection.policy", help: "How an edge is chosen: least" },
    Setting { path: "liveness.suspect_intervals", help: "Intervals of silence until SUSPECT" },
    Setting { path: "liveness.down_intervals", help: "Intervals of silence until DOWN" },
    Setting { path: "liveness.forget_after", help: "Silence until a DOWN edge is forgotten" },
    Setting {
        path: "liveness.preserve_share",
        help: "Share of the fleet whose sudden silence freezes DOWN",
    },
    Setting {
        path: "liveness.panic_share",
        help: "Share of fresh edges below which silence is forgiven",
    },
    Setting { path: "admin.listen", help: "TCP address of the gRPC admin API" },
    Setting { path: "admin.reflection", help: "Answer gRPC reflection" },
    Setting { path: "admin.insecure", help: "Serve the admin API off loopback without protection" },
    Setting { path: "admin.tls_cert", help: "Certificate chain of the admin API (PEM)" },
    Setting { path: "admin.tls_key", help: "Key of admin.tls_cert (PEM); a secret file" },
    Setting { path: "admin.client_ca", help: "CA whose client certificates are operators (mTLS)" },
    Setting { path: "admin.tokens_file", help: "File with hashed bearer tokens and their roles" },
    Setting { path: "ops.listen", help: "TCP address of probes and metrics" },
    Setting { path: "ops.open", help: "Show metrics and fleet off loopback without a token" },
    Setting { path: "ops.stop_delay", help: "Keep serving, unready, this long after SIGTERM" },
    Setting { path: "telemetry.otlp_endpoint", help: "OpenTelemetry OTLP/gRPC URL; empty: off" },
    Setting { path: "telemetry.log", help: "Log filter, for example info or warn,audit=info" },
    Setting { path: "telemetry.log_format", help: "text or json" },
];

impl Config {
    /// Checks every value; the message names the key.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.heartbeat_address()?;
        self.client_addresses()?;
        self.admin_address()?;
        self.ops_address()?;
        self.redirect_scheme()?;
        networks("client.ignore_clients", &self.client.ignore_clients)?;
        networks("client.trusted_proxies", &self.client.trusted_proxies)?;
        self.check_figures()?;
        self.client.rtmp_app.iter().try_for_each(RtmpApp::check)?;
        if self.selection.policy != "least" {
            let known = "the policy this release has is least";
            return Err(refused("selection.policy", &self.selection.policy, known));
        }
        if !self.client.tls_cert.is_empty() || !self.client.tls_key.is_empty() {
            let said = "client.tls_cert: this release does not serve TLS to clients; \
                        leave tls_cert and tls_key empty";
            return Err(SettingsError::Refused(said.into()));
        }
        if !matches!(self.telemetry.log_format.as_str(), "text" | "json") {
            let log_format = &self.telemetry.log_format;
            return Err(refused("telemetry.log_format", log_format, "it is text or json"));
        }
        Ok(())
    }

    fn check_figures(&self) -> Result<(), SettingsError> {
        let liveness = &self.liveness;
        let within = |key: &str, value: f64, least: f64, most: f64| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(refused(key, &value.to_string(), &format!("it is from {least} to {most}")))
            }
        };
        let forget_secs = liveness.forget_after.as_secs_f64();
        within("liveness.forget_after (in seconds)", forget_secs, 60.0, 1e9)?;
        within("heartbeat.edges_max", self.heartbeat.edges_max.into(), 1.0, 1e7)?;
        within("client.connections_max", self.client.connections_max.into(), 1.0, 1e7)?;
        within("liveness.suspect_intervals", liveness.suspect_intervals, 1.5, 100.0)?;
        let down_min = liveness.suspect_intervals;
        within("liveness.down_intervals", liveness.down_intervals, down_min, 1_000.0)?;
        within("liveness.preserve_share", liveness.preserve_share, 0.01, 1.0)?;
        within("liveness.panic_share", liveness.panic_share, 0.0, 0.9)
    }

    /// `heartbeat.listen`
    pub fn heartbeat_address(&self) -> Result<SocketAddr, SettingsError> {
        address("heartbeat.listen", &self.heartbeat.listen)
    }

    /// `client.listen`, at least one.
    pub fn client_addresses(&self) -> Result<Vec<SocketAddr>, SettingsError> {
        if self.client.listen.is_empty() {
            return Err(refused("client.listen", "", "name at least one address"));
        }
        self.client.listen.iter().map(|text| address("client.listen", text)).collect()
    }

    /// `admin.listen`
    pub fn admin_address(&self) -> Result<SocketAddr, SettingsError> {
        address("admin.listen", &self.admin.listen)
    }

    /// `ops.listen`
    pub fn ops_address(&self) -> Result<SocketAddr, SettingsError> {
        address("ops.listen", &self.ops.listen)
    }

    /// `client.redirect_scheme`; `None`: the client's.
    pub fn redirect_scheme(&self) -> Result<Option<Scheme>, SettingsError> {
        scheme("client.redirect_scheme", &self.client.redirect_scheme)
    }

    /// How silence is judged.
    #[must_use]
    pub fn patience(&self) -> Patience {
        let liveness = &self.liveness;
        Patience {
            suspect_intervals: liveness.suspect_intervals,
            down_intervals: liveness.down_intervals,
            forget_after: liveness.forget_after,
            preserve_share: liveness.preserve_share,
            panic_share: liveness.panic_share,
            ..Patience::default()
        }
    }
}

/// A list of CIDRs; a bare address is a network of one.
pub fn networks(key: &str, texts: &[String]) -> Result<Vec<IpNet>, SettingsError> {
    let parse = |text: &String| {
        let bare = || text.parse::<IpAddr>().map(IpNet::from).ok();
        let hint = "it is a CIDR such as 10.0.0.0/8, or an address";
        text.parse().ok().or_else(bare).ok_or_else(|| refused(key, text, hint))
    };
    texts.iter().map(parse).collect()
}

impl RtmpApp {
    fn check(&self) -> Result<(), SettingsError> {
        if !matches!(self.mode.as_str(), "redirect" | "splice") {
            return Err(refused("client.rtmp_app.mode", &self.mode, "it is redirect or splice"));
        }
        scheme("client.rtmp_app.redirect_scheme", &self.redirect_scheme).map(drop)
    }
}

fn scheme(key: &str, text: &str) -> Result<Option<Scheme>, SettingsError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|why: Invalid| refused(key, text, &why.to_string()))
}

fn address(key: &str, text: &str) -> Result<SocketAddr, SettingsError> {
    let hint = "it is an address and a port such as 127.0.0.1:1935 or [::]:1935 (0: any free port)";
    text.parse().map_err(|_| refused(key, text, hint))
}

fn refused(key: &str, given: &str, hint: &str) -> SettingsError {
    SettingsError::Refused(format!("{key}: {given:?} will not do: {hint}"))
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
mod tests {
    use std::collections::BTreeSet;

    use tidegate_proto::settings;

    use super::*;

    fn parsed(text: &str) -> Result<Config, String> {
        let table = settings::parse_file::<Config>(text).map_err(|error| error.to_string())?;
        let config: Config = table.try_into().map_err(|e: toml::de::Error| e.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn every_scalar_key_has_a_flag_and_a_twin() {
        let listed: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.path.to_owned()).collect();
        let present: BTreeSet<_> = settings::scalar_paths(&Config::default()).into_iter().collect();
        assert_eq!(listed, present);
    }

    #[test]
    fn the_defaults_are_acceptable() {
        assert!(Config::default().check().is_ok());
    }

    #[test]
    fn one_address_or_several() {
        let config = parsed("[client]\nlisten = \"127.0.0.1:1\"\n").expect("one");
        assert_eq!(config.client.listen, ["127.0.0.1:1"]);
        let config = parsed("[client]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\n").expect("two");
        assert_eq!(config.client_addresses().map(|all| all.len()).ok(), Some(2));
    }

    #[test]
    fn each_fault_names_its_key() {
        for (text, key) in [
            ("[clinet]\n", "clinet"),
            ("[client]\nlisten = \"here\"\n", "client.listen"),
            ("[client]\nlisten = []\n", "client.listen"),
            ("[client]\nredirect_scheme = \"ftp\"\n", "client.redirect_scheme"),
            ("[client]\nignore_clients = [\"10.0.0.0/33\"]\n", "client.ignore_clients"),
            ("[client]\ntls_cert = \"x\"\n", "client.tls_cert"),
            ("[[client.rtmp_app]]\nmode = \"bogus\"\n", "client.rtmp_app.mode"),
            ("[[client.rtmp_app]]\nredirect_scheme = \"ftp\"\n", "client.rtmp_app.redirect_scheme"),
            ("[selection]\npolicy = \"magic\"\n", "selection.policy"),
            ("[liveness]\npanic_share = 7.0\n", "liveness.panic_share"),
            ("[liveness]\nforget_after = \"0s\"\n", "liveness.forget_after"),
            ("[heartbeat]\nedges_max = 0\n", "heartbeat.edges_max"),
            ("[client]\nconnections_max = 0\n", "client.connections_max"),
            ("[telemetry]\nlog_format = \"xml\"\n", "telemetry.log_format"),
            ("[ops]\nstop_delay = \"soon\"\n", "stop_delay"),
        ] {
            let said = parsed(text).expect_err(text);
            assert!(said.contains(key), "{text:?}: {said}");
        }
    }
}
