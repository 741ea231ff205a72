//! Sessions, splices and handshakes as a client and an edge see them.

mod calls;
mod client;
mod dial;
mod reference;
mod rejects;
mod relay;
mod reply;
mod session;

use super::{Connect, Judge, Progress, RtmpReject, Session, Verdict, amf0::Writer, chunk};

/// Says the same to everyone.
struct Says {
    verdict: Verdict,
    asked: Vec<Connect>,
}

impl Says {
    fn new(verdict: Verdict) -> Self {
        Self { verdict, asked: Vec::new() }
    }

    fn redirect() -> Self {
        let redirect = Some("rtmp://edge1.example.net:1935/live".to_owned());
        Self::new(Verdict::Reject { redirect, description: "go on".to_owned() })
    }

    fn accept() -> Self {
        Self::new(Verdict::Accept { reconnect: None })
    }
}

impl Judge for Says {
    fn connect(&mut self, connect: &Connect) -> Verdict {
        self.asked.push(connect.clone());
        self.verdict.clone()
    }

    fn host(&mut self) -> String {
        "edge1.example.net".to_owned()
    }
}

/// C0, C1 and C2.
fn handshake() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend((0..2 * 1536u32).map(|i| i as u8));
    bytes
}

/// A message in chunks of 128 bytes, under a whole header.
fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let header = chunk::Header {
        fmt: 0,
        chunk_stream: 3,
        time_ms: 0,
        extended: false,
        len_bytes: 0,
        kind,
        message_stream: 0,
    };
    chunk::write_message(header, payload, 128, &mut out);
    out
}

fn command(name: &str, transaction: f64) -> Writer {
    Writer::default().text(name.as_bytes()).number(transaction)
}

/// What a client of today says, an object and an array within its own.
fn connect(app: &str, tc_url: &str) -> Vec<u8> {
    command("connect", 1.0)
        .begin()
        .pair("app", app)
        .pair("flashVer", "LNX 10,0,32,18")
        .pair("tcUrl", tc_url)
        .key(b"fourCcList")
        .array(2)
        .text(b"av01")
        .text(b"hvc1")
        .key(b"videoFourCcInfoMap")
        .begin()
        .key(b"*")
        .number(7.0)
        .end()
        .key(b"capsEx")
        .number(1.0)
        .end()
        .finish()
}

/// A session behind the handshake.
fn session() -> Session {
    let mut session = Session::new([7; 1528]);
    let fed = session.feed(&handshake(), &mut Says::accept());
    assert!(matches!(fed, Ok(Progress::Open)));
    session.take_output();
    session
}

/// What becomes of a session in which these bytes come behind the handshake.
fn fed(bytes: &[u8]) -> Result<Progress, RtmpReject> {
    session().feed(bytes, &mut Says::redirect())
}
