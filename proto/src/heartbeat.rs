//! A heartbeat as the rest of Tidegate knows it, and the one place where its bounds are checked.

use std::{num::NonZeroU16, time::Duration};

use prost::Message;
use serde::Serialize;

use crate::{
    edge::{Capacity, ENDPOINTS_MAX, EdgeName, Endpoint, Host, LABELS_MAX, Labels, is_label},
    stream::StreamPart,
    wire,
};

/// The interval of an edge that names none.
pub const INTERVAL_DEFAULT: Duration = Duration::from_millis(2_500);
/// The shortest interval an edge may announce.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// The longest interval an edge may announce.
pub const INTERVAL_MAX: Duration = Duration::from_secs(60);
/// More viewers than this on one edge is nonsense.
pub const VIEWERS_MAX: u32 = 10_000_000;
/// More bits per second than this on one edge is nonsense (100 Tbit/s).
pub const BANDWIDTH_BPS_MAX: u64 = 100_000_000_000_000;
/// A media server's name and version are cut to this many bytes.
pub const SERVER_VERSION_LEN_MAX: usize = 64;
const TEXT_LEN_MAX: usize = 256;

/// The edge's own word about taking viewers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Takes viewers.
    Running,
    /// Serves those it has, wants no new ones.
    Paused,
    /// Is leaving.
    Stopped,
}

/// Measured load. `None` is unknown, never zero; as JSON it is null.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Load {
    /// Viewers now.
    pub viewers: Option<u32>,
    /// Publishers now.
    pub publishers: Option<u32>,
    /// Bits per second sent.
    pub bandwidth_out_bps: Option<u64>,
    /// Bits per second received.
    pub bandwidth_in_bps: Option<u64>,
    /// 0 to 1 over all cores.
    pub cpu_utilization: Option<f64>,
    /// 0 to 1.
    pub memory_utilization: Option<f64>,
}

/// Why an edge doubts its own figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// A short machine-readable word, for example `source_failed`.
    pub code: String,
    /// One sentence for people. Hostile text is possible: escape it.
    pub text: String,
}

/// One heartbeat, within bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// The edge's own word about taking viewers.
    pub status: Status,
    /// What operators call the edge; `None`: its UUID.
    pub name: Option<EdgeName>,
    /// Where clients are sent; `None`: where the datagram came from.
    pub redirect_address: Option<Host>,
    /// What clients may be sent to; empty: any scheme, on the client's own port.
    pub endpoints: Vec<Endpoint>,
    /// The operator's labels.
    pub labels: Labels,
    /// What the edge can carry.
    pub capacity: Capacity,
    /// What it carries.
    pub load: Load,
    /// The time between two heartbeats.
    pub interval: Duration,
    /// Set while the edge doubts its own figures.
    pub trouble: Option<Trouble>,
    /// The sender's version.
    pub agent_version: String,
    /// The media server's name and version, of at most [`SERVER_VERSION_LEN_MAX`] bytes; empty:
    /// unknown. Hostile text is possible: escape it.
    pub server_version: String,
    /// How many redirectors the edge reports to; 0: unknown.
    pub target_count: u32,
    /// The streams it carries, or a part of them; `None`: the edge does not say.
    pub streams: Option<StreamPart>,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            status: Status::Running,
            name: None,
            redirect_address: None,
            endpoints: Vec::new(),
            labels: Labels::new(),
            capacity: Capacity::default(),
            load: Load::default(),
            interval: INTERVAL_DEFAULT,
            trouble: None,
            agent_version: String::new(),
            server_version: String::new(),
            target_count: 0,
            streams: None,
        }
    }
}

/// Why a key holder's heartbeat was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unacceptable {
    /// Not the protobuf message.
    #[error("not a protobuf Heartbeat")]
    Undecodable,
    /// No status, or one this build does not know.
    #[error("no known status")]
    BadStatus,
    /// Not a DNS name, or of UUID form.
    #[error("the name is not one an edge may have")]
    BadName,
    /// Not a host name or address.
    #[error("the redirect address is no host name or address")]
    BadHost,
    /// An unknown scheme, port 0, or too many.
    #[error("an endpoint is out of bounds")]
    BadEndpoint,
    /// Too many labels, or one too long.
    #[error("a label is out of bounds")]
    BadLabel,
    /// NaN, negative, or beyond what one machine can do.
    #[error("a figure is nonsense")]
    BadFigure,
    /// An interval outside 0.1 to 60 s.
    #[error("the interval is out of bounds")]
    BadInterval,
    /// Not a part that streams can come in, or a stream of another part.
    #[error("the streams are no part of a list of streams")]
    BadStreams,
}

impl Heartbeat {
    /// Reads an opened payload; unknown fields are skipped.
    pub fn decode(payload: &[u8]) -> Result<Self, Unacceptable> {
        let message = wire::Heartbeat::decode(payload).map_err(|_| Unacceptable::Undecodable)?;
        Self::try_from(message)
    }

    /// The payload to seal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::Heartbeat::from(self).encode_to_vec()
    }
}

impl TryFrom<wire::Heartbeat> for Heartbeat {
    type Error = Unacceptable;

    fn try_from(message: wire::Heartbeat) -> Result<Self, Unacceptable> {
        let status = match message.status() {
            wire::Status::Running => Status::Running,
            wire::Status::Paused => Status::Paused,
            wire::Status::Stopped => Status::Stopped,
            wire::Status::Unspecified => return Err(Unacceptable::BadStatus),
        };
        Ok(Self {
            status,
            name: optional(&message.name).map_err(|_| Unacceptable::BadName)?,
            redirect_address: optional(&message.redirect_address)
                .map_err(|_| Unacceptable::BadHost)?,
            endpoints: checked_endpoints(&message.endpoints)?,
            labels: checked_labels(message.labels)?,
            capacity: checked_capacity(message.capacity.unwrap_or_default())?,
            load: checked_load(&message.load.unwrap_or_default())?,
            interval: checked_interval(message.interval_ms)?,
            trouble: message
                .trouble
                .map(|trouble| Trouble { code: cut(trouble.code), text: cut(trouble.text) }),
            agent_version: cut(message.agent_version),
            server_version: cut_server_version(message.server_version),
            target_count: message.target_count,
            streams: message.streams.map(checked_streams).transpose()?,
        })
    }
}

fn optional<T: std::str::FromStr>(text: &str) -> Result<Option<T>, T::Err> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

fn cut(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(TEXT_LEN_MAX) {
        text.truncate(at);
    }
    text
}

/// Cuts at a character's border.
fn cut_server_version(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SERVER_VERSION_LEN_MAX));
    text
}

fn checked_endpoints(endpoints: &[wire::Endpoint]) -> Result<Vec<Endpoint>, Unacceptable> {
    if endpoints.len() > ENDPOINTS_MAX {
        return Err(Unacceptable::BadEndpoint);
    }
    let checked = |endpoint: &wire::Endpoint| {
        let scheme = endpoint.scheme.parse().ok()?;
        let port = u16::try_from(endpoint.port).ok().and_then(NonZeroU16::new)?;
        Some(Endpoint { scheme, port })
    };
    endpoints.iter().map(|endpoint| checked(endpoint).ok_or(Unacceptable::BadEndpoint)).collect()
}

fn checked_labels(labels: Labels) -> Result<Labels, Unacceptable> {
    let fits = labels.len() <= LABELS_MAX && labels.iter().all(|(key, value)| is_label(key, value));
    if fits { Ok(labels) } else { Err(Unacceptable::BadLabel) }
}

fn checked_capacity(capacity: wire::Capacity) -> Result<Capacity, Unacceptable> {
    if capacity.viewers > VIEWERS_MAX || capacity.bandwidth_bps > BANDWIDTH_BPS_MAX {
        return Err(Unacceptable::BadFigure);
    }
    Ok(Capacity {
        viewers: (capacity.viewers > 0).then_some(capacity.viewers),
        bandwidth_bps: (capacity.bandwidth_bps > 0).then_some(capacity.bandwidth_bps),
    })
}

fn checked_load(load: &wire::Load) -> Result<Load, Unacceptable> {
    let count = |n: Option<u32>| n.is_none_or(|n| n <= VIEWERS_MAX);
    let rate = |n: Option<u64>| n.is_none_or(|n| n <= BANDWIDTH_BPS_MAX);
    let share = |n: Option<f64>| n.is_none_or(|n| (0.0..=1.0).contains(&n));
    let sensible = count(load.viewers)
        && count(load.publishers)
        && rate(load.bandwidth_out_bps)
        && rate(load.bandwidth_in_bps)
        && share(load.cpu_utilization)
        && share(load.memory_utilization);
    if !sensible {
        return Err(Unacceptable::BadFigure);
    }
    Ok(Load {
        viewers: load.viewers,
        publishers: load.publishers,
        bandwidth_out_bps: load.bandwidth_out_bps,
        bandwidth_in_bps: load.bandwidth_in_bps,
        cpu_utilization: load.cpu_utilization,
        memory_utilization: load.memory_utilization,
    })
}

fn checked_interval(interval_ms: u32) -> Result<Duration, Unacceptable> {
    if interval_ms == 0 {
        return Ok(INTERVAL_DEFAULT);
    }
    let interval = Duration::from_millis(interval_ms.into());
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        Ok(interval)
    } else {
        Err(Unacceptable::BadInterval)
    }
}

fn checked_streams(streams: wire::Streams) -> Result<StreamPart, Unacceptable> {
    StreamPart::try_from(streams).map_err(|_| Unacceptable::BadStreams)
}

impl From<&Heartbeat> for wire::Heartbeat {
    fn from(heartbeat: &Heartbeat) -> Self {
        let status = match heartbeat.status {
            Status::Running => wire::Status::Running,
            Status::Paused => wire::Status::Paused,
            Status::Stopped => wire::Status::Stopped,
        };
        let load = &heartbeat.load;
        Self {
            status: status.into(),
            name: heartbeat.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            redirect_address: heartbeat
                .redirect_address
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            endpoints: heartbeat
                .endpoints
                .iter()
                .map(|endpoint| wire::Endpoint {
                    scheme: endpoint.scheme.to_string(),
                    port: endpoint.port.get().into(),
                })
                .collect(),
            labels: heartbeat.labels.clone(),
            capacity: Some(wire::Capacity {
                viewers: heartbeat.capacity.viewers.unwrap_or(0),
                bandwidth_bps: heartbeat.capacity.bandwidth_bps.unwrap_or(0),
            }),
            load: Some(wire::Load {
                viewers: load.viewers,
                publishers: load.publishers,
                bandwidth_out_bps: load.bandwidth_out_bps,
                bandwidth_in_bps: load.bandwidth_in_bps,
                cpu_utilization: load.cpu_utilization,
                memory_utilization: load.memory_utilization,
            }),
            interval_ms: u32::try_from(heartbeat.interval.as_millis()).unwrap_or(u32::MAX),
            trouble: heartbeat
                .trouble
                .clone()
                .map(|trouble| wire::Trouble { code: trouble.code, text: trouble.text }),
            agent_version: heartbeat.agent_version.clone(),
            server_version: heartbeat.server_version.clone(),
            target_count: heartbeat.target_count,
            streams: heartbeat.streams.as_ref().map(Into::into),
        }
    }
}

/// What a redirector tells an edge of the operator's intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The redirector does not know the edge yet.
    Unknown,
    /// No order: takes viewers.
    Active,
    /// Gets no new viewers, still has some.
    Draining,
    /// Gets no new viewers and has none.
    Drained,
}

impl Order {
    /// The word for status pages and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Drained => "drained",
        }
    }
}

/// A redirector's answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The heartbeat's sequence.
    pub sequence: u64,
    /// The heartbeat's time by the sender's own clock, so it can tell the round trip.
    pub sent_at_unix_ms: u64,
    /// The operator's intent for the edge.
    pub order: Order,
    /// The redirector's order revision.
    pub order_revision: u64,
    /// Silence after which the edge gets no new viewers.
    pub lease: Duration,
    /// How long the redirector has known the edge.
    pub known_for: Duration,
}

impl Ack {
    /// Reads an opened payload.
    pub fn decode(payload: &[u8]) -> Result<Self, Unacceptable> {
        let ack = wire::Ack::decode(payload).map_err(|_| Unacceptable::Undecodable)?;
        let order = match ack.order() {
            wire::Order::Unspecified => Order::Unknown,
            wire::Order::Active => Order::Active,
            wire::Order::Draining => Order::Draining,
            wire::Order::Drained => Order::Drained,
        };
        Ok(Self {
            sequence: ack.sequence,
            sent_at_unix_ms: ack.sent_at_unix_ms,
            order,
            order_revision: ack.order_revision,
            lease: Duration::from_millis(ack.lease_ms.into()),
            known_for: Duration::from_millis(ack.known_for_ms),
        })
    }

    /// The payload to seal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let order = match self.order {
            Order::Unknown => wire::Order::Unspecified,
            Order::Active => wire::Order::Active,
            Order::Draining => wire::Order::Draining,
            Order::Drained => wire::Order::Drained,
        };
        wire::Ack {
            sequence: self.sequence,
            sent_at_unix_ms: self.sent_at_unix_ms,
            order: order.into(),
            order_revision: self.order_revision,
            lease_ms: u32::try_from(self.lease.as_millis()).unwrap_or(u32::MAX),
            known_for_ms: u64::try_from(self.known_for.as_millis()).unwrap_or(u64::MAX),
        }
        .encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut wire::Heartbeat)) -> Unacceptable {
        let mut message = wire::Heartbeat::from(&Heartbeat::default());
        change(&mut message);
        Heartbeat::try_from(message).expect_err("out of bounds")
    }

    #[test]
    fn each_bound_has_its_reason() {
        let load = |load| move |m: &mut wire::Heartbeat| m.load = Some(load);
        assert_eq!(refused(|m| m.status = 0), Unacceptable::BadStatus);
        assert_eq!(refused(|m| m.status = 99), Unacceptable::BadStatus);
        assert_eq!(refused(|m| m.name = "<b>".into()), Unacceptable::BadName);
        assert_eq!(refused(|m| m.redirect_address = "a@b".into()), Unacceptable::BadHost);
        assert_eq!(refused(|m| m.interval_ms = 99), Unacceptable::BadInterval);
        assert_eq!(refused(|m| m.interval_ms = 60_001), Unacceptable::BadInterval);
        assert_eq!(
            refused(|m| m.endpoints = vec![wire::Endpoint { scheme: "http".into(), port: 0 }]),
            Unacceptable::BadEndpoint
        );
        assert_eq!(
            refused(|m| m.labels = [("k".repeat(129), String::new())].into()),
            Unacceptable::BadLabel
        );
        let alien = wire::Streams { hashes: vec![3], viewers: vec![1], part: 0, parts: 2 };
        assert_eq!(refused(|m| m.streams = Some(alien)), Unacceptable::BadStreams);
        for figure in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
            let nonsense = wire::Load { cpu_utilization: Some(figure), ..Default::default() };
            assert_eq!(refused(load(nonsense)), Unacceptable::BadFigure);
        }
        let crowd = wire::Load { viewers: Some(u32::MAX), ..Default::default() };
        assert_eq!(refused(load(crowd)), Unacceptable::BadFigure);
    }

    #[test]
    fn a_long_server_version_is_cut_at_a_character() {
        let mut message = wire::Heartbeat::from(&Heartbeat::default());
        message.server_version = format!("x{}", "é".repeat(100));
        let heartbeat = Heartbeat::try_from(message).expect("the rest is within bounds");
        assert_eq!(heartbeat.server_version, format!("x{}", "é".repeat(31)));
    }

    #[test]
    fn the_shortest_heartbeat_is_one_status() {
        assert_eq!(Heartbeat::decode(&[0x08, 0x01]), Ok(Heartbeat::default()));
        assert_eq!(Heartbeat::decode(&[]), Err(Unacceptable::BadStatus));
        assert_eq!(Heartbeat::decode(&[0xff]), Err(Unacceptable::Undecodable));
    }
}
