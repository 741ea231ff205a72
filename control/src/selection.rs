//! How an edge is chosen, prepared so that a pick has little left to do. Pure: it is told the time.
//!
//! The [`Planner`] belongs to whoever publishes. A few times a second it looks at the fleet, at what
//! was handed out and at what reports have confirmed, and makes a [`Table`] of it: what every edge
//! carries by prediction, and for each kind of client the edges it can go to, ready to be drawn from.
//! Between two tables picks count what they hand out in the edges' cells and nothing else.

mod alias;
mod evidence;
mod front;
mod layout;
mod ledger;
mod level;
mod memory;
mod planner;
mod policy;
mod pool;
mod row;
mod score;
mod settings;
mod stream;
mod table;
mod tide;
mod zones;

pub use self::{
    evidence::{Evidence, Vote},
    planner::Planner,
    policy::{Policy, UnknownPolicy},
    pool::Pool,
    row::Row,
    settings::{Rule, Selection},
    stream::stream_of,
    table::Table,
    zones::{BadGeoIp, BadPlace, BadZones, GeoIp, Place, ZONES_MAX, Zone, ZoneId, Zones},
};
pub(crate) use self::{front::NEVER, pool::Draw};

#[cfg(test)]
mod tests;
