//! sled's trees: what each holds, how they are opened, read whole and filled anew.

use std::{
    any::Any,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    thread,
    time::Instant,
};

use super::{
    AuditRow, BeatRow, EdgeRow, Memory, OrderRow, RequestRow,
    folder::{LOCK_RETRY, sync_directory},
    journal::BATCH_ROWS,
    record::Record,
};

/// What edges said of themselves, by UUID.
const EDGE: &str = "edge";
/// When they were last heard, by UUID.
const BEAT: &str = "beat";
/// The operator's records, by UUID.
const ORDER: &str = "order";
/// Attempts to give orders, by time.
const AUDIT: &str = "audit";
/// Answers to requests with an id, by time.
const REQUEST: &str = "request";
/// [`SCHEMA_KEY`] and [`REVISION_KEY`].
const META: &str = "meta";

/// The layout's version, u32 big-endian.
const SCHEMA_KEY: &str = "schema";
/// The revision of the last order, u64 big-endian.
pub(super) const REVISION_KEY: &str = "revision";
/// The layout that this program reads and writes.
pub(super) const SCHEMA: u32 = 1;

const CACHE_BYTES: u64 = 32 << 20;
/// sled cleans its segments in the thread that flushes, so this is never switched off.
const FLUSH_EVERY_MS: u64 = 500;

/// sled's file with everything in it, inside the data directory.
pub(super) const DB_FILE: &str = "db";
/// sled's parameters, inside the data directory.
pub(super) const CONF_FILE: &str = "conf";

/// The open trees.
#[derive(Debug)]
pub(super) struct Trees {
    pub db: sled::Db,
    pub edge: sled::Tree,
    pub beat: sled::Tree,
    pub order: sled::Tree,
    pub audit: sled::Tree,
    pub request: sled::Tree,
    pub meta: sled::Tree,
}

/// Everything readable, and what was not.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub memory: Memory,
    /// The layout's version, once one was written.
    pub schema: Option<u32>,
    pub faults: Vec<String>,
}

impl Trees {
    /// Opens or creates the trees in `dir`, and makes new files' names durable. sled lets go of its
    /// file a moment after it was dropped, so a lock on it is waited for until `deadline`.
    pub(super) fn open(dir: &Path, deadline: Instant) -> sled::Result<Self> {
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(Some(FLUSH_EVERY_MS))
            .mode(sled::Mode::LowSpace);
        let db = loop {
            match config.open() {
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    thread::sleep(LOCK_RETRY);
                }
                other => break other?,
            }
        };
        let trees = Self {
            edge: db.open_tree(EDGE)?,
            beat: db.open_tree(BEAT)?,
            order: db.open_tree(ORDER)?,
            audit: db.open_tree(AUDIT)?,
            request: db.open_tree(REQUEST)?,
            meta: db.open_tree(META)?,
            db,
        };
        for file in [CONF_FILE, DB_FILE] {
            File::open(dir.join(file))?.sync_all()?;
        }
        sync_directory(dir)?;
        Ok(trees)
    }

    /// Reads every row of every tree. Nothing unreadable is passed over in silence: each is a
    /// fault, and a panic is the last one.
    pub(super) fn walk(&self) -> Found {
        let mut found = Found::default();
        let walked = contain(|| self.walk_into(&mut found));
        if let Err(panic) = walked {
            found.faults.push(format!("sled panicked: {panic}"));
        }
        found
    }

    fn walk_into(&self, found: &mut Found) {
        let Found { memory, schema, faults } = found;
        each(&self.order, ORDER, faults, |row: OrderRow| memory.orders.push(row));
        each(&self.edge, EDGE, faults, |row: EdgeRow| memory.edges.push(row));
        each(&self.beat, BEAT, faults, |row: BeatRow| memory.beats.push(row));
        each(&self.request, REQUEST, faults, |row: RequestRow| memory.requests.push(row));
        let mut attempts = 0_u64;
        each(&self.audit, AUDIT, faults, |_: AuditRow| attempts += 1);
        *schema = number(&self.meta, SCHEMA_KEY, faults).map(u32::from_be_bytes);
        let revision = number(&self.meta, REVISION_KEY, faults).map(u64::from_be_bytes);
        memory.revision = revision.unwrap_or(0);
        let empty = *memory == Memory::default() && attempts == 0;
        if schema.is_none() && !empty && faults.is_empty() {
            faults.push(format!("{META} does not say which version wrote the rows"));
        }
    }

    /// Writes all of `memory`, the revision last, so that an interrupted write is done again.
    pub(super) fn fill(&self, memory: &Memory) -> sled::Result<()> {
        write(&self.edge, memory.edges.iter().map(|row| (row.id.0, row.encode())))?;
        write(&self.beat, memory.beats.iter().map(|row| (row.id.0, row.encode())))?;
        write(&self.order, memory.orders.iter().map(|row| (row.id.0, row.encode())))?;
        self.meta.insert(SCHEMA_KEY, &SCHEMA.to_be_bytes())?;
        self.meta.insert(REVISION_KEY, &memory.revision.to_be_bytes())?;
        self.db.flush()?;
        Ok(())
    }
}

/// sled tells a lock that is held by these words alone.
pub(super) fn is_busy(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"))
}

/// Writes rows in batches of [`BATCH_ROWS`].
pub(super) fn write(
    tree: &sled::Tree,
    rows: impl Iterator<Item = ([u8; 16], Vec<u8>)>,
) -> sled::Result<()> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let mut batch = sled::Batch::default();
        for (key, value) in rows.by_ref().take(BATCH_ROWS) {
            batch.insert(&key, value);
        }
        tree.apply_batch(batch)?;
    }
    Ok(())
}

fn each<R: Record>(
    tree: &sled::Tree,
    name: &str,
    faults: &mut Vec<String>,
    mut take: impl FnMut(R),
) {
    for entry in tree {
        let (key, value) = match entry {
            Ok(entry) => entry,
            Err(error) => {
                faults.push(format!("tree {name}: {error}"));
                return;
            }
        };
        match R::decode(&key, &value) {
            Ok(row) => take(row),
            Err(error) => faults.push(format!("tree {name}, key {key:x?}: {error}")),
        }
    }
}

fn number<const N: usize>(
    meta: &sled::Tree,
    key: &str,
    faults: &mut Vec<String>,
) -> Option<[u8; N]> {
    match meta.get(key) {
        Ok(value) => match value.as_deref().map(TryInto::try_into) {
            Some(Ok(bytes)) => return Some(bytes),
            Some(Err(_)) => faults.push(format!("tree {META}, {key}: not {N} bytes")),
            None => {}
        },
        Err(error) => faults.push(format!("tree {META}, {key}: {error}")),
    }
    None
}

/// Runs a step of sled's, which panics on some damage, and makes that an error with its message.
/// What the step was working on is not used again after a panic, but to read what is left. It
/// needs `panic = "unwind"`, which is the default.
pub(super) fn contain<T>(step: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|panic| text(&*panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
