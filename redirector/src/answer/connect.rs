//! What an RTMP client's `connect` is told.

use std::net::IpAddr;

use tidegate_control::pick::{NoEdge, Picked};
use tidegate_proto::edge::Scheme;

/// What an RTMP client asks, over whatever carries it.
#[derive(Debug, Clone, Copy)]
pub struct ConnectQuestion<'a> {
    /// The application as the client names it, with its query if it has one.
    pub app: &'a str,
    /// The application's URL as the client was given it.
    pub tc_url: &'a str,
    /// The capabilities of Enhanced RTMP v2 (`capsEx`).
    pub caps_ex: u32,
    /// Who asks.
    pub client: IpAddr,
    /// What carries the session: `rtmp`, `rtmps`, `rtmpt` or `rtmpts`.
    pub scheme: Scheme,
    /// The port it reached.
    pub port: u16,
}

/// What an RTMP client is told.
#[derive(Debug, Clone)]
pub enum ConnectAnswer {
    /// To go to an edge.
    Redirect {
        /// The application's URL there, with a port and without a stream.
        url: String,
        /// The same for people, without what their programs would misread.
        description: String,
    },
    /// No edge can be had.
    NoEdge(NoEdge),
    /// The client is never redirected.
    Ignored,
    /// No application of that name is configured.
    UnknownApp,
    /// The client named no application.
    NoApp,
    /// It may ask for a host by itself.
    Accept,
    /// It is accepted and asked to reconnect (Enhanced RTMP v2) to this URL.
    Reconnect(String),
    /// Its connection is spliced to an edge.
    Splice(Box<SplicePlan>),
}

/// The edge a connection is spliced to, and what `connect` says there.
#[derive(Debug, Clone)]
pub struct SplicePlan {
    /// The edge, its scheme always `rtmp`.
    pub picked: Picked,
    /// The application.
    pub app: String,
    /// The application's URL.
    pub tc_url: String,
}
