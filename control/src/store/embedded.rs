//! The store on sled: what a commit does, step by step, and when it gives up.
//!
//! A commit is one transaction over the trees, then sled's flush, then an fsync of its own, then
//! the sidecar. sled's flush asks Linux for `sync_file_range`, which promises nothing about a power
//! loss; the fsync goes through a descriptor opened at the start, so that it also hears of write
//! errors from before it.
//!
//! After any error the store stays failed. What reached the disk is then unknown, and Linux reports
//! a second fsync after a failed one as good. Opening anew finds out.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs::File,
    path::{Path, PathBuf},
};

use sled::transaction::{TransactionError, Transactional};
use tidegate_proto::edge::EdgeId;

use super::{
    AuditRow, BeatRow, Commit, EdgeRow, Memory, OrderRow, Store, StoreError,
    folder::Folder,
    journal::{BATCH_ROWS, Journal},
    record::Record,
    sidecar::{self, Standing},
    trees::{self, DB_FILE, REVISION_KEY, Trees, contain},
};

/// How many attempts are remembered.
pub(super) const AUDIT_ROWS_MAX: usize = 100_000;
/// How many answers are kept for repeated request ids.
pub(super) const REQUEST_ROWS_MAX: usize = 10_000;
/// For how long.
pub(super) const REQUEST_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// The trees at work, with the sidecar beside them.
#[derive(Debug)]
pub(super) struct Embedded {
    trees: Trees,
    audit: Journal,
    requests: Journal,
    db_file: File,
    dir: PathBuf,
    revision: u64,
    standing: BTreeMap<EdgeId, OrderRow>,
}

impl Embedded {
    /// Takes over `trees`, which hold `memory` already.
    pub(super) fn new(trees: Trees, dir: &Path, memory: &Memory) -> sled::Result<Self> {
        let standing = memory.orders.iter().filter(|row| row.is_standing());
        Ok(Self {
            audit: Journal::new(trees.audit.clone(), AUDIT_ROWS_MAX)?,
            requests: Journal::new(trees.request.clone(), REQUEST_ROWS_MAX)?,
            trees,
            db_file: File::open(dir.join(DB_FILE))?,
            dir: dir.to_owned(),
            revision: memory.revision,
            standing: standing.map(|row| (row.id, row.clone())).collect(),
        })
    }

    /// Makes everything written so far durable, and the sidecar too where it is not `known`.
    pub(super) fn settle(&self, known: Option<&Standing>) -> sled::Result<()> {
        self.make_durable()?;
        let same = known.is_some_and(|known| {
            known.revision == self.revision && known.orders.iter().eq(self.standing.values())
        });
        if same { Ok(()) } else { self.write_sidecar() }
    }

    fn commit(&mut self, commit: &Commit) -> sled::Result<()> {
        let newest = commit.requests.iter().map(|row| row.time_unix_ms).max().unwrap_or(0);
        let oldest = newest.saturating_sub(REQUEST_AGE_MS_MAX);
        self.requests.make_room(commit.requests.len(), oldest)?;
        self.audit.make_room(commit.audit.len(), 0)?;
        let revision = self.revision.max(commit.revision);
        self.write_commit(commit, revision)?;
        self.make_durable()?;
        self.revision = revision;
        for row in &commit.orders {
            match row.is_standing() {
                true => self.standing.insert(row.id, row.clone()),
                false => self.standing.remove(&row.id),
            };
        }
        for id in &commit.forgotten {
            self.standing.remove(id);
        }
        self.write_sidecar()
    }

    /// The one transaction. Its closure may run again, so everything is encoded before.
    fn write_commit(&mut self, commit: &Commit, revision: u64) -> sled::Result<()> {
        let orders: Vec<_> = commit.orders.iter().map(|row| (row.id.0, row.encode())).collect();
        let audit = keyed(&mut self.audit, &commit.audit, |row| row.time_unix_ms);
        let requests = keyed(&mut self.requests, &commit.requests, |row| row.time_unix_ms);
        let Trees { edge, beat, order, audit: audit_tree, request, meta, .. } = &self.trees;
        let trees = (order, audit_tree, request, meta, edge, beat);
        let done = trees.transaction(|(order, audit_tree, request, meta, edge, beat)| {
            for (key, value) in &orders {
                order.insert(key, value.as_slice())?;
            }
            for (key, value) in &audit {
                audit_tree.insert(key, value.as_slice())?;
            }
            for (key, value) in &requests {
                request.insert(key, value.as_slice())?;
            }
            for id in &commit.forgotten {
                for tree in [order, edge, beat] {
                    tree.remove(&id.0)?;
                }
            }
            meta.insert(REVISION_KEY, &revision.to_be_bytes())?;
            Ok(())
        });
        done.map_err(|error: TransactionError<Infallible>| match error {
            TransactionError::Storage(error) => error,
            TransactionError::Abort(never) => match never {},
        })?;
        self.audit.added(commit.audit.len());
        self.requests.added(commit.requests.len());
        Ok(())
    }

    fn write_rows(&self, edges: &[EdgeRow], beats: &[BeatRow]) -> sled::Result<()> {
        trees::write(&self.trees.edge, edges.iter().map(|row| (row.id.0, row.encode())))?;
        trees::write(&self.trees.beat, beats.iter().map(|row| (row.id.0, row.encode())))?;
        self.trees.db.flush().map(drop)
    }

    fn write_audit(&mut self, audit: &[AuditRow]) -> sled::Result<()> {
        for rows in audit.chunks(BATCH_ROWS) {
            self.audit.make_room(rows.len(), 0)?;
            let mut batch = sled::Batch::default();
            for (key, value) in keyed(&mut self.audit, rows, |row| row.time_unix_ms) {
                batch.insert(&key, value);
            }
            self.audit.tree.apply_batch(batch)?;
            self.audit.added(rows.len());
        }
        self.trees.db.flush().map(drop)
    }

    /// A standing order stays whoever says otherwise: only a commit takes one away.
    fn forget(&self, edges: &[EdgeId]) -> sled::Result<()> {
        for ids in edges.chunks(BATCH_ROWS) {
            let all = batch_of(ids.iter());
            self.trees.edge.apply_batch(all.clone())?;
            self.trees.beat.apply_batch(all)?;
            let idle = ids.iter().filter(|id| !self.standing.contains_key(id));
            self.trees.order.apply_batch(batch_of(idle))?;
        }
        self.trees.db.flush().map(drop)
    }

    fn make_durable(&self) -> sled::Result<()> {
        self.trees.db.flush()?;
        Ok(self.db_file.sync_all()?)
    }

    fn write_sidecar(&self) -> sled::Result<()> {
        Ok(sidecar::write(&self.dir, self.revision, self.standing.values())?)
    }
}

fn keyed<R: Record>(
    journal: &mut Journal,
    rows: &[R],
    time: impl Fn(&R) -> u64,
) -> Vec<([u8; 12], Vec<u8>)> {
    rows.iter().map(|row| (journal.key(time(row)), row.encode())).collect()
}

fn batch_of<'a>(ids: impl Iterator<Item = &'a EdgeId>) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for id in ids {
        batch.remove(&id.0);
    }
    batch
}

/// The store that [`open`](super::open) gives away: it fails once and for all, and owns the folder.
#[derive(Debug)]
pub(super) struct SledStore {
    embedded: Embedded,
    failed: Option<String>,
    // Dropped last: whoever waits for the folder must find sled's file closed.
    _folder: Folder,
}

impl SledStore {
    pub(super) fn new(embedded: Embedded, folder: Folder) -> Self {
        Self { embedded, failed: None, _folder: folder }
    }

    fn attempt(
        &mut self,
        step: impl FnOnce(&mut Embedded) -> sled::Result<()>,
    ) -> Result<(), StoreError> {
        if let Some(why) = &self.failed {
            return Err(StoreError(format!(
                "the store failed earlier: {why}; restart to reopen it"
            )));
        }
        let why = match contain(|| step(&mut self.embedded)) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => format!("sled panicked: {panic}"),
        };
        let why = format!("{}: {why}", self.embedded.dir.display());
        self.failed = Some(why.clone());
        Err(StoreError(why))
    }
}

impl Store for SledStore {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        self.attempt(|embedded| embedded.commit(commit))
    }

    fn write_rows(&mut self, edges: &[EdgeRow], beats: &[BeatRow]) -> Result<(), StoreError> {
        self.attempt(|embedded| embedded.write_rows(edges, beats))
    }

    fn write_audit(&mut self, audit: &[AuditRow]) -> Result<(), StoreError> {
        self.attempt(|embedded| embedded.write_audit(audit))
    }

    fn forget(&mut self, edges: &[EdgeId]) -> Result<(), StoreError> {
        self.attempt(|embedded| embedded.forget(edges))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.attempt(|embedded| embedded.make_durable())
    }
}
