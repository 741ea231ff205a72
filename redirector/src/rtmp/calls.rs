//! A session after a `connect` that was accepted: calls are answered, media is dropped.

use super::{
    Judge, RtmpReject,
    chunk::{Bounds, Message, Reader, Step},
    command::Call,
    reply,
};

/// The most commands.
const COMMANDS_MAX: u32 = 256;
/// How often the client is told how much has come, in bytes; well below the window it was given.
const ACKNOWLEDGE_BYTES: usize = 1024 * 1024;
/// The most bytes, as so many acknowledgements: 64 MiB.
const ACKNOWLEDGEMENTS_MAX: u32 = 64;

/// Keeps a client content until it leaves.
#[derive(Debug)]
pub(super) struct Calls {
    reader: Reader,
    received_bytes: u64,
    /// How much is to come before the next acknowledgement.
    unacknowledged_bytes: usize,
    acknowledgements: u32,
    commands: u32,
    message_streams: u32,
}

impl Calls {
    /// Goes on with a reader, behind so many bytes of a session.
    pub(super) fn new(mut reader: Reader, received_bytes: u64) -> Self {
        reader.set_bounds(Bounds::CALLS);
        Self {
            reader,
            received_bytes,
            unacknowledged_bytes: ACKNOWLEDGE_BYTES,
            acknowledgements: 0,
            commands: 0,
            message_streams: 0,
        }
    }

    /// How many bytes it holds beside itself.
    pub(super) fn held_bytes(&self) -> usize {
        self.reader.held_bytes()
    }

    /// Takes `input`; true once the client has had enough.
    pub(super) fn feed(
        &mut self,
        input: &mut &[u8],
        judge: &mut impl Judge,
        out: &mut Vec<u8>,
    ) -> Result<bool, RtmpReject> {
        while !input.is_empty() {
            let (mut now, later) = input.split_at(self.unacknowledged_bytes.min(input.len()));
            *input = later;
            self.received_bytes += now.len() as u64;
            self.unacknowledged_bytes -= now.len();
            while let Some(step) = self.reader.next(&mut now)? {
                if let Step::Message(message) = step
                    && self.take_message(&message, judge, out)?
                {
                    return Ok(true);
                }
            }
            if self.unacknowledged_bytes == 0 && self.acknowledge(out) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn acknowledge(&mut self, out: &mut Vec<u8>) -> bool {
        reply::acknowledgement(self.received_bytes, out);
        self.unacknowledged_bytes = ACKNOWLEDGE_BYTES;
        self.acknowledgements += 1;
        self.acknowledgements >= ACKNOWLEDGEMENTS_MAX
    }

    fn take_message(
        &mut self,
        message: &Message,
        judge: &mut impl Judge,
        out: &mut Vec<u8>,
    ) -> Result<bool, RtmpReject> {
        if !Call::is_in(message) {
            return Ok(false);
        }
        let call = Call::parse(message)?;
        self.answer(&call, message.header.message_stream, judge, out);
        self.commands += 1;
        Ok(self.commands >= COMMANDS_MAX)
    }

    /// Answers a call that a client waits for. Clients go on without an answer to any other.
    fn answer(
        &mut self,
        call: &Call<'_>,
        message_stream: u32,
        judge: &mut impl Judge,
        out: &mut Vec<u8>,
    ) {
        match call.name {
            b"getLoadBalancerRedirect" => reply::text_result(call.transaction, &judge.host(), out),
            b"createStream" => {
                self.message_streams += 1;
                reply::number_result(call.transaction, self.message_streams.into(), out);
            }
            b"publish" => reply::status(message_stream, "NetStream.Publish.Start", out),
            b"play" => reply::status(message_stream, "NetStream.Play.Start", out),
            _ => {}
        }
    }
}
