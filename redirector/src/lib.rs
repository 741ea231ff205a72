//! placeholder

pub mod figures;
pub mod gate;
