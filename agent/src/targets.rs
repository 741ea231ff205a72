//! Which redirectors to report to, and with which keys: `loadbalancertargets.txt`, a line each.
//!
//! No message here repeats any part of a key.

mod file;

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use tidegate_proto::{
    edge::EdgeId,
    key::{KeyError, SendKey, without_comment},
};
use zeroize::Zeroizing;

pub use self::file::{TargetsError, TargetsFile};
use crate::variables::{VariableError, expand};

/// The most redirectors one edge reports to.
pub const TARGETS_MAX: usize = 64;

/// A redirector to report to and the key to seal with.
#[derive(Debug, Clone)]
pub struct Target {
    host: Box<str>,
    port: u16,
    key: Arc<SendKey>,
}

impl Target {
    /// A target by host name or address (IPv6 bare or in brackets).
    pub fn new(host: &str, port: u16, key: SendKey) -> Result<Self, Flaw> {
        Self::with_shared_key(host, port, Arc::new(key))
    }

    /// A target by address.
    #[must_use]
    pub fn at(address: SocketAddr, key: SendKey) -> Self {
        Self { host: address.ip().to_string().into(), port: address.port(), key: Arc::new(key) }
    }

    fn with_shared_key(host: &str, port: u16, key: Arc<SendKey>) -> Result<Self, Flaw> {
        if port == 0 {
            return Err(Flaw::Port);
        }
        Ok(Self { host: checked_host(host)?, port, key })
    }

    /// The host, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The UDP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &SendKey {
        &self.key
    }

    /// Whether both are the same redirector, whatever the key.
    #[must_use]
    pub fn same_address(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }

    /// Whether both are the same redirector with the same key, so that a session can go on.
    #[must_use]
    pub fn same_session(&self, other: &Self) -> bool {
        self.same_address(other) && Arc::ptr_eq(&self.key, &other.key)
    }
}

/// `host:port`, IPv6 in brackets.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What is wrong with a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not `host,port,key`.
    #[error("a line has the form host,port,key")]
    Form,
    /// Not a name or address.
    #[error("the host is no host name or address (IPv6 stands in brackets)")]
    Host,
    /// Not 1 to 65535.
    #[error("the port must be a number from 1 to 65535; redirectors hear on 1934")]
    Port,
    /// A variable in the host or port.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// A variable in the key. Its name may be part of the key, so it is not repeated.
    #[error(
        "the key has a ${{…}} that is neither ${{env:NAME}} with NAME set nor, alone, ${{file:/PATH}}"
    )]
    KeyVariable,
    /// A key file whose place depends on where the agent was started.
    #[error("the path in ${{file:…}} must begin with /")]
    KeyFilePath,
    /// The file that holds the key. The message names it, and no part of its content.
    #[error("{0}")]
    KeyFile(String),
    /// The key itself.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Listed before.
    #[error("the same host and port stand on line {0}; two sessions would displace each other")]
    Twice(usize),
    /// Per-edge keys of different edges.
    #[error("this key is for edge {this}, the one before for edge {before}; one agent is one edge")]
    OtherEdge {
        /// Whom this key speaks for.
        this: EdgeId,
        /// Whom an earlier one speaks for.
        before: EdgeId,
    },
    /// Too many lines.
    #[error("more than {TARGETS_MAX} targets")]
    TooMany,
}

/// Where the key of a line stands. It cannot be shown, since it may be the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace<'a> {
    /// On the line, or in the environment.
    Here(&'a str),
    /// On the first line with a key of this file; the path is absolute.
    File(&'a Path),
}

/// How a key file is written; it is the whole key, since a key has no parts.
const KEY_FILE: (&str, &str) = ("${file:", "}");

impl<'a> KeyPlace<'a> {
    /// `None`: no file is meant.
    fn of_file(text: &'a str) -> Option<Result<Self, Flaw>> {
        let path = Path::new(text.strip_prefix(KEY_FILE.0)?.strip_suffix(KEY_FILE.1)?);
        Some(if path.is_absolute() { Ok(Self::File(path)) } else { Err(Flaw::KeyFilePath) })
    }
}

/// Reads every line of a targets file; on failure the line's number, from 1, and what is wrong
/// there. `key_of` reads a key, and decides so whether one is stretched from text.
pub fn parse(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
    mut key_of: impl FnMut(KeyPlace<'_>) -> Result<Arc<SendKey>, Flaw>,
) -> Result<Vec<Target>, (usize, Flaw)> {
    let mut targets: Vec<Target> = Vec::new();
    let mut lines: Vec<usize> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let entry = without_comment(line);
        if entry.is_empty() {
            continue;
        }
        let at_line = |flaw| (index + 1, flaw);
        let target = parse_line(entry, &environment, &mut key_of).map_err(at_line)?;
        if let Some(before) = targets.iter().position(|known| known.same_address(&target)) {
            return Err(at_line(Flaw::Twice(lines[before])));
        }
        targets.push(target);
        lines.push(index + 1);
        edge_of(&targets).map_err(at_line)?;
        if targets.len() > TARGETS_MAX {
            return Err(at_line(Flaw::TooMany));
        }
    }
    Ok(targets)
}

fn parse_line(
    entry: &str,
    environment: &impl Fn(&str) -> Option<String>,
    key_of: &mut impl FnMut(KeyPlace<'_>) -> Result<Arc<SendKey>, Flaw>,
) -> Result<Target, Flaw> {
    let mut fields = entry.splitn(3, ',').map(str::trim);
    let (Some(host), Some(port), Some(key)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(Flaw::Form);
    };
    let host = expand(host, environment)?;
    let port = expand(port, environment)?.trim().parse().map_err(|_| Flaw::Port)?;
    let key = if let Some(place) = KeyPlace::of_file(key) {
        key_of(place?)?
    } else {
        let key = Zeroizing::new(expand(key, environment).map_err(|_| Flaw::KeyVariable)?);
        key_of(KeyPlace::Here(key.trim()))?
    };
    Target::with_shared_key(host.trim(), port, key)
}

/// Looser than what clients may be sent to: resolvers know names with underscores too.
fn checked_host(host: &str) -> Result<Box<str>, Flaw> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| Flaw::Host)?;
        return Ok(address.to_string().into());
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.to_string().into());
    }
    let fits = (1..=253).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fits { Ok(host.to_ascii_lowercase().into()) } else { Err(Flaw::Host) }
}

/// The edge that the per-edge keys among `targets` speak for, if there are any.
pub fn edge_of(targets: &[Target]) -> Result<Option<EdgeId>, Flaw> {
    let mut edges = targets.iter().filter_map(|target| target.key().edge());
    let Some(before) = edges.next() else { return Ok(None) };
    match edges.find(|edge| *edge != before) {
        Some(this) => Err(Flaw::OtherEdge { this, before }),
        None => Ok(Some(before)),
    }
}

/// Whether a key was stretched from text that could be guessed.
#[must_use]
pub fn is_weak(key: &SendKey) -> bool {
    matches!(key, SendKey::Fleet { weak: true, .. })
}

#[cfg(test)]
mod tests;
