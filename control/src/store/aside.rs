//! Copies of damaged trees: kept for whoever looks into it, and what every repair starts from.
//!
//! A repair never works on the files that the last attempt had open. A panic may have left one of
//! sled's threads, with its descriptors and its lock, behind; fresh copies are out of its reach.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    folder::sync_directory,
    sidecar,
    trees::{CONF_FILE, DB_FILE},
};

/// How many copies are kept; the oldest goes first.
const COPIES_MAX: usize = 3;
const COPY_PREFIX: &str = "corrupt-";
const BLOBS: &str = "blobs";
const SNAPSHOT_PREFIX: &str = "snap.";
const UNFINISHED_SUFFIX: &str = ".generating";

/// What a repair leaves out of the copy. sled builds its snapshots anew from its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    /// Snapshots that were being written.
    UnfinishedSnapshots,
    /// All snapshots.
    Snapshots,
    /// Everything.
    Anything,
}

impl Without {
    fn leaves_out(self, name: &str) -> bool {
        let snapshot = name.starts_with(SNAPSHOT_PREFIX);
        match self {
            Self::UnfinishedSnapshots => snapshot && name.ends_with(UNFINISHED_SUFFIX),
            Self::Snapshots => snapshot,
            Self::Anything => true,
        }
    }
}

/// Copies the trees and the sidecar into a folder of their own inside `dir`.
pub(super) fn set_aside(dir: &Path, now_unix_ms: u64) -> io::Result<PathBuf> {
    let mut copies = numbered_copies(dir)?;
    while copies.len() >= COPIES_MAX {
        fs::remove_dir_all(dir.join(format!("{COPY_PREFIX}{}", copies.remove(0))))?;
    }
    let aside = dir.join(format!("{COPY_PREFIX}{now_unix_ms}"));
    fs::create_dir_all(&aside)?;
    for name in own_names(dir)? {
        copy(&dir.join(&name), &aside.join(&name))?;
    }
    sync_directory(dir)?;
    Ok(aside)
}

fn numbered_copies(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(COPY_PREFIX));
        found.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether leaving that out of the trees in `dir` makes a difference.
pub(super) fn applies(dir: &Path, without: Without) -> io::Result<bool> {
    Ok(own_names(dir)?.iter().any(|name| without.leaves_out(name)))
}

/// Puts fresh copies of the trees in `aside` in the place of those in `dir`. The sidecar stays.
pub(super) fn bring_back(dir: &Path, aside: &Path, without: Without) -> io::Result<()> {
    for name in own_names(dir)?.iter().filter(|name| *name != sidecar::FILE) {
        remove(&dir.join(name))?;
    }
    for name in own_names(aside)?.iter().filter(|name| *name != sidecar::FILE) {
        if !without.leaves_out(name) {
            copy(&aside.join(name), &dir.join(name))?;
        }
    }
    sync_directory(dir)
}

/// The names that belong to the store; whatever else lies in `dir` is not touched.
fn own_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Some(name) = entry?.file_name().to_str()
            && ([CONF_FILE, DB_FILE, BLOBS, sidecar::FILE].contains(&name)
                || name.starts_with(SNAPSHOT_PREFIX))
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
