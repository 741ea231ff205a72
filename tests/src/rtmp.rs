//! A small RTMP client that shares no code with the programs under test: it is the oracle.
//!
//! It speaks RTMP 1.0 over TCP, TLS, and HTTP as librtmp does it, and never more than a test asks.

pub mod amf;
pub mod chunk;
pub mod client;
pub mod follow;
pub mod transport;
pub mod tunnel;
pub mod url;
