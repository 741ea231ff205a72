//! One connection: the handshake, `connect`, and what may follow it.

use std::io::{self, Read, Write};

use super::{
    amf::{self, Value},
    chunk::{Format, Message, Reader, Writer, kind},
    transport::{Trust, Wire, open},
    url::RtmpUrl,
};

/// C1, S1, C2 and S2 (RTMP 1.0 section 5.2), in bytes.
pub const HANDSHAKE_LEN: usize = 1536;
/// The chunk streams that commands and media travel on, as librtmp numbers them.
const ON_CONNECTION: u32 = 3;
const ON_STREAM: u32 = 8;
/// More messages than any test waits for.
const MESSAGES_MAX: usize = 2_000;

/// A client past its handshake.
pub struct Client {
    wire: Box<dyn Wire>,
    reader: Reader,
    writer: Writer,
    /// Whether S2 echoed C1, as it should.
    pub echoed: bool,
}

/// What a server said to `connect`.
pub enum Answer {
    /// `_result`: the session goes on.
    Accepted(Client),
    /// Anything else.
    Rejected(Rejection),
}

/// A refusal, as it was parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// The command: its name, transaction, object and arguments.
    pub command: Vec<Value>,
    /// Whether `close` came after it.
    pub closed: bool,
    /// Whether the server then ended the connection.
    pub ended: bool,
}

/// The beginning of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The code of the first `onStatus`.
    pub code: String,
    /// The first audio or video.
    pub media: Message,
}

/// Shakes hands over an open stream; whether S2 echoed C1.
fn shake(wire: &mut dyn Wire) -> io::Result<bool> {
    let mut c1 = [0; HANDSHAKE_LEN];
    rand::fill(&mut c1[8..]);
    let mut first = vec![3];
    first.extend(c1);
    wire.write_all(&first)?;
    wire.flush()?;
    let mut version = [0];
    wire.read_exact(&mut version)?;
    if version != [3] {
        return Err(io::Error::other(format!("S0 is {}", version[0])));
    }
    let (mut s1, mut s2) = ([0; HANDSHAKE_LEN], [0; HANDSHAKE_LEN]);
    wire.read_exact(&mut s1)?;
    wire.read_exact(&mut s2)?;
    wire.write_all(&s1)?;
    wire.flush()?;
    Ok(s2[8..] == c1[8..])
}

/// Opens a URL and says `connect` with its application and tcUrl.
pub fn connect(url: &RtmpUrl, trust: Option<&Trust>) -> io::Result<Answer> {
    Client::open(url, trust)?.connect(url)
}

impl Client {
    /// Opens what the URL names, up to the end of the handshake.
    pub fn open(url: &RtmpUrl, trust: Option<&Trust>) -> io::Result<Self> {
        let mut wire = open(url, trust)?;
        let echoed = shake(&mut *wire)?;
        Ok(Self { wire, reader: Reader::default(), writer: Writer::default(), echoed })
    }

    /// Says `connect` and waits for the answer.
    pub fn connect(self, url: &RtmpUrl) -> io::Result<Answer> {
        self.connect_saying(url, &[])
    }

    /// The same with further properties.
    pub fn connect_saying(
        mut self,
        url: &RtmpUrl,
        further: &[(&str, Value)],
    ) -> io::Result<Answer> {
        let properties = [
            ("app", Value::text(&url.app)),
            ("flashVer", Value::text("LNX 10,0,32,18")),
            ("tcUrl", Value::text(&url.tc_url())),
            ("fpad", Value::Boolean(false)),
            ("capabilities", Value::Number(15.0)),
            ("audioCodecs", Value::Number(4_071.0)),
            ("videoCodecs", Value::Number(252.0)),
            ("videoFunction", Value::Number(1.0)),
        ];
        let properties = properties.iter().chain(further);
        let properties = properties.map(|(name, value)| ((*name).to_owned(), value.clone()));
        let object = Value::Object(properties.collect());
        self.call(0, &[Value::text("connect"), Value::Number(1.0), object])?;
        let command = self.command()?;
        if command[0].as_str() == Some("_result") {
            return Ok(Answer::Accepted(self));
        }
        let mut rejection = Rejection { command, closed: false, ended: false };
        loop {
            match self.command() {
                Ok(further) => rejection.closed |= further[0].as_str() == Some("close"),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    rejection.ended = true;
                    return Ok(Answer::Rejected(rejection));
                }
                // An orderly end or a reset, after all was said.
                Err(error) if rejection.closed => {
                    rejection.ended = error.kind() == io::ErrorKind::ConnectionReset;
                    return Ok(Answer::Rejected(rejection));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Plays a stream: createStream, play, and all up to the first picture or sound.
    pub fn play(&mut self, stream: &str) -> io::Result<Played> {
        let id = self.create_stream()?;
        let play = [Value::text("play"), Value::Number(3.0), Value::Null, Value::text(stream)];
        self.call(id, &play)?;
        let code = self.status()?;
        for _ in 0..MESSAGES_MAX {
            let media = self.message()?;
            if matches!(media.kind, kind::AUDIO | kind::VIDEO) && !media.payload.is_empty() {
                return Ok(Played { code, media });
            }
        }
        Err(io::Error::other("many messages, and none of them sound or picture"))
    }

    /// Asks to publish a stream; the code of the answer.
    pub fn publish(&mut self, stream: &str) -> io::Result<String> {
        let id = self.create_stream()?;
        let publish = [
            Value::text("publish"),
            Value::Number(3.0),
            Value::Null,
            Value::text(stream),
            Value::text("live"),
        ];
        self.call(id, &publish)?;
        self.status()
    }

    fn create_stream(&mut self) -> io::Result<u32> {
        self.call(0, &[Value::text("createStream"), Value::Number(2.0), Value::Null])?;
        let answer = self.command()?;
        let id = answer.get(3).and_then(Value::as_number).filter(|id| *id >= 1.0);
        let id = id.filter(|_| answer[0].as_str() == Some("_result"));
        id.map(|id| id as u32)
            .ok_or_else(|| io::Error::other(format!("createStream answered {answer:?}")))
    }

    /// The code of the next `onStatus`.
    fn status(&mut self) -> io::Result<String> {
        let answer = self.command()?;
        let code = answer.get(3).and_then(|info| info.get("code")?.as_str());
        let code = code.filter(|_| answer[0].as_str() == Some("onStatus"));
        let code = code.map(str::to_owned);
        code.ok_or_else(|| io::Error::other(format!("not a status: {answer:?}")))
    }

    /// Sends a command on a message stream.
    pub fn call(&mut self, stream: u32, values: &[Value]) -> io::Result<()> {
        let chunk_stream = if stream == 0 { ON_CONNECTION } else { ON_STREAM };
        let payload = amf::encode(values);
        let message = Message { chunk_stream, timestamp: 0, kind: kind::COMMAND, stream, payload };
        self.send(&message, Format::Full)
    }

    /// Sends a message under any header.
    pub fn send(&mut self, message: &Message, format: Format) -> io::Result<()> {
        let bytes = self.writer.write(message, format);
        self.wire.write_all(&bytes)?;
        self.wire.flush()
    }

    /// Cuts everything from now on into chunks of another size, and says so.
    pub fn set_chunk_size(&mut self, size: u16) -> io::Result<()> {
        let payload = u32::from(size).to_be_bytes().to_vec();
        let kind = kind::SET_CHUNK_SIZE;
        let message = Message { chunk_stream: 2, timestamp: 0, kind, stream: 0, payload };
        self.send(&message, Format::Full)?;
        self.writer.size = usize::from(size);
        Ok(())
    }

    /// The next command, past everything else.
    pub fn command(&mut self) -> io::Result<Vec<Value>> {
        for _ in 0..MESSAGES_MAX {
            let message = self.message()?;
            if message.kind == kind::COMMAND {
                let values = amf::decode(&message.payload).map_err(io::Error::other)?;
                let named = values.first().is_some_and(|name| name.as_str().is_some());
                return if named {
                    Ok(values)
                } else {
                    Err(io::Error::other(format!("a command without a name: {values:?}")))
                };
            }
        }
        Err(io::Error::other("many messages, and no command"))
    }

    /// The next message.
    pub fn message(&mut self) -> io::Result<Message> {
        let mut buffer = [0; 16 << 10];
        loop {
            if let Some(message) = self.reader.next_message().map_err(io::Error::other)? {
                return Ok(message);
            }
            let len = self.wire.read(&mut buffer)?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.reader.feed(&buffer[..len]);
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("echoed", &self.echoed).finish_non_exhaustive()
    }
}
