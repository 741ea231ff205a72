//! RTMP as far as a redirector needs it, without I/O: bytes go in, bytes and a verdict's
//! consequences come out.
//!
//! One [`Session`] serves RTMP, RTMPS and RTMPT alike. It knows the protocol and no fleet: what a
//! client is told is decided by a [`Judge`].
//!
//! Sources: Adobe's RTMP 1.0 specification (handshake 5.2, chunks 5.3, messages 5.4, AMF0 commands
//! 7.2) and Enhanced RTMP v2 (reconnect request).

mod command;
mod reject;
mod session;

pub use self::{
    command::Connect,
    reject::RtmpReject,
    session::{Handover, Judge, Progress, Session, Verdict},
};
