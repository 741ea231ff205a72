//! Keys as people handle them: in files, on lines, with a prefix that says what they are.
//!
//! | form | who holds it |
//! |---|---|
//! | `ehb1:` + base64url of 32 bytes | redirectors; agents of a fleet that shares one key |
//! | `ehb1e:KEYID:UUID:` + base64url of 32 bytes | one edge's agent |
//! | `text:KEY` (or the bare text in an agent's targets file) | fleets that come from Wowza |

use std::{collections::HashMap, fmt, str::FromStr};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    edge::EdgeId,
    seal::{EdgeKey, FleetKey},
};

/// The fewest characters of a text key.
pub const TEXT_KEY_LEN_MIN: usize = 12;

const FLEET_PREFIX: &str = "ehb1:";
const EDGE_PREFIX: &str = "ehb1e:";
const TEXT_PREFIX: &str = "text:";
const TEXT_SALT: &[u8; 16] = b"tidegate ehb1 v1";
const TEXT_MEMORY_KIB: u32 = 64 * 1024;
const TEXT_PASSES: u32 = 3;

/// A fleet key's fingerprint: it selects the key to open with, and may be shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with a key. No message repeats any part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// After `ehb1:` or `ehb1e:…:` must come 43 characters of base64url.
    #[error(
        "after the prefix must come 32 bytes as base64url (43 characters); make one with `tidegatectl key generate`"
    )]
    NotABase64Key,
    /// `ehb1e:` without a key id and a UUID.
    #[error(
        "a per-edge key has the form ehb1e:KEYID:UUID:KEY with KEYID as 8 hex digits; make one with `tidegatectl key issue`"
    )]
    NotAnEdgeKey,
    /// A text key below [`TEXT_KEY_LEN_MIN`].
    #[error("a text key needs at least {TEXT_KEY_LEN_MIN} characters")]
    TextTooShort,
    /// A text key where none is admitted.
    #[error(
        "text keys can be guessed from one captured datagram; replace it (`tidegatectl key generate`) or set heartbeat.allow_weak_key = true"
    )]
    WeakKeyRefused,
    /// A per-edge key where a fleet key is needed.
    #[error(
        "this is the key of one edge; a redirector needs the fleet's key, which begins with ehb1:"
    )]
    EdgeKeyRefused,
    /// Neither prefix.
    #[error("a key begins with ehb1: or text:")]
    UnknownForm,
    /// Two different keys share a fingerprint.
    #[error("two keys share the fingerprint {0}; replace one of them")]
    Collision(KeyId),
    /// A file without a single key.
    #[error("there is no key in it; add one line made by `tidegatectl key generate`")]
    Empty,
}

/// A [`KeyError`] and the line it is on, counted from 1 (0: the whole file).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct KeyFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub error: KeyError,
}

/// Every key a redirector accepts.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: HashMap<KeyId, FleetKey>,
    weak: bool,
}

impl KeyRing {
    /// Reads a keys file: one key a line, blank lines and `#` comments skipped. Text keys take
    /// about 0.1 s each to stretch.
    pub fn parse(text: &str, allow_weak: bool) -> Result<Self, KeyFileError> {
        let mut ring = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let at_line = |error| KeyFileError { line: line_number, error };
            let entry = without_comment(line);
            if entry.is_empty() {
                continue;
            }
            let weak = entry.starts_with(TEXT_PREFIX);
            if weak && !allow_weak {
                return Err(at_line(KeyError::WeakKeyRefused));
            }
            let key = parse_fleet_key(entry).map_err(at_line)?;
            ring.weak |= weak;
            ring.insert(key).map_err(at_line)?;
        }
        if ring.keys.is_empty() {
            return Err(KeyFileError { line: 0, error: KeyError::Empty });
        }
        Ok(ring)
    }

    /// Adds a key; one that is there already changes nothing.
    pub fn insert(&mut self, key: FleetKey) -> Result<(), KeyError> {
        let id = key.id();
        match self.keys.get(&id) {
            Some(known) if known.0 != key.0 => Err(KeyError::Collision(id)),
            _ => {
                self.keys.insert(id, key);
                Ok(())
            }
        }
    }

    /// The key of a fingerprint.
    #[must_use]
    pub fn get(&self, id: KeyId) -> Option<&FleetKey> {
        self.keys.get(&id)
    }

    /// Every fingerprint, in no particular order.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.keys().copied()
    }

    /// Whether any of the keys came from text.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.weak
    }
}

/// Cuts a comment (`#` at the start or after a blank) and the blanks around what is left.
#[must_use]
pub fn without_comment(line: &str) -> &str {
    let cut = line
        .char_indices()
        .find(|(at, c)| {
            *c == '#' && (*at == 0 || line[..*at].ends_with(|before: char| before.is_whitespace()))
        })
        .map_or(line.len(), |(at, _)| at);
    line[..cut].trim()
}

/// Reads `ehb1:…` or `text:…`.
pub fn parse_fleet_key(text: &str) -> Result<FleetKey, KeyError> {
    if text.starts_with(EDGE_PREFIX) {
        Err(KeyError::EdgeKeyRefused)
    } else if let Some(encoded) = text.strip_prefix(FLEET_PREFIX) {
        Ok(FleetKey(decode(encoded)?))
    } else if let Some(text) = text.strip_prefix(TEXT_PREFIX) {
        stretch(text)
    } else {
        Err(KeyError::UnknownForm)
    }
}

/// Writes a fleet key in its canonical form.
#[must_use]
pub fn format_fleet_key(key: &FleetKey) -> Zeroizing<String> {
    Zeroizing::new(format!("{FLEET_PREFIX}{}", URL_SAFE_NO_PAD.encode(key.0)))
}

/// Writes the key of one edge, for its agent alone.
#[must_use]
pub fn format_edge_key(fleet: &FleetKey, edge: EdgeId) -> Zeroizing<String> {
    let key = URL_SAFE_NO_PAD.encode(fleet.edge_key(edge).0);
    Zeroizing::new(format!("{EDGE_PREFIX}{}:{edge}:{key}", fleet.id()))
}

/// What an agent seals with.
#[derive(Debug, Clone)]
pub enum SendKey {
    /// The fleet's key; the agent brings its own id.
    Fleet {
        /// The key itself.
        key: FleetKey,
        /// Whether it came from text.
        weak: bool,
    },
    /// The key of one edge, which also says which edge that is.
    Edge {
        /// The fingerprint of the fleet key it descends from.
        key_id: KeyId,
        /// Whom it speaks for.
        edge: EdgeId,
        /// The key itself.
        key: EdgeKey,
    },
}

impl SendKey {
    /// The id this key speaks for, if it names one.
    #[must_use]
    pub fn edge(&self) -> Option<EdgeId> {
        match self {
            Self::Fleet { .. } => None,
            Self::Edge { edge, .. } => Some(*edge),
        }
    }

    /// The fingerprint for the header.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        match self {
            Self::Fleet { key, .. } => key.id(),
            Self::Edge { key_id, .. } => *key_id,
        }
    }

    /// The key to derive the sessions of `own` from.
    #[must_use]
    pub fn edge_key(&self, own: EdgeId) -> EdgeKey {
        match self {
            Self::Fleet { key, .. } => key.edge_key(own),
            Self::Edge { key, .. } => key.clone(),
        }
    }
}

impl FromStr for SendKey {
    type Err = KeyError;

    /// Reads the key of a targets file's line; what has no prefix is a text key.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        if let Some(rest) = text.strip_prefix(EDGE_PREFIX) {
            return parse_edge_key(rest);
        }
        if text.starts_with(FLEET_PREFIX) {
            return Ok(Self::Fleet { key: parse_fleet_key(text)?, weak: false });
        }
        let bare = text.strip_prefix(TEXT_PREFIX).unwrap_or(text);
        Ok(Self::Fleet { key: stretch(bare)?, weak: true })
    }
}

fn parse_edge_key(rest: &str) -> Result<SendKey, KeyError> {
    let mut parts = rest.splitn(3, ':');
    let (Some(id), Some(edge), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::NotAnEdgeKey);
    };
    let id = (id.len() == 8).then(|| u32::from_str_radix(id, 16).ok()).flatten();
    let (Some(id), Ok(edge)) = (id, edge.parse()) else {
        return Err(KeyError::NotAnEdgeKey);
    };
    Ok(SendKey::Edge { key_id: KeyId(id.to_be_bytes()), edge, key: EdgeKey(decode(key)?) })
}

fn decode(encoded: &str) -> Result<[u8; 32], KeyError> {
    let mut bytes = URL_SAFE_NO_PAD
        .decode(encoded.trim_end_matches('='))
        .map_err(|_| KeyError::NotABase64Key)?;
    let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| KeyError::NotABase64Key);
    bytes.zeroize();
    key
}

/// Text keys are guessable, so each guess is made to cost 64 MiB and some 0.1 s (Argon2id,
/// RFC 9106).
fn stretch(text: &str) -> Result<FleetKey, KeyError> {
    if text.chars().count() < TEXT_KEY_LEN_MIN {
        return Err(KeyError::TextTooShort);
    }
    let params = Params::new(TEXT_MEMORY_KIB, TEXT_PASSES, 1, Some(32))
        .expect("the parameters are constants within Argon2's bounds");
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(text.as_bytes(), TEXT_SALT, &mut key)
        .expect("a 16-byte salt and a 32-byte key are within Argon2's bounds");
    Ok(FleetKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_reads_what_key_generate_writes() {
        let key = FleetKey::random();
        let text = format!("# fleet\n\n{} # newest\n", *format_fleet_key(&key));
        let ring = KeyRing::parse(&text, false).expect("the form is right");
        assert_eq!(ring.ids().collect::<Vec<_>>(), [key.id()]);
        assert!(!ring.is_weak());
    }

    #[test]
    fn an_edge_key_speaks_for_its_edge_alone() {
        let (fleet, edge) = (FleetKey::random(), EdgeId::random());
        let issued: SendKey = format_edge_key(&fleet, edge).parse().expect("the form is right");
        assert_eq!((issued.edge(), issued.key_id()), (Some(edge), fleet.id()));
        assert_eq!(issued.edge_key(edge).0, fleet.edge_key(edge).0);
    }

    #[test]
    fn every_fault_names_its_line_and_no_key() {
        for (text, line, error) in [
            ("", 0, KeyError::Empty),
            ("#x\nehb1:short", 2, KeyError::NotABase64Key),
            ("text:023D4FB4IS83", 1, KeyError::WeakKeyRefused),
            ("ehb1e:00:11:22", 1, KeyError::EdgeKeyRefused),
            ("023D4FB4IS83", 1, KeyError::UnknownForm),
        ] {
            let fault = KeyRing::parse(text, false).expect_err("the form is wrong");
            assert_eq!(fault, KeyFileError { line, error });
            assert!(!fault.to_string().contains("023D4"), "the message repeats the key");
        }
        assert_eq!(
            KeyRing::parse("text:tooshort", true).map_err(|e| e.error).err(),
            Some(KeyError::TextTooShort)
        );
    }

    #[test]
    fn text_keys_are_stretched_the_documented_way() {
        // Made with the reference implementation: Python's argon2-cffi, hash_secret_raw(
        // b"023D4FB4IS83", b"tidegate ehb1 v1", 3, 65536, 1, 32, Type.ID).
        let SendKey::Fleet { key, weak } = "023D4FB4IS83".parse().expect("long enough") else {
            panic!("a text key is a fleet key");
        };
        assert!(weak);
        let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "544dd090301eb92d7dae1cca323fc1597cd74c16e1ac7a61427894f182784e76");
    }

    #[test]
    fn secrets_are_masked() {
        let key = FleetKey::random();
        assert_eq!(format!("{key:?}"), "FleetKey(<redacted>)");
    }

    #[test]
    fn comments_begin_at_the_start_or_after_a_blank() {
        assert_eq!(without_comment("# a"), "");
        assert_eq!(without_comment(" host,1,k#y # c"), "host,1,k#y");
    }
}
