//! A session from the end of the handshake to `connect`.

use super::{
    Connect, RtmpReject,
    chunk::{Bounds, Message, Reader, Step, extend_within},
    command::{Call, Spans},
    handover::Handover,
};

/// The most messages up to and with `connect`.
const MESSAGES_MAX: u32 = 32;
/// The most bytes up to the end of `connect`: room for the longest command in the smallest usual
/// chunks, and no more, since every stranger may take it.
const BYTES_MAX: usize = 32 * 1024;

/// Waits for `connect`, and keeps all that comes, since an edge may have to hear it.
#[derive(Debug)]
pub(super) struct Opening {
    reader: Reader,
    received: Vec<u8>,
    messages: u32,
}

/// A `connect` that came.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) connect: Connect,
    message: Message,
    spans: Spans,
}

impl Opening {
    pub(super) fn new() -> Self {
        Self { reader: Reader::new(Bounds::CONNECT), received: Vec::new(), messages: 0 }
    }

    /// How many bytes it holds beside itself.
    pub(super) fn held_bytes(&self) -> usize {
        self.reader.held_bytes() + self.received.capacity()
    }

    /// Takes `input` up to the end of `connect`.
    pub(super) fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Asked>, RtmpReject> {
        let room = BYTES_MAX - self.received.len();
        let (admitted, beyond) = input.split_at(room.min(input.len()));
        let mut left = admitted;
        let mut asked = None;
        while asked.is_none()
            && let Some(step) = self.reader.next(&mut left)?
        {
            if let Step::Message(message) = step {
                asked = self.take_message(message)?;
            }
        }
        let taken = admitted.len() - left.len();
        extend_within(&mut self.received, &admitted[..taken], BYTES_MAX);
        *input = &input[taken..];
        if asked.is_none() && !beyond.is_empty() {
            return Err(RtmpReject::TooManyBytes);
        }
        Ok(asked)
    }

    /// A command before `connect` is refused: no client gives one, and an edge would have to be
    /// found before it is known for what.
    fn take_message(&mut self, message: Message) -> Result<Option<Asked>, RtmpReject> {
        self.messages += 1;
        if self.messages > MESSAGES_MAX {
            return Err(RtmpReject::TooManyMessages);
        }
        if !Call::is_in(&message) {
            return Ok(None);
        }
        let call = Call::parse(&message)?;
        if call.name != b"connect" {
            return Err(RtmpReject::NotConnect);
        }
        let (connect, spans) = call.connect()?;
        Ok(Some(Asked { connect, message, spans }))
    }

    /// Goes on with an edge. `rest` came behind `connect`.
    pub(super) fn hand_over(self, asked: Asked, rest: &[u8]) -> Handover {
        let Asked { connect, message, spans } = asked;
        let Self { reader, received, .. } = self;
        Handover::new(connect, message, spans, reader, &received, rest)
    }

    /// Goes on here, with how many bytes have come.
    pub(super) fn into_reader(self) -> (Reader, u64) {
        (self.reader, self.received.len() as u64)
    }
}
