//! What an edge is called and where it is: validated nouns that every process speaks.
//!
//! Each constructor checks its rule once, so whoever holds one of these need not check again.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU16,
    str::FromStr,
};

/// The longest name or host, in characters (RFC 1035 section 2.3.4).
pub const NAME_LEN_MAX: usize = 253;
/// The most endpoints an edge may list.
pub const ENDPOINTS_MAX: usize = 16;
/// The most labels an edge may carry.
pub const LABELS_MAX: usize = 32;
/// The longest label key and value, in bytes.
pub const LABEL_LEN_MAX: usize = 128;

/// Labels by key. Both sides are any text within [`LABEL_LEN_MAX`]: escape them wherever they go.
pub type Labels = BTreeMap<String, String>;

/// Whether a label is within its bounds: a key of 1 to [`LABEL_LEN_MAX`] bytes, a value of at most as
/// many.
#[must_use]
pub fn is_label(key: &str, value: &str) -> bool {
    (1..=LABEL_LEN_MAX).contains(&key.len()) && value.len() <= LABEL_LEN_MAX
}

/// An edge's UUID, made once and kept in the agent's state folder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeId(pub [u8; 16]);

impl EdgeId {
    /// A new random id (UUID version 4).
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().into_bytes())
    }
}

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EdgeId {
    type Err = Invalid;

    /// Takes the hyphenated and the plain form.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        match uuid::Uuid::try_parse(text) {
            Ok(id) => Ok(Self(id.into_bytes())),
            Err(_) => Err(Invalid("not a UUID")),
        }
    }
}

/// Why a name, host, scheme or endpoint was refused: one sentence without the offending text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

/// What operators call an edge: DNS labels (RFC 1123), at most 253 characters, never of UUID form.
/// Compared and kept in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeName(Box<str>);

impl EdgeName {
    /// The name of an edge that announced none: its UUID.
    #[must_use]
    pub fn unnamed(id: EdgeId) -> Self {
        Self(id.to_string().into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EdgeName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        check_dns_name(text)?;
        if EdgeId::from_str(text).is_ok() {
            return Err(Invalid("a name must not look like a UUID"));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for EdgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where clients are sent: a DNS name or an address. It holds nothing that could end an authority
/// or a header early: no `@ / : \`, blanks or control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A host name, in lower case.
    Name(Box<str>),
    /// An address; IPv6 goes into URLs in brackets.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(inner) = bare {
            return match inner.parse::<Ipv6Addr>() {
                Ok(address) => Ok(Self::Address(address.into())),
                Err(_) => Err(Invalid("only an IPv6 address may stand in brackets")),
            };
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        check_dns_name(text)?;
        // Browsers read a host whose last label is a number as an IPv4 address (WHATWG URL,
        // "ends in a number"), so such a name would lead somewhere else than it says.
        let last = text.rsplit('.').next().unwrap_or(text);
        let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
        let number = last.bytes().all(|b| b.is_ascii_digit())
            || hex.is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()));
        if number {
            return Err(Invalid("a host name must not end in a number"));
        }
        Ok(Self::Name(text.to_ascii_lowercase().into()))
    }
}

/// The bare form, IPv6 without brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Host {
    /// The form for a URL's authority, IPv6 in brackets (RFC 3986 section 3.2.2).
    #[must_use]
    pub fn for_url(&self) -> String {
        match self {
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
            other => other.to_string(),
        }
    }
}

fn check_dns_name(text: &str) -> Result<(), Invalid> {
    if text.is_empty() || text.len() > NAME_LEN_MAX {
        return Err(Invalid("must have 1 to 253 characters"));
    }
    let label_holds = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.split('.').all(label_holds) {
        Ok(())
    } else {
        Err(Invalid("must be DNS labels: letters, digits and inner hyphens, joined by dots"))
    }
}

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Scheme {
    Http,
    Https,
    Rtmp,
    Rtmps,
    Rtmpt,
    Rtmpts,
}

impl Scheme {
    /// Every scheme, in the order of the enum.
    pub const ALL: [Self; 6] =
        [Self::Http, Self::Https, Self::Rtmp, Self::Rtmps, Self::Rtmpt, Self::Rtmpts];

    /// The scheme as it stands in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Rtmp => "rtmp",
            Self::Rtmps => "rtmps",
            Self::Rtmpt => "rtmpt",
            Self::Rtmpts => "rtmpts",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
            .ok_or(Invalid("must be http, https, rtmp, rtmps, rtmpt or rtmpts"))
    }
}

/// A scheme and the port an edge serves it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// What is served.
    pub scheme: Scheme,
    /// Where, never 0.
    pub port: NonZeroU16,
}

/// What an edge can carry. `None` is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capacity {
    /// Viewers at the same time.
    pub viewers: Option<u32>,
    /// Outgoing bits per second.
    pub bandwidth_bps: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_could_lead_elsewhere_are_refused() {
        for text in [
            "",
            "a@evil.com",
            "a:80",
            "a/b",
            "a\\b",
            "a\r\nb",
            "a b",
            "-a",
            "a-",
            "a..b",
            "1.2.3",
            "0x7f.1",
            "127.1",
            "[::1",
            "[1.2.3.4]",
            "é.example",
            "a_b",
            "%31",
            "fe80::1%eth0",
        ] {
            assert!(Host::from_str(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn hosts_are_written_as_urls_want_them() {
        for (text, url) in [
            ("Edge-1.Example.com", "edge-1.example.com"),
            ("10.0.0.7", "10.0.0.7"),
            ("2001:db8::7", "[2001:db8::7]"),
            ("[2001:db8::7]", "[2001:db8::7]"),
        ] {
            assert_eq!(Host::from_str(text).map(|host| host.for_url()).as_deref(), Ok(url));
        }
    }

    #[test]
    fn a_name_is_never_a_uuid() {
        assert!(EdgeName::from_str("edge-1").is_ok());
        assert!(EdgeName::from_str("7bf5ce94-c10f-45e8-bd47-a55698850ad3").is_err());
        assert!(EdgeName::from_str("7bf5ce94c10f45e8bd47a55698850ad3").is_err());
    }
}
