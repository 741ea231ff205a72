//! Writes messages in chunks.

use super::Header;

/// Writes a message under `header`, whose length becomes that of the payload, in chunks of
/// `chunk_size` bytes. A payload is shorter than 2^24 bytes.
pub(in crate::rtmp) fn write_message(
    mut header: Header,
    payload: &[u8],
    chunk_size: usize,
    out: &mut Vec<u8>,
) {
    header.len_bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    header.write(out);
    for (place, chunk) in payload.chunks(chunk_size.max(1)).enumerate() {
        if place > 0 {
            header.write_continuation(out);
        }
        out.extend(chunk);
    }
}
