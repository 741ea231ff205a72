//! Every rule about a value, and the values as the program wants them.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use tidegate_control::registry::Patience;
use tidegate_proto::{
    edge::{Invalid, Scheme},
    settings::SettingsError,
};

use super::Config;

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
        self.rtmp_apps()?;
        self.selection()?;
        self.overflow()?;
        if self.client.tls_cert.is_empty() != self.client.tls_key.is_empty() {
            let said = "client.tls_cert and client.tls_key belong together; set both or neither";
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
        let forget_secs = liveness.forget_after.as_secs_f64();
        within("liveness.forget_after (in seconds)", forget_secs, 60.0, 1e9)?;
        within("heartbeat.edges_max", self.heartbeat.edges_max.into(), 1.0, 1e7)?;
        self.check_client_figures()?;
        within("liveness.suspect_intervals", liveness.suspect_intervals, 1.5, 100.0)?;
        let down_min = liveness.suspect_intervals;
        within("liveness.down_intervals", liveness.down_intervals, down_min, 1_000.0)?;
        within("liveness.preserve_share", liveness.preserve_share, 0.01, 1.0)?;
        within("liveness.panic_share", liveness.panic_share, 0.0, 0.9)
    }

    fn check_client_figures(&self) -> Result<(), SettingsError> {
        let client = &self.client;
        for (key, value, least, most) in [
            ("client.connections_max", client.connections_max, 1, 10_000_000),
            (
                "client.connections_per_address_max",
                client.connections_per_address_max,
                0,
                10_000_000,
            ),
            ("client.rtmp_redirects_per_second", client.rtmp_redirects_per_second, 0, 100_000),
            ("client.rtmp_redirects_burst", client.rtmp_redirects_burst, 1, 1_000_000),
            ("client.rtmpt_sessions_max", client.rtmpt_sessions_max, 0, 1_000_000),
            ("client.splices_max", client.splices_max, 0, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                let hint = format!("it is from {least} to {most}");
                return Err(refused(key, &value.to_string(), &hint));
            }
        }
        Ok(())
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

    /// `client.redirect_scheme`, for the clients of its family, HTTP or RTMP; `None`: the client's.
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

/// Whether a figure is in its range; what is no number never is.
pub(super) fn within(key: &str, value: f64, least: f64, most: f64) -> Result<(), SettingsError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(refused(key, &value.to_string(), &format!("it is from {least} to {most}")))
}

pub(super) fn scheme(key: &str, text: &str) -> Result<Option<Scheme>, SettingsError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|why: Invalid| refused(key, text, &why.to_string()))
}

fn address(key: &str, text: &str) -> Result<SocketAddr, SettingsError> {
    let hint = "it is an address and a port such as 127.0.0.1:1935 or [::]:1935 (0: any free port)";
    text.parse().map_err(|_| refused(key, text, hint))
}

pub(super) fn refused(key: &str, given: &str, hint: &str) -> SettingsError {
    SettingsError::Refused(format!("{key}: {given:?} will not do: {hint}"))
}
