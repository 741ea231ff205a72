//! What a request must be before anything else sees it: pure checks, one reason each.
//!
//! What passes has a target of visible ASCII that begins with exactly one slash, for every reader,
//! and at most one Host that names a host. Hyper has refused before what is not HTTP at all.

use std::net::Ipv6Addr;

use ::http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING,
    },
    uri::PathAndQuery,
};

use crate::{
    error_body::error_body,
    figures::{Label, labels},
};

/// The methods that clients may use.
pub const CLIENT_METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::PATCH, Method::DELETE];

/// Path and query of a request that passed, as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(PathAndQuery);

impl Target {
    /// The bytes, all of them visible ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

labels! {
    /// Why a request was refused; the name is for its client, too.
    pub enum HttpReject;

    /// A method that is not served, CONNECT among them.
    Method "method_not_allowed",
    /// A target that is not a path: absolute, an authority, `*`.
    TargetForm "target_form",
    /// A path that begins with two slashes, or does while its dot segments are resolved.
    DoubleSlash "double_slash",
    /// A backslash, plain or as `%5c`: browsers read it as a slash.
    Backslash "backslash",
    /// A control character, plain or %-encoded.
    ControlCharacter "control_character",
    /// A byte beyond ASCII; URLs write it %-encoded.
    NotAscii "not_ascii",
    /// HTTP/1.1 without a Host.
    HostMissing "host_missing",
    /// More than one Host.
    HostRepeated "host_repeated",
    /// A Host that is not a host with an optional port.
    HostInvalid "host_invalid",
    /// A Transfer-Encoding where no body belongs, beside a Content-Length, or other than `chunked`.
    TransferEncoding "transfer_encoding",
}

impl HttpReject {
    fn message(self) -> &'static str {
        match self {
            Self::Method => "this method is not served here; the Allow header lists those that are",
            Self::TargetForm => "ask for a path that begins with a slash",
            Self::DoubleSlash => "a path must begin with exactly one slash",
            Self::Backslash => "a target must hold no backslash, not as %5c either",
            Self::ControlCharacter => "a target must hold no control character, not as %00 either",
            Self::NotAscii => "a target must be ASCII; write other characters %-encoded",
            Self::HostMissing => "HTTP/1.1 needs a Host header",
            Self::HostRepeated => "a request has one Host header",
            Self::HostInvalid => "the Host header must be a host, or a host and a port",
            Self::TransferEncoding => {
                "a Transfer-Encoding is chunked, alone, and for POST and PATCH only"
            }
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Checks a request's head.
pub fn check<B>(request: &Request<B>, methods: &[Method]) -> Result<Target, HttpReject> {
    if !methods.contains(request.method()) {
        return Err(HttpReject::Method);
    }
    check_host(request.version(), request.headers())?;
    check_transfer_encoding(request.method(), request.headers())?;
    let uri = request.uri();
    let target = uri.path_and_query().ok_or(HttpReject::TargetForm)?;
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(HttpReject::TargetForm);
    }
    // `OPTIONS *` asks about the server as a whole (RFC 9110 section 9.3.7).
    if request.method() != Method::OPTIONS || target.as_str() != "*" {
        check_target(target.as_str())?;
    }
    Ok(Target(target.clone()))
}

/// The answer to a request that was refused. The connection ends with it.
#[must_use]
pub fn refusal(reject: HttpReject, methods: &[Method]) -> Response<String> {
    let body = error_body(reject.as_str(), reject.message());
    let mut response = Response::new(body);
    *response.status_mut() = reject.status();
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if reject == HttpReject::Method {
        let names = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        headers.extend(HeaderValue::try_from(names).ok().map(|names| (ALLOW, names)));
    }
    response
}

/// Checks path and query. Every byte of them may go into a Location.
pub fn check_target(target: &str) -> Result<(), HttpReject> {
    if !target.starts_with('/') {
        return Err(HttpReject::TargetForm);
    }
    check_bytes(target.as_bytes())?;
    let path = target.split('?').next().unwrap_or_default();
    if begins_with_two_slashes(path) {
        return Err(HttpReject::DoubleSlash);
    }
    Ok(())
}

fn check_bytes(target: &[u8]) -> Result<(), HttpReject> {
    for (place, byte) in target.iter().enumerate() {
        check_byte(*byte)?;
        if *byte == b'%' {
            decode(target.get(place + 1..place + 3)).map_or(Ok(()), check_decoded)?;
        }
    }
    Ok(())
}

fn check_byte(byte: u8) -> Result<(), HttpReject> {
    match byte {
        b'\\' => Err(HttpReject::Backslash),
        0..=b' ' | 0x7f => Err(HttpReject::ControlCharacter),
        0x80.. => Err(HttpReject::NotAscii),
        _ => Ok(()),
    }
}

/// Behind `%`, blanks and bytes beyond ASCII are as they should be.
fn check_decoded(byte: u8) -> Result<(), HttpReject> {
    if byte == b' ' || byte >= 0x80 { Ok(()) } else { check_byte(byte) }
}

fn decode(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low] = digits? else { return None };
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    u8::try_from(value(high)? * 16 + value(low)?).ok()
}

/// Whether a path begins with two slashes, as it stands or anywhere on the way while dot segments
/// are resolved: clients resolve those of a Location before they ask (WHATWG URL, path state), and
/// some stop halfway.
fn begins_with_two_slashes(path: &str) -> bool {
    let mut depth = 0_usize;
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match dots(segment) {
            Some(2) => depth = depth.saturating_sub(1),
            Some(_) => {}
            None if depth == 0 && segment.is_empty() && segments.peek().is_some() => return true,
            None => depth += 1,
        }
    }
    false
}

/// 1 or 2 for a dot segment, its dots plain or as `%2e`.
fn dots(segment: &str) -> Option<usize> {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.as_str(), "." | "..").then_some(plain.len())
}

/// A body of unknown length has one spelling and one way to end, so that every proxy before us sees
/// the same requests (RFC 9112 sections 6.1 and 11.2). Of a Content-Length beside it hyper shows
/// nothing, reads the body as chunked, and lets no request follow.
fn check_transfer_encoding(method: &Method, headers: &HeaderMap) -> Result<(), HttpReject> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let has_body = method == Method::POST || method == Method::PATCH;
    let alone = codings.next().is_none() && !headers.contains_key(CONTENT_LENGTH);
    if has_body && alone && coding == "chunked" {
        Ok(())
    } else {
        Err(HttpReject::TransferEncoding)
    }
}

fn check_host(version: Version, headers: &HeaderMap) -> Result<(), HttpReject> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (_, Some(_)) => Err(HttpReject::HostRepeated),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(HttpReject::HostInvalid),
        (None, None) if version == Version::HTTP_10 => Ok(()),
        (None, None) => Err(HttpReject::HostMissing),
    }
}

/// A name, an IPv4 address or an IPv6 address in brackets, and a port or none. Names are held to
/// the unreserved characters of RFC 3986, so userinfo, paths and lists of hosts do not pass.
#[must_use]
pub fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() => (None, rest),
        Some(_) => return false,
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (host, port) = text.split_at(end);
            (Some(host), port)
        }
    };
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let named = host.is_none_or(|host| !host.is_empty() && host.bytes().all(unreserved));
    named && is_port(port)
}

/// Nothing, or a colon and at most a port's digits (RFC 3986 section 3.2.3 admits none).
fn is_port(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else { return text.is_empty() };
    digits.is_empty()
        || (digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests;
