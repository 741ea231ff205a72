//! Where the server listens, for people and for the ports file.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Heartbeats, over UDP.
    pub heartbeat: SocketAddr,
    /// Clients, in the order of the configuration.
    pub clients: Vec<SocketAddr>,
    /// Whether clients may speak TLS.
    pub client_tls: bool,
    /// The admin API.
    pub admin: SocketAddr,
    /// Probes and metrics.
    pub ops: SocketAddr,
}

impl Addresses {
    /// The first client address.
    #[must_use]
    pub fn first_client(&self) -> SocketAddr {
        self.clients.first().copied().unwrap_or(self.ops)
    }

    /// The addresses under the names of the ports file.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("heartbeat_udp", self.heartbeat.to_string()),
            ("client_tcp", self.first_client().to_string()),
            ("admin_tcp", self.admin.to_string()),
            ("ops_tcp", self.ops.to_string()),
        ])
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "heartbeats  udp {}", self.heartbeat)?;
        for client in &self.clients {
            let encrypted = if self.client_tls { ", HTTPS, RTMPS, RTMPTS" } else { "" };
            writeln!(f, "clients     tcp {client} (HTTP, RTMP, RTMPT{encrypted})")?;
        }
        writeln!(f, "admin API   tcp {}", self.admin)?;
        write!(f, "operations  tcp {}", self.ops)
    }
}
