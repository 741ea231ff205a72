//! A store without a disk, for tests: it keeps what it is given, and fails when told to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_proto::edge::EdgeId;

use super::{AuditRow, BeatRow, Commit, EdgeRow, Memory, Store, StoreError};

/// Keeps rows in memory. Clones share them, so a test keeps one and gives the other away.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    memory: Memory,
    audit: Vec<AuditRow>,
    failing: Option<String>,
}

impl MemoryStore {
    /// A store that remembers `memory`.
    #[must_use]
    pub fn new(memory: Memory) -> Self {
        let kept = Kept { memory, ..Kept::default() };
        Self { kept: Arc::new(Mutex::new(kept)) }
    }

    /// What would be there after a restart.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.lock().memory.clone()
    }

    /// Every attempt recorded so far, oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<AuditRow> {
        self.lock().audit.clone()
    }

    /// Makes every later call fail with `why`, and nothing is kept any more.
    pub fn fail(&self, why: &str) {
        self.lock().failing = Some(why.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working(&self) -> Result<MutexGuard<'_, Kept>, StoreError> {
        let kept = self.lock();
        match &kept.failing {
            Some(why) => Err(StoreError(why.clone())),
            None => Ok(kept),
        }
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let kept = &mut *self.working()?;
        let memory = &mut kept.memory;
        memory.revision = memory.revision.max(commit.revision);
        replace(&mut memory.orders, &commit.orders, |row| row.id);
        memory.edges.retain(|row| !commit.forgotten.contains(&row.id));
        memory.beats.retain(|row| !commit.forgotten.contains(&row.id));
        memory.orders.retain(|row| !commit.forgotten.contains(&row.id));
        memory.requests.extend_from_slice(&commit.requests);
        kept.audit.extend_from_slice(&commit.audit);
        Ok(())
    }

    fn write_rows(&mut self, edges: &[EdgeRow], beats: &[BeatRow]) -> Result<(), StoreError> {
        let memory = &mut self.working()?.memory;
        replace(&mut memory.edges, edges, |row| row.id);
        replace(&mut memory.beats, beats, |row| row.id);
        Ok(())
    }

    fn write_audit(&mut self, audit: &[AuditRow]) -> Result<(), StoreError> {
        self.working()?.audit.extend_from_slice(audit);
        Ok(())
    }

    fn forget(&mut self, edges: &[EdgeId]) -> Result<(), StoreError> {
        let memory = &mut self.working()?.memory;
        memory.edges.retain(|row| !edges.contains(&row.id));
        memory.beats.retain(|row| !edges.contains(&row.id));
        memory.orders.retain(|row| row.is_standing() || !edges.contains(&row.id));
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.working().map(drop)
    }
}

fn replace<R: Clone>(kept: &mut Vec<R>, rows: &[R], id: impl Fn(&R) -> EdgeId) {
    kept.retain(|old| rows.iter().all(|new| id(new) != id(old)));
    kept.extend_from_slice(rows);
}
