//! A client on its way to an edge.

use std::ops::Range;

use super::{
    Connect,
    amf0::Writer,
    chunk::{Bounds, Message, Reader, Step, write_message},
    command::Spans,
    relay::Relay,
};

/// A client handed on to an edge: what it said, and what it asked for.
#[derive(Debug)]
pub struct Handover {
    /// What it asked for.
    pub connect: Connect,
    message: Message,
    spans: Spans,
    reader: Reader,
    /// The chunks that came before `connect` and between its own.
    beside: Vec<u8>,
    rest: Vec<u8>,
}

impl Handover {
    pub(super) fn new(
        connect: Connect,
        message: Message,
        spans: Spans,
        mut reader: Reader,
        received: &[u8],
        rest: &[u8],
    ) -> Self {
        let beside = beside(received, &message);
        reader.set_bounds(Bounds::RELAY);
        Self { connect, message, spans, reader, beside, rest: rest.to_vec() }
    }

    /// What an edge hears first after the handshake: all that the client sent up to the end of
    /// `connect`, with another application and URL in it.
    ///
    /// A text that the client left out stays out.
    #[must_use]
    pub fn opening(&self, app: &str, tc_url: &str) -> Vec<u8> {
        let mut header = self.message.header;
        // The length may differ from what went before, so it has to be written.
        header.fmt = header.fmt.min(1);
        let payload = self.payload(app, tc_url);
        let mut out = self.beside.clone();
        write_message(header, &payload, self.reader.chunk_size(), &mut out);
        out
    }

    /// Goes on behind `connect`: what is to pass the relay first, since the client has already sent
    /// it, and the relay for it and for all that follows.
    #[must_use]
    pub fn into_relay(self) -> (Relay, Vec<u8>) {
        (Relay::new(self.reader, self.message.header.chunk_stream), self.rest)
    }

    fn payload(&self, app: &str, tc_url: &str) -> Vec<u8> {
        let said = &self.message.payload;
        let app = self.spans.app.clone().map(|span| (span, app));
        let tc_url = self.spans.tc_url.clone().map(|span| (span, tc_url));
        let mut changes: Vec<(Range<usize>, &str)> = app.into_iter().chain(tc_url).collect();
        changes.sort_by_key(|(span, _)| span.start);
        let mut payload = Vec::with_capacity(said.len());
        let mut at = 0;
        for (span, text) in changes {
            payload.extend(&said[at..span.start]);
            payload.extend(Writer::default().text(text.as_bytes()).finish());
            at = span.end;
        }
        payload.extend(&said[at..]);
        payload
    }
}

/// Reads what was received once more, and leaves out the chunks of one message, the last on its
/// chunk stream.
fn beside(received: &[u8], message: &Message) -> Vec<u8> {
    let mut reader = Reader::new(Bounds::CONNECT);
    let mut left = received;
    let mut kept = Vec::new();
    let mut keeps = true;
    loop {
        let at = received.len() - left.len();
        let Ok(Some(step)) = reader.next(&mut left) else { return kept };
        if let Step::Header { header, .. } = step {
            let is_other = header.chunk_stream != message.header.chunk_stream;
            keeps = is_other || (at as u64) < message.began_at;
        }
        if keeps {
            kept.extend(&received[at..received.len() - left.len()]);
        }
    }
}
