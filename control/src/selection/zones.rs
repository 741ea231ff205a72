//! Which clients belong to which zone: by their network, else by the place that a geography file
//! gives for their address. Built once; a look-up allocates nothing and takes no lock.

mod geoip;
mod place;
mod ranges;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use tidegate_proto::edge::LABEL_LEN_MAX;

pub use self::{
    geoip::{BadGeoIp, GeoIp},
    place::{BadPlace, Place},
};
use self::{place::Claims, ranges::Networks};

/// The most zones there may be.
pub const ZONES_MAX: usize = 256;

/// A zone's place in [`Zones`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZoneId(pub u16);

/// One zone as the operator describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Zone {
    /// What its edges' zone label says.
    pub name: String,
    /// The networks of its clients.
    pub networks: Vec<IpNet>,
    /// Where clients of no network live that belong to it too.
    pub places: Vec<Place>,
    /// The zones whose edges stand in, in this order.
    pub next: Vec<String>,
}

/// The zones, in the order they were configured; none: geography plays no part.
#[derive(Debug, Clone, Default)]
pub struct Zones {
    names: Vec<String>,
    next: Vec<Vec<ZoneId>>,
    networks: Networks,
    places: Claims,
    geoip: Option<Arc<GeoIp>>,
}

/// Why zones were refused. Each message names the zone and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum BadZones {
    #[error("{0} zones are more than the {ZONES_MAX} there may be")]
    TooMany(usize),
    #[error("the name {0:?} is not 1 to {LABEL_LEN_MAX} bytes without control characters")]
    Name(String),
    #[error("two zones are called {0:?}; join them")]
    Twice(String),
    #[error("zone {0:?} has neither networks nor places, so no client would belong to it")]
    Empty(String),
    #[error("zone {zone:?} names {next:?} in next, but the zones are {known}")]
    UnknownNext { zone: String, next: String, known: String },
    #[error("zone {zone:?} names {next:?} in next, which is itself or was named before")]
    NextAgain { zone: String, next: String },
    #[error("the network {network} is in the zones {first:?} and {second:?}; keep one")]
    NetworkTwice { network: IpNet, first: String, second: String },
    #[error("the place {place} is in the zones {first:?} and {second:?}; keep one")]
    PlaceTwice { place: Place, first: String, second: String },
}

impl Zones {
    /// Zones that find clients by network, and by place once they have a file to
    /// [look in](Self::look_in).
    pub fn new(zones: &[Zone]) -> Result<Self, BadZones> {
        if zones.len() > ZONES_MAX {
            return Err(BadZones::TooMany(zones.len()));
        }
        let ids = ids(zones)?;
        zones.iter().try_for_each(Zone::check)?;
        Ok(Self {
            names: zones.iter().map(|zone| zone.name.clone()).collect(),
            next: zones.iter().map(|zone| next(zone, &ids)).collect::<Result<_, _>>()?,
            networks: networks(zones)?,
            places: places(zones)?,
            geoip: None,
        })
    }

    /// Where clients of no network are looked for.
    pub fn look_in(&mut self, geoip: Arc<GeoIp>) {
        self.geoip = Some(geoip);
    }

    /// Whether there is no zone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The zones' names, each at the place of its [`ZoneId`].
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The zones whose edges stand in for those of `zone`, in the order they are to be asked.
    #[must_use]
    pub fn next(&self, zone: ZoneId) -> &[ZoneId] {
        self.next.get(usize::from(zone.0)).map_or(&[], Vec::as_slice)
    }

    /// The zone of a client: that of the most specific network that holds its address, else that of
    /// its country, else that of its continent; `None` where no zone claims it. An IPv4 address
    /// inside an IPv6 one is taken for itself.
    #[must_use]
    pub fn of(&self, client: IpAddr) -> Option<ZoneId> {
        let client = client.to_canonical();
        self.networks.of(client).or_else(|| self.by_place(client))
    }

    fn by_place(&self, client: IpAddr) -> Option<ZoneId> {
        let geoip = self.geoip.as_ref().filter(|_| !self.places.is_empty())?;
        geoip.find(client, |place| self.places.of(place))
    }
}

impl Zone {
    fn check(&self) -> Result<(), BadZones> {
        let name = self.name.clone();
        if !(1..=LABEL_LEN_MAX).contains(&name.len()) || name.chars().any(char::is_control) {
            return Err(BadZones::Name(name));
        }
        if self.networks.is_empty() && self.places.is_empty() {
            return Err(BadZones::Empty(name));
        }
        Ok(())
    }
}

/// Zones by the order they were given in, which [`ZONES_MAX`] keeps within their ids.
fn numbered(zones: &[Zone]) -> impl Iterator<Item = (ZoneId, &Zone)> {
    (0..).map(ZoneId).zip(zones)
}

fn ids(zones: &[Zone]) -> Result<HashMap<&str, ZoneId>, BadZones> {
    let mut ids = HashMap::new();
    for (id, zone) in numbered(zones) {
        if ids.insert(zone.name.as_str(), id).is_some() {
            return Err(BadZones::Twice(zone.name.clone()));
        }
    }
    Ok(ids)
}

fn next(zone: &Zone, ids: &HashMap<&str, ZoneId>) -> Result<Vec<ZoneId>, BadZones> {
    let mut found = Vec::with_capacity(zone.next.len());
    for next in &zone.next {
        let Some(id) = ids.get(next.as_str()) else {
            let mut known: Vec<_> = ids.keys().map(|name| format!("{name:?}")).collect();
            known.sort();
            let (zone, next, known) = (zone.name.clone(), next.clone(), known.join(", "));
            return Err(BadZones::UnknownNext { zone, next, known });
        };
        if *next == zone.name || found.contains(id) {
            return Err(BadZones::NextAgain { zone: zone.name.clone(), next: next.clone() });
        }
        found.push(*id);
    }
    Ok(found)
}

fn networks(zones: &[Zone]) -> Result<Networks, BadZones> {
    let claimed = numbered(zones)
        .flat_map(|(id, zone)| zone.networks.iter().map(move |network| (*network, id)))
        .collect();
    Networks::new(claimed).map_err(|(network, first, second)| BadZones::NetworkTwice {
        network,
        first: name(zones, first),
        second: name(zones, second),
    })
}

fn places(zones: &[Zone]) -> Result<Claims, BadZones> {
    let claimed = numbered(zones)
        .flat_map(|(id, zone)| zone.places.iter().map(move |place| (*place, id)))
        .collect();
    Claims::new(claimed).map_err(|(place, first, second)| BadZones::PlaceTwice {
        place,
        first: name(zones, first),
        second: name(zones, second),
    })
}

fn name(zones: &[Zone], id: ZoneId) -> String {
    zones.get(usize::from(id.0)).map(|zone| zone.name.clone()).unwrap_or_default()
}
