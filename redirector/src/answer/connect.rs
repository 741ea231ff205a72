//! What an RTMP client's `connect` is told.
//!
//! It takes two steps, so that who keeps count of a client's redirects is asked between them:
//! [`Rules::route`] finds what the client wants, [`Route::answer`] chooses an edge for it.

mod asked;
mod kind;
mod route;

use std::net::IpAddr;

use rand::Rng;
use tidegate_control::{
    clock::Now,
    pick::{NoEdge, Picked, Wanted, pick},
    publish::Snapshot,
};
use tidegate_proto::edge::Scheme;

pub use self::{kind::ConnectKind, route::Route};
use super::{Rules, no_edge_text};

/// What an RTMP client asks, over whatever carries it.
#[derive(Debug, Clone, Copy)]
pub struct ConnectQuestion<'a> {
    /// The application as the client names it, with its query if it has one.
    pub app: &'a str,
    /// The application's URL as the client was given it.
    pub tc_url: &'a str,
    /// Whether it reconnects on request (Enhanced RTMP v2).
    pub reconnects: bool,
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
    /// To go to another place, because no edge can serve.
    Overflow {
        /// The application's URL there.
        url: String,
        /// The same for people.
        description: String,
        /// Whether the client is accepted and asked to reconnect, and not rejected.
        reconnects: bool,
    },
    /// No edge can be had.
    NoEdge(NoEdge),
    /// The client is never redirected.
    Ignored,
    /// No application of that name is configured.
    UnknownApp,
    /// The client named no application.
    NoApp,
    /// The application or its query cannot stand in a URL.
    AppInvalid,
    /// The client was redirected too often of late. Whoever keeps that count says so.
    LoopGuard,
    /// It may ask for a host by itself.
    Accept,
    /// It is accepted and asked to reconnect (Enhanced RTMP v2) to this URL.
    Reconnect(String),
    /// Its connection is spliced to an edge.
    Splice(Box<SplicePlan>),
}

impl ConnectAnswer {
    /// What it is, for the figures.
    #[must_use]
    pub fn kind(&self) -> ConnectKind {
        match self {
            Self::Redirect { .. } => ConnectKind::Redirect,
            Self::Overflow { .. } => ConnectKind::Overflow,
            Self::NoEdge(reason) => ConnectKind::NoEdge(*reason),
            Self::Ignored => ConnectKind::Ignored,
            Self::UnknownApp => ConnectKind::UnknownApp,
            Self::NoApp => ConnectKind::NoApp,
            Self::AppInvalid => ConnectKind::AppInvalid,
            Self::LoopGuard => ConnectKind::LoopGuard,
            Self::Accept => ConnectKind::Accepted,
            Self::Reconnect(_) => ConnectKind::Reconnect,
            Self::Splice(_) => ConnectKind::Splice,
        }
    }

    /// What the client is told in words; `None` where it is not rejected.
    #[must_use]
    pub fn description(&self) -> Option<String> {
        let text = match self {
            Self::Redirect { description, .. }
            | Self::Overflow { description, reconnects: false, .. } => description,
            Self::NoEdge(reason) => {
                return Some(format!("no edge available: {}", no_edge_text(*reason)));
            }
            Self::Ignored => "this address is listed in ignore_clients and is never redirected",
            Self::UnknownApp => "no application of this name is served here",
            Self::NoApp => "name an application, as in rtmp://HOST/APPLICATION",
            Self::AppInvalid => {
                "an application is visible ASCII without quotes, backslashes, '@', '#', empty \
                 segments and dot segments"
            }
            Self::LoopGuard => "too many redirects of this application for this address; wait",
            Self::Accept | Self::Reconnect(_) | Self::Overflow { .. } | Self::Splice(_) => {
                return None;
            }
        };
        Some(text.to_owned())
    }
}

/// The edge a connection is spliced to, and what `connect` says there.
#[derive(Debug, Clone)]
pub struct SplicePlan {
    /// The edge, its scheme always `rtmp`.
    pub picked: Picked,
    /// The application, with a query where the client's had one.
    pub app: String,
    /// The application's URL, with the query if there is one.
    pub tc_url: String,
}

/// The answer to a call of `getLoadBalancerRedirect` on a port: the bare host of an edge, or
/// `unknown`. It counts as a redirect, as `/loadbalancer` does.
pub fn host_for_call(
    rules: &Rules,
    snapshot: &Snapshot,
    client: IpAddr,
    port: u16,
    now: Now,
    random: &mut impl Rng,
) -> (ConnectKind, String) {
    // The host is for a URL of RTMP, so another place must speak that.
    let speaks = Some(Scheme::Rtmp);
    let has_overflow = rules.overflow.serves(speaks);
    let wanted = Wanted { has_overflow, ..rules.wanted(None, port, client) };
    match pick(snapshot, &wanted, now.monotonic, random) {
        Ok(picked) => (ConnectKind::Host, picked.edge.redirect_address.to_string()),
        Err(reason) => match rules.overflow.draw(speaks, random) {
            Some(place) => (ConnectKind::Overflow, place.host().to_string()),
            None => (ConnectKind::NoEdge(reason), "unknown".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests;
