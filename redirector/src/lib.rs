//! placeholder

pub mod answer;
pub mod front;
pub mod http;
pub mod ops;
pub mod own;
pub mod server_info;

#[cfg(test)]
mod sample;
