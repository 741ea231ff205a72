//! Reading files that hold secrets, and refusing those that others could read or change.

use std::{
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::regular_file;

/// The longest secret file, in bytes.
pub const SECRET_FILE_LEN_MAX: u64 = 1 << 20;

/// Why a secret file was refused. The message names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It could not be opened or read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others can read it, or the group can write it.
    #[error("{path} has mode {mode:04o}: it holds a secret, so others must not read it and the group must not write it; run `chmod 600 {path}`", path = path.display())]
    TooOpen {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("{path} belongs to user {owner}: it holds a secret, so it must belong to user {own} (who runs this) or root; run `chown {own} {path}`", path = path.display())]
    ForeignOwner {
        /// Which file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The running user.
        own: u32,
    },
}

/// Reads a secret file as text. A Kubernetes Secret mounted 0440 through fsGroup is accepted.
pub fn read(path: &Path) -> Result<Zeroizing<String>, SecretFileError> {
    let unreadable = |source| SecretFileError::Unreadable { path: path.into(), source };
    let file = regular_file::open(path).map_err(unreadable)?;
    // The open file is examined, not the path, so that nobody can swap it in between.
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o027 != 0 {
        return Err(SecretFileError::TooOpen { path: path.into(), mode });
    }
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(SecretFileError::ForeignOwner {
            path: path.into(),
            owner: metadata.uid(),
            own,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(SECRET_FILE_LEN_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[test]
    fn modes_that_leak_are_refused_and_a_mounted_secret_is_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("keys");
        fs::write(&path, "secret").expect("written");
        for (mode, fine) in
            [(0o600, true), (0o400, true), (0o440, true), (0o644, false), (0o620, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode set");
            assert_eq!(read(&path).is_ok(), fine, "mode {mode:04o}");
        }
        let said = read(&path).expect_err("0620 is refused").to_string();
        assert!(said.contains("0620") && said.contains("chmod 600"), "{said}");
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("pipe");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a pipe that nobody writes to");
        let said = read(&path).expect_err("no file").to_string();
        assert!(said.contains("not a regular file"), "{said}");
    }
}
