//! RTMPT as librtmp does it: POSTs on one connection that stays open.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    thread,
    time::{Duration, Instant},
};

/// Nothing waits for ever.
const DEADLINE: Duration = Duration::from_secs(20);
/// Between two requests that brought nothing, beside what the server holds them itself.
const PAUSE: Duration = Duration::from_millis(10);
/// The longest body or head an answer may have, in bytes.
const LEN_MAX: usize = 1 << 20;

/// One session over one connection. Reading asks with `/idle`; the end of the session, told by a
/// 404, is the end of the stream.
#[derive(Debug)]
pub struct Tunnel<S> {
    stream: S,
    host: String,
    session: String,
    number: u64,
    arrived: VecDeque<u8>,
    is_over: bool,
    /// How many requests were answered.
    pub requests: u64,
}

/// An answer to one request.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl<S: Read + Write> Tunnel<S> {
    /// `POST /open/1`.
    pub fn open(stream: S, host: &str) -> io::Result<Self> {
        let mut tunnel = Self {
            stream,
            host: host.to_owned(),
            session: String::new(),
            number: 0,
            arrived: VecDeque::new(),
            is_over: false,
            requests: 0,
        };
        let answer = tunnel.post("/open/1", &[0])?;
        let id = String::from_utf8(answer.body).map_err(io::Error::other)?;
        // librtmp cuts off the last byte, whatever it is.
        let id = id.strip_suffix('\n').ok_or_else(|| wrong(&format!("session id {id:?}")))?;
        if answer.status != 200 || id.is_empty() || id.len() >= 64 {
            return Err(wrong(&format!("/open answered {} with id {id:?}", answer.status)));
        }
        tunnel.session = id.to_owned();
        Ok(tunnel)
    }

    /// `POST /command/ID/N`; whatever RTMP comes back is kept.
    fn ask(&mut self, command: &str, body: &[u8]) -> io::Result<()> {
        let target = format!("/{command}/{}/{}", self.session, self.number);
        self.number += 1;
        let answer = self.post(&target, body)?;
        match (answer.status, answer.body.split_first()) {
            (200, Some((_interval, bytes))) => self.arrived.extend(bytes),
            (200, None) => return Err(wrong("an answer without the polling interval")),
            (404, _) => self.is_over = true,
            (status, _) => return Err(wrong(&format!("{target} answered {status}"))),
        }
        Ok(())
    }

    fn post(&mut self, target: &str, body: &[u8]) -> io::Result<Answer> {
        let mut request = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nUser-Agent: Shockwave Flash\r\n\
             Connection: Keep-Alive\r\nCache-Control: no-cache\r\n\
             Content-type: application/x-fcs\r\nContent-length: {}\r\n\r\n",
            self.host,
            body.len()
        )
        .into_bytes();
        request.extend(body);
        self.stream.write_all(&request)?;
        self.stream.flush()?;
        self.requests += 1;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.extend(byte);
            if head.len() > LEN_MAX {
                return Err(wrong("a head without an end"));
            }
        }
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let (status, len) = read_head(&head)?;
        let mut body = vec![0; len];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, body })
    }
}

impl<S: Read + Write> Read for Tunnel<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        while self.arrived.is_empty() && !self.is_over {
            if began.elapsed() > DEADLINE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.ask("idle", &[0])?;
            if self.arrived.is_empty() && !self.is_over {
                thread::sleep(PAUSE);
            }
        }
        self.arrived.read(buffer)
    }
}

impl<S: Read + Write> Write for Tunnel<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_over {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.ask("send", bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The status and the length of the body, read as strictly as librtmp does.
fn read_head(head: &str) -> io::Result<(u16, usize)> {
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..4));
    let status = status.and_then(|status| status.strip_suffix(' ')?.parse().ok());
    let status = status.ok_or_else(|| wrong(&format!("librtmp reads no status in {head:?}")))?;
    let length = head.lines().find_map(|line| {
        line.strip_prefix("Content-Length: ").or_else(|| line.strip_prefix("Content-length: "))
    });
    let len = length
        .and_then(|text| text.parse().ok())
        .filter(|len| *len <= LEN_MAX)
        .ok_or_else(|| wrong(&format!("librtmp reads no Content-Length in {head:?}")))?;
    let fcs = "application/x-fcs";
    let of_type = |line: &str| line.to_ascii_lowercase() == format!("content-type: {fcs}");
    if status == 200 && !head.lines().any(of_type) {
        return Err(wrong(&format!("no {fcs} in {head:?}")));
    }
    Ok((status, len))
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::read_head;

    #[test]
    fn a_head_is_read_as_strictly_as_librtmp_reads_it() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-fcs\r\n\
                    Content-Length: 12\r\n\r\n";
        assert_eq!(read_head(head).expect("a proper head"), (200, 12));
        assert!(read_head(&head.to_lowercase()).is_err());
        assert!(read_head(&head.replace("Length", "length")).is_ok());
        assert!(read_head(&head.replace("Content-Length", "content-length")).is_err());
        assert!(read_head(&head.replace("application/x-fcs", "text/plain")).is_err());
    }
}
