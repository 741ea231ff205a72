//! Chunks (RTMP 1.0 section 5.3): messages cut into pieces, and put together again.

use std::collections::HashMap;

/// The size of chunks until a side announces another (section 5.4.1).
pub const SIZE_DEFAULT: usize = 128;
/// A timestamp of this or more stands in four bytes after the header.
const EXTENDED: u32 = 0x00ff_ffff;

/// Message types (section 5.4 and 7.1).
pub mod kind {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message.
    pub const ABORT: u8 = 2;
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// A command in AMF0.
    pub const COMMAND: u8 = 20;
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The chunk stream it travels on, 2 to 65599.
    pub chunk_stream: u32,
    /// In milliseconds.
    pub timestamp: u32,
    /// Its type, see [`kind`].
    pub kind: u8,
    /// The message stream it belongs to.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// How much of the header of the message before is said again (section 5.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Everything: type 0.
    Full,
    /// The same message stream: type 1.
    SameStream,
    /// The same length and type too: type 2.
    SameShape,
    /// The same time step too: type 3.
    SameStep,
}

/// Cuts messages.
#[derive(Debug)]
pub struct Writer {
    /// The size of chunks from now on; announcing it is for the caller.
    pub size: usize,
    /// The last timestamp on each chunk stream.
    before: HashMap<u32, u32>,
}

impl Default for Writer {
    fn default() -> Self {
        Self { size: SIZE_DEFAULT, before: HashMap::new() }
    }
}

impl Writer {
    /// The chunks of a message with a full header.
    #[must_use]
    pub fn full(&mut self, message: &Message) -> Vec<u8> {
        self.write(message, Format::Full)
    }

    /// The chunks of a message with any header; that the shorter ones are true is for the caller.
    #[must_use]
    pub fn write(&mut self, message: &Message, format: Format) -> Vec<u8> {
        let before = self.before.insert(message.chunk_stream, message.timestamp).unwrap_or(0);
        let step = message.timestamp.wrapping_sub(before);
        let time = if format == Format::Full { message.timestamp } else { step };
        let long = time >= EXTENDED && format != Format::SameStep;
        let mut out = Vec::new();
        basic(format, message.chunk_stream, &mut out);
        if format != Format::SameStep {
            out.extend(three(time.min(EXTENDED)));
        }
        if matches!(format, Format::Full | Format::SameStream) {
            out.extend(three(u32::try_from(message.payload.len()).expect("a length")));
            out.push(message.kind);
        }
        if format == Format::Full {
            out.extend(message.stream.to_le_bytes());
        }
        for (n, piece) in message.payload.chunks(self.size).enumerate() {
            if n > 0 {
                basic(Format::SameStep, message.chunk_stream, &mut out);
            }
            if long {
                out.extend(time.to_be_bytes());
            }
            out.extend(piece);
        }
        out
    }
}

fn three(number: u32) -> [u8; 3] {
    let [_, a, b, c] = number.to_be_bytes();
    [a, b, c]
}

fn basic(format: Format, chunk_stream: u32, out: &mut Vec<u8>) {
    let bits = (format as u8) << 6;
    match chunk_stream {
        2..=63 => out.push(bits | u8::try_from(chunk_stream).expect("below 64")),
        64..=319 => out.extend([bits, u8::try_from(chunk_stream - 64).expect("a byte")]),
        _ => {
            let [low, high, ..] = (chunk_stream - 64).to_le_bytes();
            out.extend([bits | 1, low, high]);
        }
    }
}

/// Puts messages together.
#[derive(Debug)]
pub struct Reader {
    size: usize,
    buffer: Vec<u8>,
    streams: HashMap<u32, State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    timestamp: u32,
    step: u32,
    len: usize,
    kind: u8,
    stream: u32,
    extended: bool,
    payload: Vec<u8>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { size: SIZE_DEFAULT, buffer: Vec::new(), streams: HashMap::new() }
    }
}

impl Reader {
    /// Takes further bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// The next whole message, if it is there; Set Chunk Size and Abort are obeyed and returned.
    pub fn next_message(&mut self) -> Result<Option<Message>, String> {
        while let Some((used, whole)) = self.chunk()? {
            self.buffer.drain(..used);
            let Some(message) = whole else { continue };
            let word = || message.payload.first_chunk().map(|word| u32::from_be_bytes(*word));
            match (message.kind, word()) {
                (kind::SET_CHUNK_SIZE, Some(size @ 1..=0x7fff_ffff)) => self.size = size as usize,
                (kind::SET_CHUNK_SIZE, size) => return Err(format!("chunk size {size:?}")),
                (kind::ABORT, Some(stream)) => {
                    self.streams.entry(stream).or_default().payload.clear();
                }
                _ => {}
            }
            return Ok(Some(message));
        }
        Ok(None)
    }

    /// How many bytes the next chunk takes, and the message it completes.
    fn chunk(&mut self) -> Result<Option<(usize, Option<Message>)>, String> {
        let Some((format, id, mut at)) = basic_header(&self.buffer) else { return Ok(None) };
        let mut state = match (self.streams.get(&id), format) {
            (Some(known), _) => known.clone(),
            (None, 0) => State::default(),
            (None, _) => return Err(format!("chunk stream {id} begins with type {format}")),
        };
        let header = [11, 7, 3, 0][usize::from(format)];
        let Some(head) = self.buffer.get(at..at + header) else { return Ok(None) };
        let mut time = state.step;
        if header >= 3 {
            time = number(&head[..3]);
            state.extended = time == EXTENDED;
        }
        if header >= 7 {
            state.len = number(&head[3..6]) as usize;
            state.kind = head[6];
        }
        if header == 11 {
            state.stream = u32::from_le_bytes(*head[7..].first_chunk().expect("four bytes"));
        }
        at += header;
        if state.extended {
            let Some(long) = self.buffer.get(at..at + 4) else { return Ok(None) };
            time = number(long);
            at += 4;
        }
        if state.payload.is_empty() {
            state.timestamp = if format == 0 { time } else { state.timestamp.wrapping_add(time) };
            state.step = time;
        } else if format != 3 {
            return Err(format!("chunk stream {id} begins anew within a message"));
        }
        let piece = self.size.min(state.len - state.payload.len());
        let Some(bytes) = self.buffer.get(at..at + piece) else { return Ok(None) };
        state.payload.extend(bytes);
        let whole = (state.payload.len() == state.len).then(|| state.take(id));
        self.streams.insert(id, state);
        Ok(Some((at + piece, whole)))
    }
}

impl State {
    fn take(&mut self, chunk_stream: u32) -> Message {
        let payload = std::mem::take(&mut self.payload);
        let Self { timestamp, kind, stream, .. } = *self;
        Message { chunk_stream, timestamp, kind, stream, payload }
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// The type, the chunk stream, and how long that was.
fn basic_header(bytes: &[u8]) -> Option<(u8, u32, usize)> {
    let first = *bytes.first()?;
    let format = first >> 6;
    Some(match first & 0x3f {
        0 => (format, 64 + u32::from(*bytes.get(1)?), 2),
        1 => (format, 64 + u32::from(*bytes.get(1)?) + 256 * u32::from(*bytes.get(2)?), 3),
        small => (format, u32::from(small), 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(chunk_stream: u32, timestamp: u32, len: usize) -> Message {
        let payload = (0..len).map(|n| (n % 251) as u8).collect();
        Message { chunk_stream, timestamp, kind: kind::COMMAND, stream: 1, payload }
    }

    #[test]
    fn messages_survive_every_header_and_every_cut() {
        let (first, second) = (message(3, 5, 300), message(3, 9, 300));
        let third = message(3, 13, 300);
        let far = message(70_000 - 5_000, EXTENDED + 7, 129);
        let middle = message(200, 0, 128);
        let mut writer = Writer::default();
        let mut bytes = writer.full(&first);
        bytes.extend(writer.write(&second, Format::SameStream));
        bytes.extend(writer.write(&third, Format::SameStep));
        bytes.extend(writer.full(&far));
        bytes.extend(writer.full(&middle));
        bytes.extend(writer.write(&middle, Format::SameShape));
        for step in [1, 7, 128, bytes.len()] {
            let mut reader = Reader::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(step) {
                reader.feed(piece);
                while let Some(message) = reader.next_message().expect("proper chunks") {
                    seen.push(message);
                }
            }
            let said = [&first, &second, &third, &far, &middle, &middle].map(Clone::clone);
            assert_eq!(seen, said, "in steps of {step}");
        }
    }

    #[test]
    fn the_size_of_chunks_follows_the_announcement() {
        let mut writer = Writer::default();
        let size =
            Message { kind: kind::SET_CHUNK_SIZE, payload: vec![0, 0, 16, 0], ..message(2, 0, 0) };
        let mut bytes = writer.full(&size);
        writer.size = 4_096;
        bytes.extend(writer.full(&message(3, 0, 4_000)));
        let mut reader = Reader::default();
        reader.feed(&bytes);
        assert_eq!(reader.next_message(), Ok(Some(size)));
        assert_eq!(reader.next_message(), Ok(Some(message(3, 0, 4_000))));
        assert_eq!(reader.next_message(), Ok(None));
    }
}
