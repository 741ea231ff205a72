//! Real media: a real edge, what publishes to it, and what plays from it.

pub mod hls;
pub mod nginx;
pub mod players;
pub mod publisher;
