//! Runs beside one edge, measures it, and sends heartbeats to every redirector it is told of.
//!
//! In reading order: a [`config`] and its [`targets`] say who reports what to whom, [`identity`]
//! says as which edge, a [`source`] measures, [`report`] makes a heartbeat of it, and the
//! [`EdgeSender`] keeps one sealed session per target going. [`status`], [`metrics`] and
//! [`control`] show what comes of it.
//! The agent never waits for a redirector: missing acks are shown, and change nothing else.
//!
//! A media server written in Rust links this crate instead of running the program:
//!
//! ```no_run
//! use tidegate_agent::{EdgeSender, Measurement, Target};
//! # async fn example(key: tidegate_proto::key::SendKey) -> Result<(), Box<dyn std::error::Error>> {
//! let edge = EdgeSender::new("edge-1".parse()?)
//!     .state_dir("/var/lib/my-server")
//!     .target(Target::new("redirector.example.com", 1934, key)?)
//!     .source(|| Ok(Measurement::of_viewers(12)))
//!     .spawn()?;
//! edge.pause();
//! edge.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/media_server.rs` is such a server, whole.

pub mod config;
pub mod control;
mod http;
pub mod identity;
pub mod limit;
pub mod link_speed;
pub mod metrics;
pub mod operator;
pub mod prepare;
pub mod preview;
pub mod program;
pub mod redirect;
pub mod report;
pub mod sender;
pub mod source;
pub mod status;
pub mod targets;
pub mod telemetry;
pub mod variables;

pub use limit::ViewerLimit;
pub use report::{Profile, Redirect};
pub use sender::{Controls, EdgeHandle, EdgeSender, StartError};
pub use source::{Measurement, Source};
pub use status::{EdgeStatus, TargetStatus};
pub use targets::Target;

/// The version heartbeats and status pages carry.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
