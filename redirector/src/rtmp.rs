//! RTMP as far as a redirector needs it, without I/O: bytes go in, bytes and a verdict's
//! consequences come out.
//!
//! One [`Session`] serves RTMP, RTMPS and RTMPT alike. It knows the protocol and no fleet: what a
//! client is told is decided by a [`Judge`]. Where that is a splice, a [`Handover`] and a [`Relay`]
//! make what an edge hears out of what the client said, after a handshake by [`Dial`].
//!
//! Nothing here is allocated because a client announced it, nothing recurses, and every bound that
//! a client can run into is a [`RtmpReject`] or the session's end.
//!
//! Sources: Adobe's RTMP 1.0 specification (handshake 5.2, chunks 5.3, messages 5.4, AMF0 commands
//! 7.2) and Enhanced RTMP v2 (reconnect request).

pub mod amf0;
mod calls;
mod chunk;
mod command;
mod dial;
mod handover;
mod handshake;
mod opening;
mod reject;
mod relay;
mod reply;
mod session;

pub use self::{
    command::{Connect, TEXT_LEN_MAX},
    dial::Dial,
    handover::Handover,
    handshake::RANDOM_LEN,
    reject::RtmpReject,
    relay::Relay,
    reply::rejection,
    session::{Judge, Progress, Session, Stage, Verdict},
};

#[cfg(test)]
mod tests;
