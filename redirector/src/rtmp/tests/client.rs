//! A client that uses everything chunks allow.

use std::collections::BTreeMap;

use proptest::prelude::*;

/// What the client does next.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Begins a message on one of its chunk streams, and says its first chunk.
    Begin(Plan),
    /// Says one more chunk of what is under way on a chunk stream.
    Continue(u32),
    SetChunkSize(u32),
    /// Gives up what is under way on a chunk stream.
    Abort(u32),
}

/// A message as the client would like it; the header it writes may leave it less freedom.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) fmt: u8,
    pub(super) chunk_stream: u32,
    pub(super) time_ms: u32,
    pub(super) kind: u8,
    pub(super) message_stream: u32,
    pub(super) payload: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Stream {
    last: Plan,
    len: usize,
    /// What is still to be said.
    left: Vec<u8>,
}

/// What the client has said.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) said: Vec<u8>,
    chunk_size: usize,
    streams: BTreeMap<u32, Stream>,
}

const CHUNK_STREAMS: [u32; 5] = [3, 8, 64, 319, 65_599];

pub(super) fn chunk_streams() -> impl Strategy<Value = u32> {
    proptest::sample::select(&CHUNK_STREAMS)
}

/// Acts of a client; what it begins has one of `kinds` and at most `len_max` bytes.
pub(super) fn acts(
    kinds: &'static [u8],
    len_max: usize,
    count_max: usize,
) -> impl Strategy<Value = Vec<Act>> {
    let times = prop_oneof![0..2_000u32, Just(0xFF_FFFE), Just(0xFF_FFFF), any::<u32>()];
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), 0..=len_max).prop_map(|(fill, len)| vec![fill; len]),
    ];
    let begin = (0..4u8, chunk_streams(), times, proptest::sample::select(kinds), 0..3u32, payload)
        .prop_map(|(fmt, chunk_stream, time_ms, kind, message_stream, payload)| {
            Act::Begin(Plan { fmt, chunk_stream, time_ms, kind, message_stream, payload })
        });
    let sizes = prop_oneof![1..300u32, Just(4_096), Just(0x7FFF_FFFF)];
    let act = prop_oneof![
        6 => begin,
        6 => chunk_streams().prop_map(Act::Continue),
        1 => sizes.prop_map(Act::SetChunkSize),
        1 => chunk_streams().prop_map(Act::Abort),
    ];
    proptest::collection::vec(act, 0..count_max)
}

impl Client {
    pub(super) fn new() -> Self {
        Self { said: Vec::new(), chunk_size: 128, streams: BTreeMap::new() }
    }

    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::Begin(plan) => self.begin(plan),
            Act::Continue(chunk_stream) => self.say_chunk(chunk_stream, true),
            Act::SetChunkSize(size) => {
                self.say_protocol(1, size);
                self.chunk_size = size as usize;
            }
            Act::Abort(chunk_stream) => {
                self.say_protocol(2, chunk_stream);
                if let Some(stream) = self.streams.get_mut(&chunk_stream) {
                    stream.left.clear();
                }
            }
        }
    }

    pub(super) fn is_under_way(&self, chunk_stream: u32) -> bool {
        self.streams.get(&chunk_stream).is_some_and(|stream| !stream.left.is_empty())
    }

    /// Ends what is under way on a chunk stream.
    pub(super) fn finish(&mut self, chunk_stream: u32) {
        while self.is_under_way(chunk_stream) {
            self.say_chunk(chunk_stream, true);
        }
    }

    pub(super) fn finish_all(&mut self) {
        for chunk_stream in CHUNK_STREAMS {
            self.finish(chunk_stream);
        }
    }

    fn say_protocol(&mut self, kind: u8, number: u32) {
        let payload = number.to_be_bytes().to_vec();
        self.begin(Plan { fmt: 0, chunk_stream: 2, time_ms: 0, kind, message_stream: 0, payload });
        self.finish(2);
    }

    fn begin(&mut self, mut plan: Plan) {
        let chunk_stream = plan.chunk_stream;
        self.finish(chunk_stream);
        let last = self.streams.get(&chunk_stream);
        match last {
            None => plan.fmt = 0,
            Some(Stream { last, len, .. }) => {
                if plan.fmt > 0 {
                    plan.message_stream = last.message_stream;
                }
                if plan.fmt > 1 {
                    plan.kind = last.kind;
                    plan.payload.resize(*len, 0xA5);
                }
                if plan.fmt > 2 {
                    plan.time_ms = last.time_ms;
                }
            }
        }
        let (len, left) = (plan.payload.len(), std::mem::take(&mut plan.payload));
        self.streams.insert(chunk_stream, Stream { last: plan, len, left });
        self.say_chunk(chunk_stream, false);
    }

    fn say_chunk(&mut self, chunk_stream: u32, continues: bool) {
        if continues && !self.is_under_way(chunk_stream) {
            return;
        }
        let Some(stream) = self.streams.get_mut(&chunk_stream) else { return };
        let (plan, out) = (&stream.last, &mut self.said);
        let fmt = if continues { 3 } else { plan.fmt };
        let extended = plan.time_ms >= 0xFF_FFFF;
        match chunk_stream {
            0..64 => out.push(fmt << 6 | chunk_stream as u8),
            64..320 => out.extend([fmt << 6, (chunk_stream - 64) as u8]),
            _ => {
                out.push(fmt << 6 | 1);
                out.extend(((chunk_stream - 64) as u16).to_le_bytes());
            }
        }
        if fmt < 3 {
            out.extend(&plan.time_ms.min(0xFF_FFFF).to_be_bytes()[1..]);
        }
        if fmt < 2 {
            out.extend(&(stream.len as u32).to_be_bytes()[1..]);
            out.push(plan.kind);
        }
        if fmt < 1 {
            out.extend(plan.message_stream.to_le_bytes());
        }
        if extended {
            out.extend(plan.time_ms.to_be_bytes());
        }
        let len = stream.left.len().min(self.chunk_size);
        out.extend(stream.left.drain(..len));
    }
}
