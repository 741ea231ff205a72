//! Generated from `proto/tidegate/**.proto` and committed, so that building needs no protoc.
//! `cargo test -p tidegate-proto --test regenerated` holds it to the sources;
//! `TIDEGATE_REGENERATE=1` before it writes the files anew.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]

#[cfg(feature = "admin")]
#[rustfmt::skip]
#[path = "gen/tidegate.admin.v1.rs"]
pub mod admin_v1;

#[rustfmt::skip]
#[path = "gen/tidegate.heartbeat.v1.rs"]
pub mod heartbeat_v1;
