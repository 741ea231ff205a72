//! Tidegate's data plane, and the process that links it with the control plane.
//!
//! In the order of a heartbeat's and a client's way: the heartbeat port ([`ingest`]) asks the
//! [`gate`] and hands reports to the fleet; the [`front`] takes connections and hands them to
//! [`clients`], which take the question out of a request or an [`rtmp`] session, and [`answer`]
//! makes the redirect. [`ops`] shows what is going on.
//! [`server`] binds, runs and stops all of it, as [`program`] asks.

pub mod answer;
pub mod clients;
pub mod config;
pub mod demo;
pub mod figures;
pub mod front;
pub mod gate;
pub mod ingest;
pub mod metrics;
pub mod ops;
pub mod own;
pub mod program;
pub mod rtmp;
pub mod server;
pub mod server_info;
pub mod telemetry;

mod error_body;
mod network;
mod shed;
mod tasks;

#[cfg(test)]
mod sample;
