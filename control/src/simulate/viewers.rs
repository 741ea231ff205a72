//! Who watches where.

use std::net::{IpAddr, Ipv4Addr};

pub(super) use super::audience::Traits;

/// Where a viewer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// Not redirected yet, or about to ask again.
    Away,
    /// On the way to an edge.
    Bound,
    /// Watching on the edge of this place.
    On(u32),
    /// Never to be seen again.
    Gone,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Viewer {
    pub(super) traits: Traits,
    pub(super) whereabouts: Whereabouts,
    /// Requests so far.
    pub(super) attempts: u32,
    /// Whether it has watched: its session is running.
    pub(super) has_watched: bool,
    /// The edge that failed it last.
    pub(super) failed_by: Option<u32>,
}

/// Where viewer `index` asks from: each has a network of its own, so that all may speak against an
/// edge at once.
pub(super) fn address_of(index: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from((index as u32) << 8 | 1))
}

impl Viewer {
    pub(super) fn new(traits: Traits) -> Self {
        Self {
            traits,
            whereabouts: Whereabouts::Away,
            attempts: 0,
            has_watched: false,
            failed_by: None,
        }
    }
}
