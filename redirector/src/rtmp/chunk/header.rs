//! The header of a chunk.

use crate::rtmp::RtmpReject;

/// A time field that says: 4 more bytes hold the time.
const EXTENDED: u32 = 0xFF_FFFF;
/// The longest header: 3 bytes of chunk stream, 11 of message, 4 of extended time.
pub(super) const HEADER_LEN_MAX: usize = 18;

/// What is known of a message from the chunks of its chunk stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rtmp) struct Header {
    /// How much of it was written, 0 (all) to 3 (nothing).
    pub(in crate::rtmp) fmt: u8,
    /// The chunk stream, 2 to 65599.
    pub(in crate::rtmp) chunk_stream: u32,
    /// The time of the last `fmt` 0, or the difference of the last 1 or 2, in milliseconds.
    pub(in crate::rtmp) time_ms: u32,
    /// Whether the time took 4 more bytes, which `fmt` 3 then has too.
    pub(in crate::rtmp) extended: bool,
    /// The length of the message in bytes, below 2^24.
    pub(in crate::rtmp) len_bytes: u32,
    /// The type of the message.
    pub(in crate::rtmp) kind: u8,
    /// The message stream.
    pub(in crate::rtmp) message_stream: u32,
}

impl Header {
    /// Reads a whole header; none while bytes are missing. `last` finds what the last header of a
    /// chunk stream said.
    pub(super) fn parse(
        bytes: &[u8],
        last: impl FnOnce(u32) -> Option<Self>,
    ) -> Result<Option<Self>, RtmpReject> {
        let Some((fmt, chunk_stream, basic_len)) = basic(bytes) else { return Ok(None) };
        let Some((message, rest)) = bytes[basic_len..].split_at_checked(message_len(fmt)) else {
            return Ok(None);
        };
        let mut header = match (last(chunk_stream), fmt) {
            (Some(last), _) => last,
            // Some clients leave out the message stream 0 in the first message there is.
            (None, 0 | 1) => Self::first(chunk_stream),
            (None, _) => return Err(RtmpReject::HeaderMissing),
        };
        header.fmt = fmt;
        header.take(message);
        if header.extended {
            let Some(time) = rest.first_chunk() else { return Ok(None) };
            // A fmt 3 repeats the field, and not every client repeats it faithfully.
            if fmt != 3 {
                header.time_ms = u32::from_be_bytes(*time);
            }
        }
        Ok(Some(header))
    }

    fn first(chunk_stream: u32) -> Self {
        Self {
            fmt: 0,
            chunk_stream,
            time_ms: 0,
            extended: false,
            len_bytes: 0,
            kind: 0,
            message_stream: 0,
        }
    }

    /// Takes the fields that `fmt` wrote, in the order they are written.
    fn take(&mut self, message: &[u8]) {
        if let Some(&[a, b, c]) = message.get(0..3).and_then(|time| time.first_chunk()) {
            self.time_ms = u32::from_be_bytes([0, a, b, c]);
            self.extended = self.time_ms == EXTENDED;
        }
        if let Some(&[a, b, c, kind]) = message.get(3..7).and_then(|part| part.first_chunk()) {
            self.len_bytes = u32::from_be_bytes([0, a, b, c]);
            self.kind = kind;
        }
        if let Some(stream) = message.get(7..11).and_then(|part| part.first_chunk()) {
            self.message_stream = u32::from_le_bytes(*stream);
        }
    }

    /// Writes it as it stands.
    pub(in crate::rtmp) fn write(&self, out: &mut Vec<u8>) {
        self.write_basic(self.fmt, out);
        let time_ms = if self.extended { EXTENDED } else { self.time_ms };
        if self.fmt < 3 {
            out.extend(&time_ms.to_be_bytes()[1..]);
        }
        if self.fmt < 2 {
            out.extend(&self.len_bytes.to_be_bytes()[1..]);
            out.push(self.kind);
        }
        if self.fmt < 1 {
            out.extend(self.message_stream.to_le_bytes());
        }
        self.write_extended(out);
    }

    /// Writes the header of each further chunk of the same message.
    pub(super) fn write_continuation(&self, out: &mut Vec<u8>) {
        self.write_basic(3, out);
        self.write_extended(out);
    }

    fn write_basic(&self, fmt: u8, out: &mut Vec<u8>) {
        let fmt = fmt << 6;
        let [_, _, high, low] = self.chunk_stream.saturating_sub(64).to_be_bytes();
        match self.chunk_stream {
            0..64 => out.push(fmt | self.chunk_stream.to_be_bytes()[3]),
            64..320 => out.extend([fmt, low]),
            _ => out.extend([fmt | 1, low, high]),
        }
    }

    fn write_extended(&self, out: &mut Vec<u8>) {
        if self.extended {
            out.extend(self.time_ms.to_be_bytes());
        }
    }
}

/// `fmt`, the chunk stream and how many bytes said so.
fn basic(bytes: &[u8]) -> Option<(u8, u32, usize)> {
    let first = *bytes.first()?;
    let fmt = first >> 6;
    Some(match first & 0x3F {
        0 => (fmt, 64 + u32::from(*bytes.get(1)?), 2),
        1 => {
            let number = u16::from_le_bytes([*bytes.get(1)?, *bytes.get(2)?]);
            (fmt, 64 + u32::from(number), 3)
        }
        number => (fmt, number.into(), 1),
    })
}

fn message_len(fmt: u8) -> usize {
    [11, 7, 3, 0][usize::from(fmt & 3)]
}
