//! Which edge this is: a UUID made once and kept in the state folder, so that an order outlives a
//! restart. A clone of the machine must delete the file, or two edges speak as one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use tidegate_proto::edge::EdgeId;

/// The file's name in the state folder.
pub const FILE_NAME: &str = "edge-id";

/// Why the edge's UUID could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The folder or the file failed.
    #[error("cannot {deed} {path}: {source}; set state_dir to a folder this user can write", path = path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} does not hold a UUID; put the edge's UUID back, or delete the file and the edge gets a new one", path = path.display())]
    NotAUuid {
        /// Which file.
        path: PathBuf,
    },
}

/// Reads the UUID; `None` when none was made yet.
pub fn load(dir: &Path) -> Result<Option<EdgeId>, IdentityError> {
    let path = dir.join(FILE_NAME);
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(IdentityError::NotAUuid { path }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IdentityError::Io { deed: "read", path, source }),
    }
}

/// Reads the UUID or makes one and keeps it. The folder is created for its owner alone.
pub fn load_or_create(dir: &Path) -> Result<EdgeId, IdentityError> {
    if let Some(id) = load(dir)? {
        return Ok(id);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| IdentityError::Io { deed: "create", path: dir.into(), source })?;
    let id = EdgeId::random();
    write(dir, id).map_err(|source| IdentityError::Io {
        deed: "write",
        path: dir.join(FILE_NAME),
        source,
    })?;
    Ok(id)
}

/// Temporary file, fsync, rename, fsync: a power cut leaves either no file or a whole one.
fn write(dir: &Path, id: EdgeId) -> io::Result<()> {
    let temporary = dir.join(format!("{FILE_NAME}.{id}.tmp"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, dir.join(FILE_NAME))?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_edge_is_the_same_after_a_restart() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let dir = parent.path().join("state");
        assert_eq!(load(&dir).expect("readable"), None);
        let id = load_or_create(&dir).expect("writable");
        assert_eq!(load_or_create(&dir).expect("readable"), id);
        let mode = fs::metadata(&dir).expect("created").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let names: Vec<_> = fs::read_dir(&dir).expect("listed").collect();
        assert_eq!(names.len(), 1, "a temporary file is left: {names:?}");
    }

    #[test]
    fn a_file_that_holds_no_uuid_is_never_replaced() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join(FILE_NAME), "").expect("written");
        let said = load_or_create(dir.path()).expect_err("no UUID").to_string();
        assert!(said.contains(FILE_NAME) && said.contains("delete"), "{said}");
    }
}
