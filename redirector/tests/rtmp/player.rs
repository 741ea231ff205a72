//! An RTMP client that says what it is told to, and reads what comes back.

use std::time::Duration;

use tidegate_redirector::rtmp::amf0::Writer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Nothing on loopback takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// S0, S1 and S2, and as long C0, C1 and C2.
pub(crate) const HANDSHAKE_LEN: usize = 1 + 2 * 1536;

/// C0 and C1.
pub(crate) fn hello() -> Vec<u8> {
    let mut hello = vec![3];
    hello.extend([0; 8]);
    hello.extend((0..1528).map(|n| n as u8));
    hello
}

/// Whatever C2 holds.
pub(crate) fn reply() -> Vec<u8> {
    vec![7; 1536]
}

/// A `connect` in chunks of 128 bytes on chunk stream 3.
pub(crate) fn connect(app: &str, tc_url: &str) -> Vec<u8> {
    let command = Writer::default().text(b"connect").number(1.0).begin();
    chunked(&command.pair("app", app).pair("tcUrl", tc_url).end().finish())
}

/// A command as a message of type 20 on chunk stream 3.
pub(crate) fn chunked(command: &[u8]) -> Vec<u8> {
    let mut out = vec![3, 0, 0, 0];
    out.extend(&u32::try_from(command.len()).expect("short").to_be_bytes()[1..]);
    out.extend([20, 0, 0, 0, 0]);
    for (place, chunk) in command.chunks(128).enumerate() {
        if place > 0 {
            out.push(0xC3);
        }
        out.extend(chunk);
    }
    out
}

/// The messages in a stream of chunks, all on chunk stream 3 or 2 and with whole headers.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while bytes.len() >= 12 {
        let len = usize::from(bytes[4]) << 16 | usize::from(bytes[5]) << 8 | usize::from(bytes[6]);
        bytes = &bytes[12..];
        let mut message = Vec::new();
        while message.len() < len {
            let part = (len - message.len()).min(128).min(bytes.len());
            assert!(part > 0, "a message is cut off");
            message.extend(&bytes[..part]);
            bytes = bytes.get(part + usize::from(message.len() < len)..).unwrap_or_default();
        }
        messages.push(message);
    }
    messages
}

pub(crate) fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A client on some connection.
pub(crate) struct Player<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Player<S> {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the redirector reads");
        self.0.flush().await.expect("the redirector reads");
    }

    /// The whole handshake.
    pub(crate) async fn shake_hands(&mut self) {
        self.send(&hello()).await;
        let answer = self.read(HANDSHAKE_LEN).await;
        assert_eq!((answer[0], &answer[5..9]), (3, &[0; 4][..]));
        assert_eq!(answer[1 + 1536..], hello()[1..], "S2 echoes C1");
        self.send(&reply()).await;
    }

    pub(crate) async fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let read = timeout(PATIENCE, self.0.read_exact(&mut bytes)).await;
        read.expect("in time").expect("the bytes");
        bytes
    }

    /// What comes until the redirector ends the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset ends a connection as well.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("an end in time");
        rest
    }
}
