//! How a client would reach an edge, if it can at all.

use tidegate_proto::edge::{Host, Scheme};

use super::Wanted;
use crate::snapshot::EdgeView;

/// The scheme and the port; `None`: the edge does not serve it, or it would lead back here.
pub(super) fn reach(edge: &EdgeView, wanted: &Wanted<'_>) -> Option<(Scheme, u16)> {
    let (scheme, port) = match wanted.scheme {
        None => (Scheme::Http, edge.endpoints.first().map_or(wanted.port, |e| e.port.get())),
        Some(scheme) => (scheme, endpoint_port(edge, scheme, wanted.port)?),
    };
    let port = wanted.port_override.unwrap_or(port);
    let leads_back = match &edge.redirect_address {
        Host::Address(address) => {
            wanted.scheme.is_some() && wanted.own.contains(&(address.to_canonical(), port))
        }
        Host::Name(_) => false,
    };
    (!leads_back).then_some((scheme, port))
}

/// An edge that lists endpoints serves those alone. RTMPT is RTMP's port with HTTP around it, so
/// it may use that; what is encrypted never falls to plain.
pub(crate) fn endpoint_port(edge: &EdgeView, scheme: Scheme, default: u16) -> Option<u16> {
    if edge.endpoints.is_empty() {
        return Some(default);
    }
    let listed = |scheme| edge.endpoints.iter().find(|endpoint| endpoint.scheme == scheme);
    let endpoint = match scheme {
        Scheme::Rtmpt => listed(Scheme::Rtmpt).or_else(|| listed(Scheme::Rtmp)),
        Scheme::Rtmpts => listed(Scheme::Rtmpts).or_else(|| listed(Scheme::Rtmps)),
        other => listed(other),
    };
    endpoint.map(|endpoint| endpoint.port.get())
}
