//! The admin API: how operators see the fleet and give it orders, over gRPC.
//!
//! In the order of a call's way: [`serve`] accepts it, through `tls` where there are
//! certificates; `trace` gives it a span and catches panics; `gate` asks [`auth`] who calls and
//! whether they may, and how often; `service` checks the arguments and asks the fleet. `audit`
//! keeps a record of every attempt. Nothing here decides about an edge.

pub mod auth;
pub mod serve;
pub mod settings;
pub mod tokens;

mod audit;
mod connection;
mod explain;
mod filter;
mod gate;
mod page;
mod refusal;
mod service;
mod tls;
mod trace;
mod watch;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use auth::Credentials;
pub use explain::Entrance;
pub use serve::{BindError, Bound, Health, Reload, bind, check};
pub use settings::Settings;
