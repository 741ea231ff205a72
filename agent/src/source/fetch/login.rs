//! As whom the agent asks, and how it says so: only when a server wants to know, and the way it wants.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use tidegate_proto::secret_file::{self, SecretFileError};
use zeroize::Zeroizing;

use super::{
    challenge::Challenge,
    digest::{Asked, Digest},
};

/// Who asks, where a server wants to know: its password stands in a file that others cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The file whose first line is the password; read at each request, so it can be changed.
    pub password_file: PathBuf,
}

/// Why a server that wants to know who asks is not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untold {
    #[error(transparent)]
    Password(#[from] SecretFileError),
    #[error(
        "it wants a login by {0:?}; Basic and Digest (MD5 or SHA-256, qop auth) are known here"
    )]
    Scheme(Vec<String>),
}

impl Login {
    /// The `Authorization` header for a GET of `target` after these `WWW-Authenticate` headers.
    /// The strongest digest is preferred, and the plain password comes last.
    pub(super) fn answer<'a>(
        &self,
        asked: impl Iterator<Item = &'a str>,
        target: &str,
        cnonce: &str,
    ) -> Result<Zeroizing<String>, Untold> {
        let challenges: Vec<_> = asked.flat_map(Challenge::all).collect();
        let text = secret_file::read(&self.password_file)?;
        let password = text.lines().next().unwrap_or_default();
        let digests = challenges.iter().filter_map(Digest::of);
        if let Some(digest) = digests.max_by_key(Digest::algorithm) {
            let asked = Asked { user: &self.user, password, target, cnonce };
            return Ok(Zeroizing::new(digest.answer(&asked)));
        }
        if challenges.iter().any(|challenge| challenge.scheme.eq_ignore_ascii_case("Basic")) {
            let pair = Zeroizing::new(format!("{}:{password}", self.user));
            return Ok(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))));
        }
        Err(Untold::Scheme(challenges.into_iter().map(|challenge| challenge.scheme).collect()))
    }
}
