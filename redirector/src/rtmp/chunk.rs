//! Chunks, the pieces in which messages travel (RTMP 1.0, 5.3 and 5.4).
//!
//! What is held grows with what has come, never with what is announced.

mod header;
mod reader;
mod writer;

pub(super) use self::{
    header::Header,
    reader::{Bounds, Message, Reader, Step},
    writer::write_message,
};

/// The length of a chunk's payload until SetChunkSize changes it; ours never changes.
pub(super) const CHUNK_SIZE_DEFAULT: usize = 128;

/// Types of messages.
pub(super) mod kind {
    pub(in crate::rtmp) const SET_CHUNK_SIZE: u8 = 1;
    pub(in crate::rtmp) const ABORT: u8 = 2;
    pub(in crate::rtmp) const ACKNOWLEDGEMENT: u8 = 3;
    pub(in crate::rtmp) const WINDOW_ACK_SIZE: u8 = 5;
    pub(in crate::rtmp) const SET_PEER_BANDWIDTH: u8 = 6;
    /// AMF0 behind one byte that says so.
    pub(in crate::rtmp) const COMMAND_AMF3: u8 = 17;
    pub(in crate::rtmp) const COMMAND: u8 = 20;
}

/// Extends `kept`, which grows as ever but holds no room beyond `len_max`, the most it will hold.
pub(super) fn extend_within(kept: &mut Vec<u8>, bytes: &[u8], len_max: usize) {
    let len = kept.len() + bytes.len();
    if len > kept.capacity() {
        let capacity = (2 * kept.capacity()).min(len_max).max(len);
        kept.reserve_exact(capacity - kept.len());
    }
    kept.extend_from_slice(bytes);
}
