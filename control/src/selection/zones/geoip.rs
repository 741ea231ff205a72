//! A file that says where addresses are, in MaxMind's format
//! (<https://maxmind.github.io/MaxMind-DB/>). Whoever owns the path reads it.

use std::{fmt, net::IpAddr};

use arc_swap::ArcSwap;
use maxminddb::{MaxMindDbError, Reader, path};

use super::Place;

/// So many records are looked at for one that names a country or a continent.
const RECORDS_TRIED: usize = 10_000;

/// What a geography file says. It can be exchanged while others look up.
pub struct GeoIp(ArcSwap<Reader<Vec<u8>>>);

/// Why bytes are no geography file.
#[derive(Debug, thiserror::Error)]
pub enum BadGeoIp {
    /// They are not in MaxMind's format.
    #[error("it is no MaxMind database (.mmdb): {0}")]
    Format(#[from] MaxMindDbError),
    /// They are, but say something else of addresses, such as who announces them.
    #[error("it is a {0:?}, which names no countries; use one such as GeoLite2-Country")]
    NoPlaces(String),
}

impl GeoIp {
    /// Reads a file's bytes, which it keeps.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BadGeoIp> {
        Ok(Self(ArcSwap::from_pointee(reader(bytes)?)))
    }

    /// Reads a newer file's bytes; where they are bad the older ones stay.
    pub fn replace(&self, bytes: Vec<u8>) -> Result<(), BadGeoIp> {
        self.0.store(reader(bytes)?.into());
        Ok(())
    }

    /// Asks `of` about the country of an address, then about its continent.
    pub(super) fn find<T>(&self, address: IpAddr, of: impl Fn(Place) -> Option<T>) -> Option<T> {
        let reader = self.0.load();
        if address.is_ipv6() && reader.metadata().ip_version == 4 {
            return None;
        }
        let record = reader.lookup(address).ok()?;
        let country = || record.decode_path(&path!["country", "iso_code"]).ok()?;
        let continent = || record.decode_path(&path!["continent", "code"]).ok()?;
        country()
            .and_then(Place::country)
            .and_then(&of)
            .or_else(|| continent().and_then(Place::continent).and_then(&of))
    }
}

impl fmt::Debug for GeoIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GeoIp").field(&self.0.load().metadata().database_type).finish()
    }
}

fn reader(bytes: Vec<u8>) -> Result<Reader<Vec<u8>>, BadGeoIp> {
    let reader = Reader::from_source(bytes)?;
    for record in reader.networks(Default::default())?.take(RECORDS_TRIED) {
        let record = record?;
        let country: Option<&str> = record.decode_path(&path!["country", "iso_code"])?;
        let continent: Option<&str> = record.decode_path(&path!["continent", "code"])?;
        if country.is_some() || continent.is_some() {
            return Ok(reader);
        }
    }
    Err(BadGeoIp::NoPlaces(reader.metadata().database_type.clone()))
}
