//! How a client would reach an edge, if it can at all.

use std::collections::HashMap;

use tidegate_proto::edge::{Host, Scheme};

use super::Wanted;
use crate::snapshot::EdgeView;

/// An edge's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Door {
    /// The port that each scheme is reached by; 0: none.
    ports: [u16; Scheme::ALL.len()],
    /// The first of all it lists.
    first: u16,
    /// Whether it lists any; where it does not, all go by the client's own.
    is_listed: bool,
    /// Whether it is found by an address, so that it might be this redirector itself.
    is_address: bool,
}

impl Door {
    pub(crate) fn of(edge: &EdgeView) -> Self {
        Self {
            ports: Scheme::ALL.map(|scheme| listed_port(edge, scheme)),
            first: edge.endpoints.first().map_or(0, |endpoint| endpoint.port.get()),
            is_listed: !edge.endpoints.is_empty(),
            is_address: matches!(edge.redirect_address, Host::Address(_)),
        }
    }

    /// Whether a client of this scheme may be sent to the edge: one that lists endpoints serves those
    /// alone.
    pub(crate) fn serves(&self, scheme: Scheme) -> bool {
        !self.is_listed || self.ports[scheme as usize] != 0
    }

    /// The scheme and the port; `None`: the edge does not serve it, or it would lead back here.
    #[inline]
    pub(super) fn reach(&self, edge: &EdgeView, wanted: &Wanted<'_>) -> Option<(Scheme, u16)> {
        let listed = wanted.scheme.map_or(self.first, |scheme| self.ports[scheme as usize]);
        let port = if self.is_listed { listed } else { wanted.port };
        if self.is_listed && port == 0 {
            return None;
        }
        let port = wanted.port_override.unwrap_or(port);
        if self.is_address && wanted.scheme.is_some() && leads_back(edge, port, wanted) {
            return None;
        }
        Some((wanted.scheme.unwrap_or(Scheme::Http), port))
    }
}

/// The doors of a list of edges, by place. Most fleets have few that differ, so that those stay near.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    distinct: Vec<Door>,
    /// The door's place in `distinct`; not asked where there is only one.
    by_place: Vec<u32>,
}

impl Doors {
    pub(crate) fn of(doors: impl Iterator<Item = Door>) -> Self {
        let mut all = Self::default();
        let mut known = HashMap::new();
        let mut last = None;
        for door in doors {
            let at = match last {
                Some((same, at)) if same == door => at,
                _ => *known.entry(door).or_insert_with(|| {
                    all.distinct.push(door);
                    all.distinct.len() as u32 - 1
                }),
            };
            last = Some((door, at));
            all.by_place.push(at);
        }
        all
    }

    #[inline]
    pub(crate) fn of_place(&self, place: usize) -> Option<&Door> {
        match self.distinct.as_slice() {
            [same] => Some(same),
            distinct => distinct.get(*self.by_place.get(place)? as usize),
        }
    }

    /// The same with other doors at some places, given in order.
    pub(crate) fn with(&self, changed: &[(usize, Door)]) -> Self {
        let mut changed = changed.iter().peekable();
        Self::of((0..self.by_place.len()).map(|place| {
            let other = changed.next_if(|(at, _)| *at == place).map(|(_, door)| *door);
            other.or_else(|| self.of_place(place).copied()).unwrap_or_default()
        }))
    }
}

/// Whether this redirector itself listens there. Few ports are its own: to see that none of them is
/// meant takes less than a look at the edge.
fn leads_back(edge: &EdgeView, port: u16, wanted: &Wanted<'_>) -> bool {
    if !wanted.own.iter().any(|(_, own)| *own == port) {
        return false;
    }
    let Host::Address(address) = &edge.redirect_address else { return false };
    wanted.own.contains(&(address.to_canonical(), port))
}

/// The port that an edge lists for a scheme; 0: none. RTMPT is RTMP's port with HTTP around it, so
/// it may use that; what is encrypted never falls to plain.
fn listed_port(edge: &EdgeView, scheme: Scheme) -> u16 {
    let listed = |scheme| edge.endpoints.iter().find(|endpoint| endpoint.scheme == scheme);
    let endpoint = match scheme {
        Scheme::Rtmpt => listed(Scheme::Rtmpt).or_else(|| listed(Scheme::Rtmp)),
        Scheme::Rtmpts => listed(Scheme::Rtmpts).or_else(|| listed(Scheme::Rtmps)),
        other => listed(other),
    };
    endpoint.map_or(0, |endpoint| endpoint.port.get())
}
