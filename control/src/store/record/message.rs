//! The tagged messages behind version 1. A tag, once used, keeps its meaning for ever.

use tidegate_proto::edge::Labels;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Edge {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub redirect_address: String,
    #[prost(message, repeated, tag = "3")]
    pub endpoints: Vec<Endpoint>,
    #[prost(btree_map = "string, string", tag = "4")]
    pub labels: Labels,
    #[prost(uint32, optional, tag = "5")]
    pub viewers: Option<u32>,
    #[prost(uint64, optional, tag = "6")]
    pub bandwidth_bps: Option<u64>,
    #[prost(uint32, tag = "7")]
    pub interval_ms: u32,
    #[prost(uint64, tag = "8")]
    pub first_heard_unix_ms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Endpoint {
    #[prost(string, tag = "1")]
    pub scheme: String,
    #[prost(uint32, tag = "2")]
    pub port: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OrderRecord {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub order: Option<Order>,
    #[prost(uint64, tag = "3")]
    pub revision: u64,
    #[prost(message, optional, tag = "4")]
    pub weighting: Option<Weighting>,
    #[prost(uint64, tag = "5")]
    pub weight_revision: u64,
    /// Absent: the same as `revision`, as in records from before there were weights.
    #[prost(uint64, optional, tag = "6")]
    pub drain_revision: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Weighting {
    #[prost(double, tag = "1")]
    pub weight: f64,
    #[prost(message, optional, tag = "2")]
    pub order: Option<Order>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Order {
    #[prost(string, tag = "1")]
    pub reason: String,
    #[prost(string, tag = "2")]
    pub author: String,
    #[prost(uint64, tag = "3")]
    pub created_unix_ms: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Audit {
    #[prost(uint64, tag = "1")]
    pub time_unix_ms: u64,
    #[prost(string, tag = "2")]
    pub principal: String,
    #[prost(string, tag = "3")]
    pub role: String,
    #[prost(string, tag = "4")]
    pub peer: String,
    #[prost(string, tag = "5")]
    pub method: String,
    #[prost(string, tag = "6")]
    pub edge: String,
    #[prost(string, tag = "7")]
    pub before: String,
    #[prost(string, tag = "8")]
    pub after: String,
    #[prost(string, tag = "9")]
    pub reason: String,
    #[prost(string, tag = "10")]
    pub request_id: String,
    #[prost(string, tag = "11")]
    pub result: String,
    #[prost(string, tag = "12")]
    pub redirector: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Request {
    #[prost(string, tag = "1")]
    pub request_id: String,
    #[prost(string, tag = "2")]
    pub order: String,
    #[prost(bytes = "vec", tag = "3")]
    pub answer: Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub time_unix_ms: u64,
}
