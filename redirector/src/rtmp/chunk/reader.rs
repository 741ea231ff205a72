//! Reads chunks and puts commands together.

use super::{
    CHUNK_SIZE_DEFAULT, extend_within,
    header::{HEADER_LEN_MAX, Header},
    kind,
};
use crate::rtmp::RtmpReject;

/// The longest command, in bytes; clients' are below 300.
const COMMAND_LEN_MAX: u32 = 16 * 1024;
/// The most bytes of unfinished commands on all chunk streams together.
const KEPT_LEN_MAX: usize = 64 * 1024;

/// How much a reader admits.
#[derive(Debug, Clone, Copy)]
pub(in crate::rtmp) struct Bounds {
    /// The longest message, in bytes.
    len_bytes_max: u32,
    /// The most chunk streams.
    chunk_streams_max: usize,
    /// Whether commands are put together, or all but the protocol's own messages is dropped.
    commands: bool,
}

impl Bounds {
    /// Before `connect`: nobody needs much.
    pub(in crate::rtmp) const CONNECT: Self =
        Self { len_bytes_max: COMMAND_LEN_MAX, chunk_streams_max: 8, commands: true };
    /// After it: media may come.
    pub(in crate::rtmp) const CALLS: Self =
        Self { len_bytes_max: 0xFF_FFFF, chunk_streams_max: 32, commands: true };
    /// Beside a splice, where another reads the commands.
    pub(in crate::rtmp) const RELAY: Self =
        Self { len_bytes_max: 0xFF_FFFF, chunk_streams_max: 32, commands: false };

    /// Whether a message is kept; if so, its length is checked for its kind.
    fn keeps(&self, header: &Header) -> Result<bool, RtmpReject> {
        match header.kind {
            kind::SET_CHUNK_SIZE if header.len_bytes != 4 => Err(RtmpReject::ChunkSize),
            kind::ABORT if header.len_bytes != 4 => Err(RtmpReject::Abort),
            kind::SET_CHUNK_SIZE | kind::ABORT => Ok(true),
            kind::COMMAND | kind::COMMAND_AMF3 if self.commands => {
                if header.len_bytes > COMMAND_LEN_MAX {
                    return Err(RtmpReject::MessageTooLong);
                }
                Ok(true)
            }
            _ if header.len_bytes > self.len_bytes_max => Err(RtmpReject::MessageTooLong),
            _ => Ok(false),
        }
    }
}

/// A message that has come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rtmp) struct Message {
    /// The header it began with.
    pub(in crate::rtmp) header: Header,
    /// How many bytes the reader had read before its first chunk.
    pub(in crate::rtmp) began_at: u64,
    /// Of a command, what it says; else empty.
    pub(in crate::rtmp) payload: Vec<u8>,
}

/// What the next bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rtmp) enum Step {
    /// A chunk's header is whole.
    Header {
        /// The header.
        header: Header,
        /// Whether a message begins with it.
        begins: bool,
    },
    /// Some of a chunk's payload passed.
    Payload,
    /// A message is whole; it took no bytes.
    Message(Message),
}

/// A chunk stream that was seen.
#[derive(Debug)]
struct Stream {
    /// The header of the last message.
    header: Header,
    began_at: u64,
    /// How many bytes of the message are to come; none between messages.
    left: Option<u32>,
    kept: Option<Vec<u8>>,
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    Header,
    /// In a chunk of the stream at this place, this many bytes before the chunk's end, never 0.
    Payload(usize, u32),
    /// Behind a message of the stream at this place.
    End(usize),
}

/// Takes chunks apart, whatever the pieces they come in.
#[derive(Debug)]
pub(in crate::rtmp) struct Reader {
    bounds: Bounds,
    chunk_size: u32,
    streams: Vec<Stream>,
    place: Place,
    head: [u8; HEADER_LEN_MAX],
    head_len: usize,
    read_bytes: u64,
    kept_bytes: usize,
}

impl Reader {
    /// A reader at the first byte behind the handshake.
    pub(in crate::rtmp) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            chunk_size: CHUNK_SIZE_DEFAULT as u32,
            streams: Vec::new(),
            place: Place::Header,
            head: [0; HEADER_LEN_MAX],
            head_len: 0,
            read_bytes: 0,
            kept_bytes: 0,
        }
    }

    /// Changes what is admitted from here on, and drops what would not have been kept.
    pub(in crate::rtmp) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        for stream in &mut self.streams {
            if bounds.keeps(&stream.header) != Ok(true) {
                self.kept_bytes -= stream.kept.take().map_or(0, |kept| kept.len());
            }
        }
    }

    /// The peer's chunk size, in bytes.
    pub(in crate::rtmp) fn chunk_size(&self) -> usize {
        self.chunk_size as usize
    }

    /// The bytes of the header that the last step took.
    pub(in crate::rtmp) fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }

    /// How many bytes it holds beside itself.
    pub(in crate::rtmp) fn held_bytes(&self) -> usize {
        let kept: usize = self.streams.iter().flat_map(|s| &s.kept).map(Vec::capacity).sum();
        kept + self.streams.capacity() * size_of::<Stream>()
    }

    /// Takes the next step out of `input`; none when that is empty, and not before.
    pub(in crate::rtmp) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Step>, RtmpReject> {
        match self.place {
            Place::Header => self.read_header(input),
            Place::Payload(stream, left) => self.read_payload(stream, left, input),
            Place::End(stream) => self.end_message(stream).map(|m| Some(Step::Message(m))),
        }
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Step>, RtmpReject> {
        while let Some((byte, rest)) = input.split_first() {
            self.head[self.head_len] = *byte;
            self.head_len += 1;
            self.read_bytes += 1;
            *input = rest;
            let last = |number| self.find(number).map(|place| self.streams[place].header);
            if let Some(header) = Header::parse(self.head(), last)? {
                return self.begin_chunk(header).map(Some);
            }
        }
        Ok(None)
    }

    fn begin_chunk(&mut self, header: Header) -> Result<Step, RtmpReject> {
        let known = self.find(header.chunk_stream);
        let under_way = known.and_then(|place| self.streams[place].left);
        let place = match (known, under_way) {
            (Some(place), Some(_)) if header.fmt == 3 => place,
            (_, Some(_)) => return Err(RtmpReject::MessageUnfinished),
            (known, None) => self.begin_message(known, header)?,
        };
        let left = self.streams[place].left.unwrap_or_default().min(self.chunk_size);
        self.place = if left == 0 { Place::End(place) } else { Place::Payload(place, left) };
        Ok(Step::Header { header, begins: under_way.is_none() })
    }

    fn begin_message(&mut self, known: Option<usize>, header: Header) -> Result<usize, RtmpReject> {
        let stream = Stream {
            header,
            began_at: self.read_bytes - self.head_len as u64,
            left: Some(header.len_bytes),
            kept: self.bounds.keeps(&header)?.then(Vec::new),
        };
        match known {
            Some(place) => {
                self.streams[place] = stream;
                Ok(place)
            }
            None if self.streams.len() >= self.bounds.chunk_streams_max => {
                Err(RtmpReject::TooManyChunkStreams)
            }
            None => {
                self.streams.push(stream);
                Ok(self.streams.len() - 1)
            }
        }
    }

    fn read_payload(
        &mut self,
        place: usize,
        left: u32,
        input: &mut &[u8],
    ) -> Result<Option<Step>, RtmpReject> {
        let len = input.len().min(left as usize);
        if len == 0 {
            return Ok(None);
        }
        let (taken, rest) = input.split_at(len);
        *input = rest;
        self.read_bytes += len as u64;
        let stream = &mut self.streams[place];
        if let Some(kept) = &mut stream.kept {
            self.kept_bytes += len;
            if self.kept_bytes > KEPT_LEN_MAX {
                return Err(RtmpReject::TooManyBytes);
            }
            extend_within(kept, taken, stream.header.len_bytes as usize);
        }
        // Not over `left`, which came from a u32.
        let len = len as u32;
        stream.left = stream.left.map(|message| message - len);
        if len < left {
            self.place = Place::Payload(place, left - len);
        } else if stream.left == Some(0) {
            self.place = Place::End(place);
        } else {
            self.expect_header();
        }
        Ok(Some(Step::Payload))
    }

    fn expect_header(&mut self) {
        self.place = Place::Header;
        self.head_len = 0;
    }

    fn end_message(&mut self, place: usize) -> Result<Message, RtmpReject> {
        self.expect_header();
        let (header, began_at) = (self.streams[place].header, self.streams[place].began_at);
        let payload = self.drop_message(place);
        match header.kind {
            kind::SET_CHUNK_SIZE => self.set_chunk_size(&payload)?,
            kind::ABORT => self.abort(&payload),
            _ => {}
        }
        Ok(Message { header, began_at, payload })
    }

    /// Ends what is under way on a chunk stream, and returns what was kept of it.
    fn drop_message(&mut self, place: usize) -> Vec<u8> {
        let stream = &mut self.streams[place];
        stream.left = None;
        let kept = stream.kept.take().unwrap_or_default();
        self.kept_bytes -= kept.len();
        kept
    }

    fn set_chunk_size(&mut self, payload: &[u8]) -> Result<(), RtmpReject> {
        let size = payload.first_chunk().map_or(0, |size| u32::from_be_bytes(*size));
        if size == 0 || size > i32::MAX as u32 {
            return Err(RtmpReject::ChunkSize);
        }
        self.chunk_size = size;
        Ok(())
    }

    fn abort(&mut self, payload: &[u8]) {
        let number = payload.first_chunk().map(|number| u32::from_be_bytes(*number));
        if let Some(place) = number.and_then(|number| self.find(number)) {
            self.drop_message(place);
        }
    }

    fn find(&self, chunk_stream: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.header.chunk_stream == chunk_stream)
    }
}
