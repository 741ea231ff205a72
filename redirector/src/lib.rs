//! placeholder

pub mod figures;
pub mod gate;
pub mod ingest;
pub mod metrics;
pub mod telemetry;
