//! The data directory and the lock on it. One process owns it at a time.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::OpenError;

/// Holds the owner's process id; locked for as long as the owner lives. It is never removed,
/// because a lock on a removed file keeps nobody out.
const LOCK_FILE: &str = "LOCK";
/// How long to wait before a lock is tried again.
pub(super) const LOCK_RETRY: Duration = Duration::from_millis(50);

/// The data directory, owned by this process until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    pub path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates `path` with mode 0700 where it is absent, and waits up to `wait` for its lock.
    pub(super) fn own(path: &Path, wait: Duration) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Folder { path: path.to_owned(), error };
        create(path).map_err(failed)?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path.join(LOCK_FILE)).map_err(failed)?;
        lock(&mut file, path, wait)?;
        // Only people read the id, so a full disk must not stand in the way of starting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { path: path.to_owned(), _lock: file })
    }

    /// Tells when other users of the machine may look into the directory.
    pub(super) fn check_mode(&self, notes: &mut Vec<String>) {
        if let Ok(found) = fs::metadata(&self.path)
            && found.mode() & 0o007 != 0
        {
            let (path, mode) = (self.path.display(), found.mode() & 0o777);
            notes.push(format!("{path} is open to every user (mode {mode:04o}): chmod 700 {path}"));
        }
    }
}

fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    sync_directory(path)?;
    match path.parent() {
        Some(parent) if parent != Path::new("") => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

fn lock(file: &mut File, path: &Path, wait: Duration) -> Result<(), OpenError> {
    let deadline = Instant::now() + wait;
    loop {
        match flock(&*file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                thread::sleep(LOCK_RETRY);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(OpenError::Owned { path: path.to_owned(), holder: holder(file) });
            }
            Err(errno) => {
                return Err(OpenError::Folder { path: path.to_owned(), error: errno.into() });
            }
        }
    }
}

/// The id that the owner left in the lock file.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Makes created, renamed and removed names durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
