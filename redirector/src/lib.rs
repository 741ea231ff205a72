//! placeholder

pub mod figures;
pub mod gate;
pub mod ingest;
