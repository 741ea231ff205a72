//! How an edge is chosen, prepared so that a pick has little left to do. Pure: it is told the time.
//!
//! The [`Planner`] belongs to whoever publishes. A few times a second it looks at the fleet, at what
//! was handed out and at what reports have confirmed, and makes a [`Table`] of it: what every edge
//! carries by prediction, and for each kind of client the edges it can go to, ready to be drawn from.
//! Between two tables picks count what they hand out in the edges' cells and nothing else.

mod affinity;
mod alias;
mod balance;
mod beginning;
mod evidence;
mod front;
mod hosts;
mod layout;
mod ledger;
mod level;
mod memory;
mod mix;
mod openings;
mod planner;
mod policy;
mod pool;
mod ring;
mod row;
mod score;
mod settings;
mod spread;
mod stream;
mod table;
mod tide;
mod zones;

pub(crate) use self::{
    affinity::Affinity, alias::Alias, front::NEVER, layout::missing_label, pool::Draw, row::Gist,
    score::reported_load,
};
pub use self::{
    balance::Balance,
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

#[cfg(test)]
mod tests;
