//! The PROXY protocol, by which a proxy says for whom it connects: pure.
//!
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, versions 1 and 2. Only trusted
//! proxies are asked for it; this module does not know who they are.

use std::net::IpAddr;

use proxy_header::{ParseConfig, ProxyHeader};

const V1_MARK: &[u8] = b"PROXY ";
/// The longest line there is, its end included (section 2.1).
const V1_LEN_MAX: usize = 107;
const V2_MARK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// What stands before addresses and further fields (section 2.2).
const V2_FIXED_LEN: usize = 16;
/// Room for the longest addresses, 216 bytes, and for more fields than proxies send.
const V2_REST_LEN_MAX: usize = 536;
/// Version 2 and the command LOCAL: the proxy speaks for itself, whatever else is said.
const V2_LOCAL: u8 = 0x20;

/// What a connection begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Without a header.
    Bare,
    /// It cannot be said before there are more bytes; there is never need for more than
    /// `16 + 536`.
    Undecided,
    /// With a header.
    Header {
        /// Its length in bytes.
        len: usize,
        /// For whom the proxy connects, IPv4 never in its IPv6 form; `None`: for itself or for
        /// someone it does not know by an address.
        source: Option<IpAddr>,
    },
}

/// A header that cannot be read, or that is longer than any that is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Looks at the first bytes of a connection.
pub(super) fn look_at(bytes: &[u8]) -> Result<Seen, Malformed> {
    let len = if bytes.starts_with(V1_MARK) {
        v1_len(bytes)?
    } else if bytes.starts_with(V2_MARK) {
        v2_len(bytes)?
    } else if V1_MARK.starts_with(bytes) || V2_MARK.starts_with(bytes) {
        None
    } else {
        return Ok(Seen::Bare);
    };
    match len.and_then(|len| bytes.get(..len)) {
        Some(header) => read(header),
        None => Ok(Seen::Undecided),
    }
}

/// A line's length, once its end is there.
fn v1_len(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let line = bytes.get(..V1_LEN_MAX).unwrap_or(bytes);
    match line.windows(2).position(|two| two == b"\r\n") {
        Some(end) => Ok(Some(end + 2)),
        None if line.len() == V1_LEN_MAX => Err(Malformed),
        None => Ok(None),
    }
}

/// The length a header says it has, once it says so.
fn v2_len(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some([high, low]) = bytes.get(V2_FIXED_LEN - 2..V2_FIXED_LEN) else { return Ok(None) };
    let rest_len = usize::from(u16::from_be_bytes([*high, *low]));
    if rest_len > V2_REST_LEN_MAX { Err(Malformed) } else { Ok(Some(V2_FIXED_LEN + rest_len)) }
}

fn read(header: &[u8]) -> Result<Seen, Malformed> {
    let len = header.len();
    if header.starts_with(V2_MARK) && header.get(V2_MARK.len()) == Some(&V2_LOCAL) {
        return Ok(Seen::Header { len, source: None });
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(header, config) {
        Ok((parsed, read)) if read == len => {
            let source = parsed.proxied_address().map(|address| address.source.ip().to_canonical());
            Ok(Seen::Header { len, source })
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests;
