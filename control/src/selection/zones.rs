//! Which clients belong to which zone.

use std::net::IpAddr;

/// A zone's place in [`Zones`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u16);

/// The zones, in the order they were configured; none: geography plays no part.
#[derive(Debug, Clone, Default)]
pub struct Zones {}

impl Zones {
    /// The zone of a client; `None` where no zone claims it.
    #[must_use]
    pub fn of(&self, _client: IpAddr) -> Option<ZoneId> {
        None
    }

    /// The zones' names; a zone's place among them is its [`ZoneId`].
    #[must_use]
    pub fn names(&self) -> &[String] {
        &[]
    }

    /// Where a zone's clients go when it is full, in this order.
    #[must_use]
    pub fn next(&self, _zone: ZoneId) -> &[ZoneId] {
        &[]
    }
}
