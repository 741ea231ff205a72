//! How a store is opened when all is well, and what is tried in turn when it is not.
//!
//! 1. The folder is created where it is absent, and locked.
//! 2. sled opens, and **every row is read**. A panic counts as damage, and so does a row that
//!    cannot be read: none is passed over in silence.
//! 3. On damage the trees are copied aside. With `Fail` that is the end; with `Restore` fresh copies
//!    of them are tried without unfinished snapshots, then without any snapshot (sled builds them
//!    anew from its log), and last come empty trees, filled with every row that any attempt could
//!    read. Attempts and answers to repeated requests then stay in the copy.
//! 4. What stands is decided between the trees and the sidecar by [`merge`], and written to both.
//!
//! A disk that is full from the start ends in a store that refuses every write, with the drains of
//! the sidecar and whatever else could be read, so that clients are still redirected.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tidegate_proto::edge::EdgeId;

use super::{
    AuditRow, BeatRow, Commit, EdgeRow, Memory, Store, StoreError,
    aside::{self, Without},
    embedded::{Embedded, REQUEST_AGE_MS_MAX, SledStore},
    folder::Folder,
    merge::merge,
    sidecar::{self, Standing},
    trees::{Found, SCHEMA, Trees, contain, is_busy},
};

/// What to do about a damaged store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCorrupt {
    /// Keep a copy, and go on with all that can be read.
    #[default]
    Restore,
    /// Keep everything as it is, and do not start.
    Fail,
}

/// An open store and what it remembered.
pub struct Opened {
    /// The store; it owns the folder until it is dropped.
    pub store: Box<dyn Store>,
    /// What it remembered.
    pub memory: Memory,
    /// What was out of the ordinary, one sentence each, for the log.
    pub notes: Vec<String>,
    /// Why nothing can be written, if so: the store then refuses everything, and `memory` may hold
    /// standing orders alone.
    pub degraded: Option<String>,
}

/// Why no store was opened, and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be created, read or written.
    #[error(
        "the data directory {} cannot be used: {error}; it must be a directory that this user may \
         write, see data_dir", path.display()
    )]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another process has it.
    #[error(
        "the data directory {} is in use by {}; stop that one or set another data_dir",
        path.display(), process(*holder)
    )]
    Owned {
        /// Which.
        path: PathBuf,
        /// The process that has it, if it could be found out.
        holder: Option<u32>,
    },
    /// A newer version wrote it.
    #[error(
        "the store in {} has schema {found}, this version knows {SCHEMA}; run the version that \
         wrote it or set another data_dir", path.display()
    )]
    Schema {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: u32,
    },
    /// It is damaged and [`OnCorrupt::Fail`] was asked for.
    #[error(
        "the store in {} is damaged: {why}; nothing was repaired: see to it, or let it be restored \
         with on_corrupt = \"restore\"", path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Not even empty trees could be made.
    #[error("no store can be made in {}: {why}; set another data_dir", path.display())]
    Hopeless {
        /// Which.
        path: PathBuf,
        /// What was found last.
        why: String,
    },
}

fn process(holder: Option<u32>) -> String {
    holder.map_or("another process".to_owned(), |pid| format!("process {pid}"))
}

/// Opens the store in `dir`, by the ladder above. Waits up to `lock_wait` for another process to
/// leave it; blocks on the disk, so it is not for an async task.
///
/// # Errors
/// [`OpenError`], each with the path and the way out.
pub fn open(
    dir: &Path,
    on_corrupt: OnCorrupt,
    lock_wait: Duration,
    now_unix_ms: u64,
) -> Result<Opened, OpenError> {
    let deadline = Instant::now() + lock_wait;
    let folder = Folder::own(dir, lock_wait)?;
    let mut notes = Vec::new();
    folder.check_mode(&mut notes);
    let sidecar = sidecar::read(dir, &mut notes);
    let mut ladder = Ladder { dir, sidecar, deadline, notes, read: Found::default() };
    match ladder.climb(on_corrupt, now_unix_ms) {
        Ok((embedded, mut memory)) => {
            let oldest = now_unix_ms.saturating_sub(REQUEST_AGE_MS_MAX);
            memory.requests.retain(|row| row.time_unix_ms >= oldest);
            let store = Box::new(SledStore::new(embedded, folder));
            Ok(Opened { store, memory, notes: ladder.notes, degraded: None })
        }
        Err(Setback::Full(why)) => Ok(refusing(ladder, folder, why)),
        Err(Setback::Fatal(error)) => Err(error),
        Err(Setback::Damaged(why)) => Err(OpenError::Hopeless { path: dir.to_owned(), why }),
    }
}

/// Why an attempt ended.
enum Setback {
    Damaged(String),
    Full(String),
    Fatal(OpenError),
}

struct Ladder<'a> {
    dir: &'a Path,
    sidecar: Option<Standing>,
    deadline: Instant,
    notes: Vec<String>,
    /// The most that any attempt could read of damaged trees.
    read: Found,
}

impl Ladder<'_> {
    fn climb(
        &mut self,
        on_corrupt: OnCorrupt,
        now_unix_ms: u64,
    ) -> Result<(Embedded, Memory), Setback> {
        let why = match self.attempt() {
            Err(Setback::Damaged(why)) => why,
            other => return other,
        };
        if on_corrupt == OnCorrupt::Fail {
            let path = self.dir.to_owned();
            return Err(Setback::Fatal(OpenError::Damaged { path, why }));
        }
        let aside = aside::set_aside(self.dir, now_unix_ms).map_err(|e| self.setback(e.into()))?;
        let (dir, kept) = (self.dir.display(), aside.display());
        self.notes.push(format!("the store in {dir} is damaged ({why}); a copy is in {kept}"));
        for without in [Without::UnfinishedSnapshots, Without::Snapshots] {
            if !aside::applies(&aside, without).map_err(|e| self.setback(e.into()))? {
                continue;
            }
            match self.attempt_without(&aside, without) {
                Err(Setback::Damaged(why)) => {
                    self.notes.push(format!("sled's log alone did not help: {why}"));
                }
                other => return other,
            }
        }
        self.start_anew(&aside)
    }

    fn attempt_without(
        &mut self,
        aside: &Path,
        without: Without,
    ) -> Result<(Embedded, Memory), Setback> {
        aside::bring_back(self.dir, aside, without).map_err(|e| self.setback(e.into()))?;
        let opened = self.attempt()?;
        self.notes.push("the store was restored from sled's log".to_owned());
        Ok(opened)
    }

    /// Empty trees, filled with what could be read.
    fn start_anew(&mut self, aside: &Path) -> Result<(Embedded, Memory), Setback> {
        aside::bring_back(self.dir, aside, Without::Anything)
            .map_err(|e| self.setback(e.into()))?;
        let (trees, _) = self.open_trees()?;
        let mut memory = std::mem::take(&mut self.read.memory);
        memory.requests.clear();
        let opened = self.take_over(trees, None, memory)?;
        let (edges, orders) = (opened.1.edges.len(), opened.1.orders.len());
        self.notes.push(format!(
            "the store was made anew with {edges} edges and {orders} records of orders that could \
             still be read{}; check with ListEdges that every drain you expect is there",
            if self.sidecar.is_some() { "" } else { ", and admin.snapshot could not" },
        ));
        Ok(opened)
    }

    /// One attempt with the files as they are.
    fn attempt(&mut self) -> Result<(Embedded, Memory), Setback> {
        let (trees, found) = self.open_trees()?;
        if let Some(found) = found.schema.filter(|found| *found > SCHEMA) {
            let path = self.dir.to_owned();
            return Err(Setback::Fatal(OpenError::Schema { path, found }));
        }
        if let Some(why) = found.faults.first() {
            let why = format!("{why} ({} in all)", found.faults.len());
            self.keep_best(found);
            return Err(Setback::Damaged(why));
        }
        self.take_over(trees, found.schema, found.memory)
    }

    /// Remembers what could be read; a higher revision is worth more than more rows.
    fn keep_best(&mut self, found: Found) {
        let worth = |found: &Found| (found.memory.revision, found.memory.orders.len());
        if worth(&found) >= worth(&self.read) {
            self.read = found;
        }
    }

    fn open_trees(&self) -> Result<(Trees, Found), Setback> {
        let trees = match contain(|| Trees::open(self.dir, self.deadline)) {
            Ok(Ok(trees)) => trees,
            Ok(Err(error)) => return Err(self.setback(error)),
            Err(panic) => return Err(Setback::Damaged(format!("sled panicked: {panic}"))),
        };
        let found = trees.walk();
        Ok((trees, found))
    }

    /// Settles what stands, and writes it wherever it was not so already.
    fn take_over(
        &mut self,
        trees: Trees,
        schema: Option<u32>,
        mut memory: Memory,
    ) -> Result<(Embedded, Memory), Setback> {
        let merged = merge(&memory, self.sidecar.as_ref());
        let changed = schema.is_none()
            || (merged.revision, &merged.orders) != (memory.revision, &memory.orders);
        (memory.revision, memory.orders) = (merged.revision, merged.orders);
        let settled = contain(|| {
            if changed {
                trees.fill(&memory)?;
            }
            let embedded = Embedded::new(trees, self.dir, &memory)?;
            embedded.settle(self.sidecar.as_ref())?;
            Ok(embedded)
        });
        let setback = match settled {
            Ok(Ok(embedded)) => {
                self.notes.extend(merged.notes);
                return Ok((embedded, memory));
            }
            Ok(Err(error)) => self.setback(error),
            Err(panic) => Setback::Damaged(format!("sled panicked: {panic}")),
        };
        self.read.memory = memory;
        Err(setback)
    }

    /// Tells damage, which the next rung may heal, from a system that will not let us work.
    fn setback(&self, error: sled::Error) -> Setback {
        use io::ErrorKind as Kind;
        let path = self.dir.to_owned();
        match error {
            busy if is_busy(&busy) => Setback::Fatal(OpenError::Owned { path, holder: None }),
            sled::Error::Io(error) => match error.kind() {
                Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge => {
                    Setback::Full(error.to_string())
                }
                Kind::UnexpectedEof | Kind::InvalidData | Kind::InvalidInput | Kind::NotFound => {
                    Setback::Damaged(error.to_string())
                }
                _ => Setback::Fatal(OpenError::Folder { path, error }),
            },
            damage => Setback::Damaged(damage.to_string()),
        }
    }
}

fn refusing(ladder: Ladder<'_>, folder: Folder, why: String) -> Opened {
    let Ladder { sidecar, notes, read: Found { mut memory, .. }, .. } = ladder;
    let merged = merge(&memory, sidecar.as_ref());
    (memory.revision, memory.orders) = (merged.revision, merged.orders);
    let why = format!(
        "{} cannot be written ({why}): the orders of revision {} hold, and no order is taken; make \
         room and restart",
        folder.path.display(),
        memory.revision
    );
    let store = Box::new(Refusing { why: why.clone(), _folder: folder });
    Opened { store, memory, notes, degraded: Some(why) }
}

/// Stands where no store can be.
struct Refusing {
    why: String,
    _folder: Folder,
}

impl Refusing {
    fn refuse(&self) -> Result<(), StoreError> {
        Err(StoreError(self.why.clone()))
    }
}

impl Store for Refusing {
    fn commit(&mut self, _commit: &Commit) -> Result<(), StoreError> {
        self.refuse()
    }

    fn write_rows(&mut self, _edges: &[EdgeRow], _beats: &[BeatRow]) -> Result<(), StoreError> {
        self.refuse()
    }

    fn write_audit(&mut self, _audit: &[AuditRow]) -> Result<(), StoreError> {
        self.refuse()
    }

    fn forget(&mut self, _edges: &[EdgeId]) -> Result<(), StoreError> {
        self.refuse()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
