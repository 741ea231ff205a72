//! The file in which a program tells where it listens, once every listener is bound.

use std::{collections::BTreeMap, fs, io, os::unix::fs::PermissionsExt, path::Path};

/// Writes `{"name":"address:port",…}` by rename, so that a reader sees all of it or nothing. The
/// file is readable by everyone.
pub fn write(path: &Path, addresses: &BTreeMap<&str, String>) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let text = serde_json::to_string(addresses).map_err(io::Error::other)?;
    fs::write(&temporary, text + "\n")?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o644))?;
    fs::rename(&temporary, path)
}
