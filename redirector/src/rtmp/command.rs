//! The commands a client gives (RTMP 1.0, 7.2).

use std::ops::Range;

use super::{
    RtmpReject,
    amf0::{Reader, Value},
    chunk::{Message, kind},
};

/// The longest application and URL of one, in bytes.
pub const TEXT_LEN_MAX: usize = 2 * 1024;
/// In `capsEx`, the capabilities of Enhanced RTMP v2: a request to reconnect is followed.
pub(super) const CAPS_RECONNECT: u32 = 0x01;

/// What a `connect` says, as far as it matters here. Texts hold no control characters.
#[derive(Debug, Clone, PartialEq)]
pub struct Connect {
    /// The number an answer must carry.
    pub transaction: f64,
    /// The application, at most 2 KiB; empty where the client named none.
    pub app: String,
    /// The URL of the application, at most 2 KiB; empty where the client gave none.
    pub tc_url: String,
    /// Whether the client follows a `NetConnection.Connect.ReconnectRequest` (Enhanced RTMP v2).
    pub reconnects: bool,
}

/// Where a `connect` says what a splice changes: places in the message's payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans {
    pub(super) app: Option<Range<usize>>,
    pub(super) tc_url: Option<Range<usize>>,
}

/// A command's name, its number and what follows.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) name: &'a [u8],
    pub(super) transaction: f64,
    arguments: Reader<'a>,
    /// How many bytes of the payload stand before the AMF0 values.
    offset: usize,
}

impl<'a> Call<'a> {
    /// Whether a message is a command.
    pub(super) fn is_in(message: &Message) -> bool {
        matches!(message.header.kind, kind::COMMAND | kind::COMMAND_AMF3)
    }

    /// Reads name and number of a message that is a command.
    pub(super) fn parse(message: &'a Message) -> Result<Self, RtmpReject> {
        let payload = message.payload.as_slice();
        let (values, offset) = match (message.header.kind, payload) {
            // The byte stands for the encoding; 0 is AMF0, and nobody sends another.
            (kind::COMMAND_AMF3, [0, values @ ..]) => (values, 1),
            (kind::COMMAND_AMF3, [_, ..]) => return Err(RtmpReject::AmfMarker),
            _ => (payload, 0),
        };
        let mut arguments = Reader::new(values);
        let mut value = || arguments.next().map(|item| item.map(|item| item.value));
        let Some(Value::Text(name)) = value()? else { return Err(RtmpReject::AmfMalformed) };
        let Some(Value::Number(transaction)) = value()? else {
            return Err(RtmpReject::AmfMalformed);
        };
        Ok(Self { name, transaction, arguments, offset })
    }

    /// Reads the object of a `connect`. What may follow it is the application's alone.
    pub(super) fn connect(mut self) -> Result<(Connect, Spans), RtmpReject> {
        let mut connect = Connect {
            transaction: self.transaction,
            app: String::new(),
            tc_url: String::new(),
            reconnects: false,
        };
        let mut spans = Spans::default();
        while let Some(item) = self.arguments.next()? {
            if item.depth == 0 && item.value != Value::Begin {
                break;
            }
            if item.depth != 1 {
                continue;
            }
            let span = item.span.start + self.offset..item.span.end + self.offset;
            match (item.key, item.value) {
                (Some(b"app"), Value::Text(app)) => {
                    set(&mut connect.app, app, &mut spans.app, span)?
                }
                (Some(b"tcUrl"), Value::Text(url)) => {
                    set(&mut connect.tc_url, url, &mut spans.tc_url, span)?;
                }
                // A cast to an integer takes any number there is to the nearest that fits.
                (Some(b"capsEx"), Value::Number(caps)) => {
                    connect.reconnects = caps as u32 & CAPS_RECONNECT != 0;
                }
                _ => {}
            }
        }
        Ok((connect, spans))
    }
}

/// Sets a text that may be said once.
fn set(
    text: &mut String,
    said: &[u8],
    span: &mut Option<Range<usize>>,
    place: Range<usize>,
) -> Result<(), RtmpReject> {
    // Of two, an edge might believe the other one.
    if span.replace(place).is_some() {
        return Err(RtmpReject::AmfMalformed);
    }
    if said.len() > TEXT_LEN_MAX {
        return Err(RtmpReject::TextTooLong);
    }
    let said = str::from_utf8(said).map_err(|_| RtmpReject::NotUtf8)?;
    if said.chars().any(char::is_control) {
        return Err(RtmpReject::ControlCharacter);
    }
    said.clone_into(text);
    Ok(())
}
