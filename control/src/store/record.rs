//! How rows stand on disk, version 1: a version byte, then a tagged message or a fixed layout.
//!
//! Whatever [`Record::encode`] writes, [`Record::decode`] reads; anything else is refused, never
//! guessed at. Fields may be added under new tags; any other change needs a new version byte.

use tidegate_proto::{
    datagram::SessionId,
    edge::{Capacity, EdgeId, EdgeName, Endpoint, Host, Scheme},
};

use super::{AuditRow, BeatRow, EdgeRow, OrderRow, RequestRow, Seen};
use crate::order::{Order, Weight, Weighting};

mod message;

/// The version byte that every value starts with.
const VERSION: u8 = 1;
/// Version, last heard, session, sequence, how it was seen, empty reports; big-endian.
const BEAT_LEN: usize = 1 + 8 + 16 + 8 + 1 + 1;

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Undecodable(String);

fn refuse(what: impl std::fmt::Display) -> Undecodable {
    Undecodable(what.to_string())
}

/// A row with its place on disk.
pub(super) trait Record: Sized {
    /// The value, version byte included.
    fn encode(&self) -> Vec<u8>;

    /// The row under `key`.
    fn decode(key: &[u8], value: &[u8]) -> Result<Self, Undecodable>;
}

/// The edge that a key names.
pub(super) fn edge_id(key: &[u8]) -> Result<EdgeId, Undecodable> {
    match key.try_into() {
        Ok(bytes) => Ok(EdgeId(bytes)),
        Err(_) => Err(refuse(format_args!("a key of {} bytes instead of 16", key.len()))),
    }
}

fn versioned(message: &impl prost::Message) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + message.encoded_len());
    value.push(VERSION);
    value.extend_from_slice(&message.encode_to_vec());
    value
}

fn message<M: prost::Message + Default>(value: &[u8]) -> Result<M, Undecodable> {
    match value.split_first() {
        Some((&VERSION, body)) => M::decode(body).map_err(refuse),
        Some((version, _)) => Err(refuse(format_args!("unknown version {version}"))),
        None => Err(refuse("an empty value")),
    }
}

/// A name as it was encoded: an edge that announced none is called by its UUID.
fn name(text: &str) -> Result<EdgeName, Undecodable> {
    match text.parse::<EdgeId>() {
        Ok(id) => Ok(EdgeName::unnamed(id)),
        Err(_) => text.parse().map_err(refuse),
    }
}

impl Record for EdgeRow {
    fn encode(&self) -> Vec<u8> {
        let endpoint = |endpoint: &Endpoint| message::Endpoint {
            scheme: endpoint.scheme.as_str().to_owned(),
            port: endpoint.port.get().into(),
        };
        versioned(&message::Edge {
            name: self.name.to_string(),
            redirect_address: self.redirect_address.to_string(),
            endpoints: self.endpoints.iter().map(endpoint).collect(),
            labels: self.labels.clone(),
            viewers: self.capacity.viewers,
            bandwidth_bps: self.capacity.bandwidth_bps,
            interval_ms: self.interval_ms,
            first_heard_unix_ms: self.first_heard_unix_ms,
        })
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<Self, Undecodable> {
        let row: message::Edge = message(value)?;
        Ok(Self {
            id: edge_id(key)?,
            name: name(&row.name)?,
            redirect_address: row.redirect_address.parse::<Host>().map_err(refuse)?,
            endpoints: row.endpoints.iter().map(endpoint).collect::<Result<_, _>>()?,
            labels: row.labels,
            capacity: Capacity { viewers: row.viewers, bandwidth_bps: row.bandwidth_bps },
            interval_ms: row.interval_ms,
            first_heard_unix_ms: row.first_heard_unix_ms,
        })
    }
}

fn endpoint(stored: &message::Endpoint) -> Result<Endpoint, Undecodable> {
    let port = u16::try_from(stored.port).map_err(refuse)?;
    Ok(Endpoint {
        scheme: stored.scheme.parse::<Scheme>().map_err(refuse)?,
        port: port.try_into().map_err(|_| refuse("port 0"))?,
    })
}

impl Record for BeatRow {
    fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(BEAT_LEN);
        value.push(VERSION);
        value.extend_from_slice(&self.last_heard_unix_ms.to_be_bytes());
        value.extend_from_slice(&self.session.0);
        value.extend_from_slice(&self.sequence.to_be_bytes());
        value.push(match self.seen {
            Seen::Alive => 0,
            Seen::Down => 1,
            Seen::Gone => 2,
            Seen::Withdrawn => 3,
        });
        value.push(self.empty_reports);
        value
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<Self, Undecodable> {
        let value: &[u8; BEAT_LEN] = value
            .try_into()
            .map_err(|_| refuse(format_args!("{} bytes instead of {BEAT_LEN}", value.len())))?;
        if value[0] != VERSION {
            return Err(refuse(format_args!("unknown version {}", value[0])));
        }
        Ok(Self {
            id: edge_id(key)?,
            last_heard_unix_ms: u64::from_be_bytes(part(value, 1)),
            session: SessionId(part(value, 9)),
            sequence: u64::from_be_bytes(part(value, 25)),
            seen: match value[33] {
                0 => Seen::Alive,
                1 => Seen::Down,
                2 => Seen::Gone,
                3 => Seen::Withdrawn,
                other => return Err(refuse(format_args!("unknown state {other}"))),
            },
            empty_reports: value[34],
        })
    }
}

fn part<const N: usize>(value: &[u8; BEAT_LEN], start: usize) -> [u8; N] {
    std::array::from_fn(|at| value[start + at])
}

impl Record for OrderRow {
    fn encode(&self) -> Vec<u8> {
        versioned(&message::OrderRecord {
            name: self.name.to_string(),
            order: self.order.as_ref().map(stored_order),
            revision: self.revision,
            weighting: self.weighting.as_ref().map(|weighting| message::Weighting {
                weight: weighting.weight.get(),
                order: Some(stored_order(&weighting.order)),
            }),
            weight_revision: self.weight_revision,
            drain_revision: (!self.drains_last()).then_some(self.drain_revision),
        })
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<Self, Undecodable> {
        let row: message::OrderRecord = message(value)?;
        Ok(Self {
            id: edge_id(key)?,
            name: name(&row.name)?,
            order: row.order.map(order),
            weighting: row.weighting.map(weighting).transpose()?,
            revision: row.revision,
            drain_revision: row.drain_revision.unwrap_or(row.revision),
            weight_revision: row.weight_revision,
        })
    }
}

fn stored_order(order: &Order) -> message::Order {
    message::Order {
        reason: order.reason.clone(),
        author: order.author.clone(),
        created_unix_ms: order.created_unix_ms,
    }
}

fn order(stored: message::Order) -> Order {
    let message::Order { reason, author, created_unix_ms } = stored;
    Order { reason, author, created_unix_ms }
}

fn weighting(stored: message::Weighting) -> Result<Weighting, Undecodable> {
    let fault = |fault| refuse(format_args!("the weight {fault}"));
    let weight = Weight::try_from(stored.weight).map_err(fault)?;
    Ok(Weighting { weight, order: order(stored.order.unwrap_or_default()) })
}

impl Record for AuditRow {
    fn encode(&self) -> Vec<u8> {
        let row = self.clone();
        versioned(&message::Audit {
            time_unix_ms: row.time_unix_ms,
            principal: row.principal,
            role: row.role,
            peer: row.peer,
            method: row.method,
            edge: row.edge,
            before: row.before,
            after: row.after,
            reason: row.reason,
            request_id: row.request_id,
            result: row.result,
            redirector: row.redirector,
        })
    }

    fn decode(_key: &[u8], value: &[u8]) -> Result<Self, Undecodable> {
        let row: message::Audit = message(value)?;
        Ok(Self {
            time_unix_ms: row.time_unix_ms,
            principal: row.principal,
            role: row.role,
            peer: row.peer,
            method: row.method,
            edge: row.edge,
            before: row.before,
            after: row.after,
            reason: row.reason,
            request_id: row.request_id,
            result: row.result,
            redirector: row.redirector,
        })
    }
}

impl Record for RequestRow {
    fn encode(&self) -> Vec<u8> {
        versioned(&message::Request {
            request_id: self.request_id.clone(),
            order: self.order.clone(),
            answer: self.answer.clone(),
            time_unix_ms: self.time_unix_ms,
        })
    }

    fn decode(_key: &[u8], value: &[u8]) -> Result<Self, Undecodable> {
        let row: message::Request = message(value)?;
        Ok(Self {
            request_id: row.request_id,
            order: row.order,
            answer: row.answer,
            time_unix_ms: row.time_unix_ms,
        })
    }
}

#[cfg(test)]
mod tests;
