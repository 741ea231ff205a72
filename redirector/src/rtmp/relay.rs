//! What a client sends behind a `connect` that was changed on its way to an edge.

use super::{
    RtmpReject,
    chunk::{Reader, Step},
};

/// Passes a client's bytes on to an edge.
///
/// The edge heard a `connect` of another length than the client said. The next message on the same
/// chunk stream may count on the old length, so its header is written out; nothing else differs,
/// and from there on nothing is looked at any more.
#[derive(Debug)]
pub struct Relay {
    /// Until that header has passed.
    reader: Option<Reader>,
    chunk_stream: u32,
}

impl Relay {
    pub(super) fn new(reader: Reader, chunk_stream: u32) -> Self {
        Self { reader: Some(reader), chunk_stream }
    }

    /// Whether all passes untouched from here on, so that the relay may be left out.
    #[must_use]
    pub fn is_transparent(&self) -> bool {
        self.reader.is_none()
    }

    /// Passes `bytes` to the end of `out`. What of a header is not whole yet is held back.
    ///
    /// # Errors
    /// What was wrong; both connections are to be closed.
    pub fn pass(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), RtmpReject> {
        while let Some(reader) = &mut self.reader {
            let before = bytes;
            let Some(step) = reader.next(&mut bytes)? else { return Ok(()) };
            match step {
                Step::Header { mut header, begins: true }
                    if header.chunk_stream == self.chunk_stream =>
                {
                    if header.fmt > 1 {
                        header.fmt = 1;
                        header.write(out);
                    } else {
                        out.extend(reader.head());
                    }
                    self.reader = None;
                }
                Step::Header { .. } => out.extend(reader.head()),
                Step::Payload => out.extend(&before[..before.len() - bytes.len()]),
                Step::Message(_) => {}
            }
        }
        out.extend(bytes);
        Ok(())
    }
}
