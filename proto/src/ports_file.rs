//! The file in which a program tells where it listens, once every listener is bound.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Why the file was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the ports file {path}: {source}", path = path.display())]
pub struct PortsFileError {
    /// Which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Writes `{"name":"address:port",…}` by rename, so that a reader sees all of it or nothing. The
/// file is readable by everyone.
pub fn write(path: &Path, addresses: &BTreeMap<&str, String>) -> Result<(), PortsFileError> {
    replace(path, addresses).map_err(|source| PortsFileError { path: path.to_owned(), source })
}

fn replace(path: &Path, addresses: &BTreeMap<&str, String>) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let text = serde_json::to_string(addresses).map_err(io::Error::other)?;
    fs::write(&temporary, text + "\n")?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o644))?;
    fs::rename(&temporary, path)
}
