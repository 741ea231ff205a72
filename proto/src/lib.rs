//! What Tidegate's processes must agree on, and nothing else.
//!
//! In the order a heartbeat is made: [`key`]s come from files, an [`edge`] describes itself in a
//! [`heartbeat`], [`seal`] closes it into a [`datagram`], and the receiver's [`window`] refuses
//! repeats. An [`ack`](heartbeat::Ack) travels back the same way.
//! [`program`], [`settings`], [`secret_file`], [`stamp`] and [`ports_file`] hold what every program does alike
//! with its flags, files and exit codes.
//! There are no tasks, sockets, clocks or stores here.

pub mod datagram;
pub mod edge;
pub mod heartbeat;
pub mod key;
pub mod ports_file;
pub mod program;
pub mod regular_file;
pub mod seal;
pub mod secret_file;
pub mod settings;
pub mod stamp;
pub mod stream;
pub mod window;

mod generated;

/// The admin API's generated messages, client and server, and its descriptor set.
#[cfg(feature = "admin")]
pub mod admin {
    pub use crate::generated::admin_v1::*;

    /// Every admin message and service, for reflection and for canonical JSON.
    pub const DESCRIPTOR_SET: &[u8] = include_bytes!("gen/admin.binpb");
}

/// The generated heartbeat messages. Use [`heartbeat`] instead; these are public for fuzzing and
/// for senders that build odd heartbeats on purpose.
pub mod wire {
    pub use crate::generated::heartbeat_v1::*;
}
