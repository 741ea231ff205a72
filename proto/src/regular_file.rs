//! Opening files that somebody else names, without being held up by what only looks like one.

use std::{fs::File, io, path::Path};

use rustix::fs::{Mode, OFlags};

/// Opens a regular file to read it; anything else is an error. Opened to be waited for, a pipe that
/// nobody writes to would hold its reader up for ever, even before it can be looked at.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    // The open file is examined, not the path, so that nobody can swap it in between.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}
