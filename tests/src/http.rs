//! The smallest HTTP client that hides nothing: what is asked goes out byte for byte. Who asks again
//! and again on one connection is served by [`keep`].

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use http_body_util::Empty;
use hyper::{
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

const DEADLINE: Duration = Duration::from_secs(20);

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Everything after the head.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header's value, if there is exactly one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// Where a redirect leads.
    #[track_caller]
    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no Location: {self:?}"))
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of text")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Reads an answer whose end is the end of the connection.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let shown = || format!("not HTTP: {:?}", String::from_utf8_lossy(bytes));
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(shown)?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| shown())?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1."));
        let status = status.and_then(|line| line.get(2..5)?.parse().ok()).ok_or_else(shown)?;
        let headers = lines
            .map(|line| line.split_once(':').ok_or_else(shown))
            .map(|pair| pair.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into())))
            .collect::<Result<_, _>>()?;
        Ok(Self { status, headers, body: bytes[end + 4..].to_vec() })
    }
}

/// `GET target`.
#[track_caller]
pub fn get(address: SocketAddr, target: &str) -> Reply {
    request(address, "GET", target, &[])
}

/// Any request without a body, on a connection of its own.
#[track_caller]
pub fn request(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
    try_request(address, method, target, headers)
        .unwrap_or_else(|error| panic!("{method} {target} at {address}: {error}"))
}

/// The same, for a server that may not be there.
pub fn try_request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Reply, String> {
    let mut text =
        format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    exchange(address, text.as_bytes()).and_then(|bytes| Reply::parse(&bytes))
}

/// Sends bytes as they are and returns all that comes until the other side closes.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut stream = connect(address)?;
    let mut answer = Vec::new();
    // A server may refuse before it has read everything; its answer counts, not this error.
    let sent = stream.write_all(bytes);
    match stream.read_to_end(&mut answer) {
        Ok(_) if !answer.is_empty() || sent.is_ok() => Ok(answer),
        Ok(_) => Err("closed without an answer".into()),
        Err(_) if !answer.is_empty() => Ok(answer),
        Err(error) => Err(error.to_string()),
    }
}

/// A connection on which nothing waits for ever.
pub fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(DEADLINE)).map_err(|e| e.to_string())?;
    stream.set_write_timeout(Some(DEADLINE)).map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    Ok(stream)
}

/// A connection for requests one after the other, as long as either side keeps it.
pub async fn keep(to: SocketAddr) -> io::Result<SendRequest<Empty<Bytes>>> {
    let stream = tokio::net::TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}
