//! A tree of rows in order of time that holds the newest and drops the rest.

/// The most rows that one batch writes or removes. One batch of 40,000 rows a second grew sled to
/// gigabytes within a minute; batches of 1,000 stay flat.
pub(super) const BATCH_ROWS: usize = 1_000;

/// Time in Unix milliseconds, then a counter that tells rows of one millisecond apart.
const KEY_LEN: usize = 8 + 4;

/// Rows in order of time, bounded by number.
#[derive(Debug)]
pub(super) struct Journal {
    pub tree: sled::Tree,
    len: usize,
    len_max: usize,
    next: u32,
}

impl Journal {
    /// Counts the rows of `tree` and finds a counter that none of them uses.
    pub(super) fn new(tree: sled::Tree, len_max: usize) -> sled::Result<Self> {
        let (mut len, mut next) = (0, 0_u32);
        for key in tree.iter().keys() {
            if let Some((_, counter)) = key?.split_last_chunk::<4>() {
                next = next.max(u32::from_be_bytes(*counter).wrapping_add(1));
            }
            len += 1;
        }
        Ok(Self { tree, len, len_max, next })
    }

    /// The key of the next row.
    pub(super) fn key(&mut self, time_unix_ms: u64) -> [u8; KEY_LEN] {
        let mut key = [0; KEY_LEN];
        key[..8].copy_from_slice(&time_unix_ms.to_be_bytes());
        key[8..].copy_from_slice(&self.next.to_be_bytes());
        self.next = self.next.wrapping_add(1);
        key
    }

    /// Removes rows older than `oldest_unix_ms` and as many of the oldest as `incoming` rows need,
    /// at most [`BATCH_ROWS`] a call.
    pub(super) fn make_room(&mut self, incoming: usize, oldest_unix_ms: u64) -> sled::Result<()> {
        let excess = (self.len + incoming).saturating_sub(self.len_max);
        let mut batch = sled::Batch::default();
        let mut removed = 0;
        for key in self.tree.iter().keys().take(BATCH_ROWS) {
            let key = key?;
            if removed >= excess && *key >= oldest_unix_ms.to_be_bytes()[..] {
                break;
            }
            batch.remove(key);
            removed += 1;
        }
        if removed > 0 {
            self.tree.apply_batch(batch)?;
            self.len -= removed;
        }
        Ok(())
    }

    /// Counts rows that were written under keys of [`key`](Self::key).
    pub(super) fn added(&mut self, rows: usize) {
        self.len += rows;
    }
}
