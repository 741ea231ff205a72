//! Bearer tokens as their file holds them: hashed, each with a role and a name.
//!
//! One token a line, `ROLE NAME sha256:HEX`, `#` comments; several are valid at once, so that one
//! can be replaced without a gap. `tidegatectl token generate` makes a token and its line.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tidegate_proto::key::without_comment;

const TOKEN_PREFIX: &str = "tgt1_";
const HASH_PREFIX: &str = "sha256:";
const NAME_LEN_MAX: usize = 64;

/// What a caller may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Look.
    Viewer,
    /// Give orders.
    Operator,
}

impl Role {
    /// The role's name in files and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        [Self::Viewer, Self::Operator]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(TokenError::UnknownRole)
    }
}

/// What is wrong with a line. No message repeats any part of it, since it may hold a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three words.
    #[error(
        "a line has the form `ROLE NAME sha256:HEX`; make one with `tidegatectl token generate`"
    )]
    NotALine,
    /// Neither role.
    #[error("the role must be viewer or operator")]
    UnknownRole,
    /// A name that records cannot carry.
    #[error("a name has 1 to {NAME_LEN_MAX} letters, digits or . _ @ -")]
    BadName,
    /// No SHA-256.
    #[error(
        "the third word must be sha256: and 64 hex digits, the hash of the token and never the token itself"
    )]
    NotAHash,
    /// A file without a single token would lock everybody out.
    #[error("there is no token in it; add a line made by `tidegatectl token generate`")]
    Empty,
}

/// A [`TokenError`] and the line it is on, counted from 1 (0: the whole file).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct TokensFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub error: TokenError,
}

struct Entry {
    role: Role,
    name: String,
    hash: [u8; 32],
}

/// Every token that is accepted, as hashes.
pub struct Tokens(Vec<Entry>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

impl Tokens {
    /// Reads a tokens file's text.
    pub fn parse(text: &str) -> Result<Self, TokensFileError> {
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let entry = without_comment(line);
            if !entry.is_empty() {
                let at_line = |error| TokensFileError { line: index + 1, error };
                entries.push(parse_line(entry).map_err(at_line)?);
            }
        }
        if entries.is_empty() {
            return Err(TokensFileError { line: 0, error: TokenError::Empty });
        }
        Ok(Self(entries))
    }

    /// Whose token this is. The time it takes says nothing about the hashes.
    #[must_use]
    pub fn find(&self, token: &[u8]) -> Option<(&str, Role)> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        for entry in &self.0 {
            if bool::from(entry.hash.ct_eq(&hash)) {
                found = Some((entry.name.as_str(), entry.role));
            }
        }
        found
    }
}

fn parse_line(line: &str) -> Result<Entry, TokenError> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [role, name, hash] = words.as_slice() else {
        return Err(TokenError::NotALine);
    };
    let hash = hash.strip_prefix(HASH_PREFIX).and_then(decode_hex).ok_or(TokenError::NotAHash)?;
    Ok(Entry { role: role.parse()?, name: checked_name(name)?.to_owned(), hash })
}

fn checked_name(name: &str) -> Result<&str, TokenError> {
    let fine = |c: u8| c.is_ascii_alphanumeric() || b"._@-".contains(&c);
    if (1..=NAME_LEN_MAX).contains(&name.len()) && name.bytes().all(fine) {
        Ok(name)
    } else {
        Err(TokenError::BadName)
    }
}

fn decode_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Lower-case hex digits.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new token and what goes into the tokens file for it. Neither is shown by `Debug`.
pub struct NewToken {
    /// The token itself, for its holder alone.
    pub token: String,
    /// Its line in the tokens file; no secret can be derived from it.
    pub line: String,
}

impl NewToken {
    /// Makes a token of 256 random bits.
    pub fn generate(role: Role, name: &str) -> Result<Self, TokenError> {
        let secret: [u8; 32] = rand::random();
        let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
        let hash = encode_hex(&Sha256::digest(token.as_bytes()));
        let line = format!("{role} {} {HASH_PREFIX}{hash}", checked_name(name)?);
        Ok(Self { token, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_line_admits_its_token_alone() {
        let old = NewToken::generate(Role::Operator, "alice").expect("a fine name");
        let new = NewToken::generate(Role::Viewer, "bob@example.com").expect("a fine name");
        let file = format!("# people\n\n{} # until June\n{}\n", old.line, new.line);
        let tokens = Tokens::parse(&file).expect("the lines are right");
        assert_eq!(tokens.find(old.token.as_bytes()), Some(("alice", Role::Operator)));
        assert_eq!(tokens.find(new.token.as_bytes()), Some(("bob@example.com", Role::Viewer)));
        assert_eq!(tokens.find(b""), None);
        assert_eq!(tokens.find(&old.token.as_bytes()[1..]), None);
        assert!(!file.contains(&old.token[TOKEN_PREFIX.len()..]));
    }

    #[test]
    fn every_fault_names_its_line() {
        let hash = "0".repeat(64);
        for (text, line, error) in [
            ("# none".to_owned(), 0, TokenError::Empty),
            ("operator alice".to_owned(), 1, TokenError::NotALine),
            (format!("\nroot alice sha256:{hash}"), 2, TokenError::UnknownRole),
            (format!("viewer al\u{7}ice sha256:{hash}"), 1, TokenError::BadName),
            ("viewer alice tgt1_secret".to_owned(), 1, TokenError::NotAHash),
            (format!("viewer alice sha256:{}", &hash[1..]), 1, TokenError::NotAHash),
        ] {
            let fault = Tokens::parse(&text).expect_err("the line is wrong");
            assert_eq!(fault, TokensFileError { line, error }, "{text:?}");
            assert!(!fault.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_viewer_is_less_than_an_operator() {
        assert!(Role::Viewer < Role::Operator);
    }
}
