//! Countries and continents.

use std::{fmt, str::FromStr};

use super::ZoneId;

/// The continents' codes.
const CONTINENTS: [[u8; 2]; 7] = [*b"AF", *b"AN", *b"AS", *b"EU", *b"NA", *b"OC", *b"SA"];
/// What tells a country from the continent of the same code.
const COUNTRY_MARK: &str = "country:";

/// Where a client is, by codes of two capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// ISO 3166-1 alpha-2.
    Country([u8; 2]),
    /// `AF`, `AN`, `AS`, `EU`, `NA`, `OC` or `SA`.
    Continent([u8; 2]),
}

/// The text is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a place is a country's code such as DE (ISO 3166-1), or a continent's: AF, AN, AS, EU, NA, OC \
     or SA; a country that shares a continent's code is written country:NA"
)]
pub struct BadPlace;

impl Place {
    pub(super) fn country(code: &str) -> Option<Self> {
        letters(code).map(Self::Country)
    }

    pub(super) fn continent(code: &str) -> Option<Self> {
        letters(code).filter(|code| CONTINENTS.contains(code)).map(Self::Continent)
    }
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        let place = match text.strip_prefix(COUNTRY_MARK) {
            Some(code) => Self::country(code),
            None => Self::continent(text).or_else(|| Self::country(text)),
        };
        place.ok_or(BadPlace)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Country(code) | Self::Continent(code)) = self;
        if matches!(self, Self::Country(code) if CONTINENTS.contains(code)) {
            f.write_str(COUNTRY_MARK)?;
        }
        code.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

fn letters(code: &str) -> Option<[u8; 2]> {
    let code: [u8; 2] = code.as_bytes().try_into().ok()?;
    code.iter().all(u8::is_ascii_uppercase).then_some(code)
}

/// Whose place is whose, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Vec<(Place, ZoneId)>);

impl Claims {
    /// # Errors
    /// A place that two zones claim, or one of them twice.
    pub(super) fn new(mut claimed: Vec<(Place, ZoneId)>) -> Result<Self, (Place, ZoneId, ZoneId)> {
        claimed.sort_unstable();
        match claimed.array_windows().find(|[(one, _), (two, _)]| one == two) {
            Some([(place, first), (_, second)]) => Err((*place, *first, *second)),
            None => Ok(Self(claimed)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(&self, place: Place) -> Option<ZoneId> {
        let found = self.0.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        self.0.get(found).map(|(_, zone)| *zone)
    }
}
