//! placeholder
use std::net::IpAddr;

use tidegate_proto::{datagram::SessionId, edge::EdgeId, heartbeat::Heartbeat};

/// One authenticated, fresh, unrepeated heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Who sent it.
    pub edge: EdgeId,
    /// In which session.
    pub session: SessionId,
    /// The sequence within the session.
    pub sequence: u64,
    /// The edge says goodbye.
    pub goodbye: bool,
    /// What it says.
    pub heartbeat: Heartbeat,
    /// Where the datagram came from; stands in for a redirect address the edge does not give.
    pub source: IpAddr,
}
