//! The targets file and the key files it names: read, and followed.

use std::{
    fmt::Display,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidegate_proto::{
    key::{KeyError, SendKey, without_comment},
    secret_file::{self, SecretFileError},
    stamp::Stamp,
};
use zeroize::Zeroizing;

use super::{Flaw, KeyPlace, Target, parse};
use crate::variables::process_environment;

/// Why a targets file was refused.
#[derive(Debug, thiserror::Error)]
pub enum TargetsError {
    /// It could not be read, or others could.
    #[error("targets_file: {0}{way_out}", way_out = way_out(.0, CREATE_TARGETS))]
    File(#[from] SecretFileError),
    /// A line is wrong.
    #[error("targets_file: {path} line {line}: {flaw}", path = path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong there.
        flaw: Flaw,
    },
    /// No target at all.
    #[error("targets_file: {path} names no redirector; add a line host,port,key", path = path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

const CREATE_TARGETS: &str = "; create it with a line host,port,key for each redirector (chmod 600), or point targets_file at \
     it";
/// How a key begins in a key file.
const KEY_PREFIXES: [&str; 3] = ["ehb1:", "ehb1e:", "text:"];
const CREATE_KEY: &str = "; create it with a key in it (chmod 600), or put the key on the line";

fn way_out(error: &SecretFileError, create: &'static str) -> &'static str {
    match error {
        SecretFileError::Unreadable { source, .. } if source.kind() == ErrorKind::NotFound => {
            create
        }
        _ => "",
    }
}

/// A targets file that is read again whenever it or a key file it names changes.
#[derive(Debug)]
pub struct TargetsFile {
    path: PathBuf,
    /// What was looked at when it was last read, or tried to; the file itself comes first.
    seen: Vec<Seen>,
    /// Keys by their text, so that an unchanged key keeps its session and is not stretched again.
    keys: Keys,
}

/// A file, and its stamp from before it was read.
#[derive(Debug)]
struct Seen {
    path: PathBuf,
    stamp: Option<Stamp>,
}

impl TargetsFile {
    /// The file at `path`, not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: Vec::new(), keys: Keys::default() }
    }

    /// Whether any file differs from what was last read, or tried to.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.seen.is_empty() || self.seen.iter().any(|seen| Stamp::of(&seen.path) != seen.stamp)
    }

    /// Reads the file and the key files it names. Each new text key takes some 0.1 s and 64 MiB, so
    /// never call it on an async worker.
    pub fn read(&mut self) -> Result<Vec<Target>, TargetsError> {
        self.seen = vec![Seen::now(&self.path)];
        let text = secret_file::read(&self.path)?;
        let mut keys = Keys::default();
        let parsed = parse(&text, process_environment, |place| match place {
            KeyPlace::Here(text) => Ok(keys.read(text, &self.keys)?),
            KeyPlace::File(path) => {
                self.seen.push(Seen::now(path));
                let (line, text) = first_key(path)?;
                keys.read(&text, &self.keys).map_err(|error| in_key_file(path, line, &error))
            }
        });
        let targets = parsed.map_err(|(line, flaw)| TargetsError::Line {
            path: self.path.clone(),
            line,
            flaw,
        })?;
        if targets.is_empty() {
            return Err(TargetsError::Empty { path: self.path.clone() });
        }
        // Only now: a broken file must not make the lines that are still good lose their sessions.
        self.keys = keys;
        Ok(targets)
    }
}

/// Keys by their text.
#[derive(Debug, Default)]
struct Keys(Vec<(Zeroizing<String>, Arc<SendKey>)>);

impl Keys {
    fn find(&self, text: &str) -> Option<Arc<SendKey>> {
        self.0.iter().find(|(known, _)| known.as_str() == text).map(|(_, key)| key.clone())
    }

    /// Reads a key, unless it is here or was `before`.
    fn read(&mut self, text: &str, before: &Self) -> Result<Arc<SendKey>, KeyError> {
        let key = match self.find(text).or_else(|| before.find(text)) {
            Some(key) => key,
            None => Arc::new(text.parse()?),
        };
        self.0.push((Zeroizing::new(text.to_owned()), key.clone()));
        Ok(key)
    }
}

/// The first line of a key file with something on it, from 1, and what stands there. Bare text is
/// no key here: of a file that was named by mistake anybody may know how it begins.
fn first_key(path: &Path) -> Result<(usize, Zeroizing<String>), Flaw> {
    let text = secret_file::read(path)
        .map_err(|error| Flaw::KeyFile(format!("{error}{}", way_out(&error, CREATE_KEY))))?;
    let mut lines = (1..).zip(text.lines().map(without_comment));
    let Some((line, key)) = lines.find(|(_, key)| !key.is_empty()) else {
        return Err(Flaw::KeyFile(format!("{}: {}", path.display(), KeyError::Empty)));
    };
    if KEY_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
        return Ok((line, Zeroizing::new(key.to_owned())));
    }
    let [fleet, edge, text] = KEY_PREFIXES;
    Err(in_key_file(path, line, &format!("a key begins with {fleet}, {edge} or {text} there")))
}

fn in_key_file(path: &Path, line: usize, fault: &impl Display) -> Flaw {
    Flaw::KeyFile(format!("{} line {line}: {fault}", path.display()))
}

impl Seen {
    fn now(path: &Path) -> Self {
        Self { path: path.to_owned(), stamp: Stamp::of(path) }
    }
}

#[cfg(test)]
mod tests;
