//! A reader of chunks that is told everything at once: slow, plain, and without bounds. What it
//! hears is what an edge hears.

use std::collections::BTreeMap;

/// A message as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) chunk_stream: u32,
    pub(super) time_ms: u32,
    pub(super) kind: u8,
    pub(super) message_stream: u32,
    pub(super) payload: Vec<u8>,
}

#[derive(Debug, Default, Clone)]
struct Stream {
    time_ms: u32,
    step_ms: u32,
    extended: bool,
    len: usize,
    kind: u8,
    message_stream: u32,
    payload: Option<Vec<u8>>,
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn big(&mut self, len: usize) -> u32 {
        self.take(len).iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
    }

    fn little(&mut self, len: usize) -> u32 {
        self.take(len).iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
    }
}

/// Every message in the order of their ends. Panics where the bytes end within one chunk.
pub(super) fn hear(bytes: &[u8]) -> Vec<Heard> {
    let (mut bytes, mut size) = (Bytes(bytes), 128);
    let mut streams = BTreeMap::<u32, Stream>::new();
    let mut heard = Vec::new();
    while !bytes.0.is_empty() {
        let first = bytes.big(1);
        let chunk_stream = match first & 63 {
            0 => 64 + bytes.little(1),
            1 => 64 + bytes.little(2),
            number => number,
        };
        let stream = streams.entry(chunk_stream).or_default();
        read_header(first >> 6, stream, &mut bytes);
        let payload = stream.payload.get_or_insert_default();
        payload.extend(bytes.take(size.min(stream.len - payload.len())));
        if payload.len() < stream.len {
            continue;
        }
        let payload = stream.payload.take().expect("got or inserted");
        let message = Heard {
            chunk_stream,
            time_ms: stream.time_ms,
            kind: stream.kind,
            message_stream: stream.message_stream,
            payload,
        };
        match message.kind {
            1 => size = Bytes(&message.payload).big(4) as usize,
            2 => {
                let aborted = Bytes(&message.payload).big(4);
                streams.entry(aborted).and_modify(|stream| stream.payload = None);
            }
            _ => {}
        }
        heard.push(message);
    }
    heard
}

fn read_header(fmt: u32, stream: &mut Stream, bytes: &mut Bytes<'_>) {
    let mut time_ms = None;
    if fmt < 3 {
        time_ms = Some(bytes.big(3));
        stream.extended = time_ms == Some(0xFF_FFFF);
    }
    if fmt < 2 {
        stream.len = bytes.big(3) as usize;
        stream.kind = bytes.big(1) as u8;
    }
    if fmt < 1 {
        stream.message_stream = bytes.little(4);
    }
    if stream.extended {
        let extended = bytes.big(4);
        time_ms = time_ms.map(|_| extended);
    }
    stream.step_ms = time_ms.unwrap_or(stream.step_ms);
    if fmt == 0 {
        stream.time_ms = stream.step_ms;
    } else if stream.payload.is_none() {
        stream.time_ms = stream.time_ms.wrapping_add(stream.step_ms);
    }
}
