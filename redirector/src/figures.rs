//! What the data plane counts: atomics that the hot paths bump and that metrics read. Nothing here
//! decides anything, and no counter is ever kept per stranger.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use tidegate_proto::key::{KeyId, KeyRing};

use crate::gate::Reject;

/// A closed set of values that a counter may be split by.
pub trait Label: Copy + PartialEq + 'static {
    /// Every value, once.
    const ALL: &'static [Self];

    /// The value's place in [`ALL`](Self::ALL).
    fn index(self) -> usize {
        Self::ALL.iter().position(|value| *value == self).unwrap_or(Self::ALL.len())
    }

    /// The value as metrics show it.
    fn as_str(self) -> &'static str;
}

/// Declares a [`Label`]: what it is, its values and what each is called.
macro_rules! labels {
    (
        $(#[$doc:meta])* $vis:vis enum $name:ident;
        $($(#[$value_doc:meta])* $value:ident $code:literal,)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[$value_doc])* $value,)*
        }

        impl $crate::figures::Label for $name {
            const ALL: &'static [Self] = &[$(Self::$value),*];

            fn index(self) -> usize {
                self as usize
            }

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $code,)*
                }
            }
        }
    };
}
pub(crate) use labels;

/// How many of something are open now.
#[derive(Debug, Default)]
pub struct OpenNow(AtomicU64);

/// Something that counts as open while it lives.
#[derive(Debug)]
pub struct Open<'a>(&'a AtomicU64);

impl OpenNow {
    /// Counts one more for as long as what is returned lives.
    pub fn open(&self) -> Open<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Open(&self.0)
    }

    /// How many there are.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One counter for each value of a label.
#[derive(Debug)]
pub struct Counters<K> {
    cells: Box<[AtomicU64]>,
    label: PhantomData<fn(K)>,
}

impl<K: Label> Default for Counters<K> {
    fn default() -> Self {
        Self { cells: K::ALL.iter().map(|_| AtomicU64::new(0)).collect(), label: PhantomData }
    }
}

impl<K: Label> Counters<K> {
    /// Counts one.
    pub fn count(&self, label: K) {
        if let Some(cell) = self.cells.get(label.index()) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were counted under `label`.
    #[must_use]
    pub fn get(&self, label: K) -> u64 {
        self.cells.get(label.index()).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Every label's name and count, in the order of [`Label::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        K::ALL.iter().map(|label| (label.as_str(), self.get(*label)))
    }
}

/// What one fleet key was used for.
#[derive(Debug)]
pub struct KeyUse {
    /// Which key.
    pub id: KeyId,
    /// Datagrams that opened with it.
    pub opened: AtomicU64,
    /// When the last one came, in Unix milliseconds; 0: never.
    pub last_unix_ms: AtomicU64,
}

/// What the heartbeat path counts. Counters only grow; the rest is as of the last second.
#[derive(Debug, Default)]
pub struct IngestFigures {
    /// Datagrams received.
    pub received: AtomicU64,
    /// Heartbeats handed to the fleet.
    pub accepted: AtomicU64,
    /// Datagrams refused, by reason.
    pub rejected: Counters<Reject>,
    /// Acks sent.
    pub acks_sent: AtomicU64,
    /// Acks asked for but not sent: too long for the request, or the socket would not take them.
    pub acks_withheld: AtomicU64,
    /// Receives that failed for another reason than "nothing there".
    pub receive_errors: AtomicU64,
    /// Edges whose session is remembered.
    pub sessions: AtomicU64,
    /// Whether this machine's clock disagrees with most edges'.
    pub clock_suspect: AtomicBool,
    /// Whether a key in use came from text.
    pub weak_key: AtomicBool,
    /// The socket's receive buffer as the kernel counts it: twice what was asked for.
    pub receive_buffer_bytes: AtomicU64,
    /// The socket's inode, by which its drops are found in `/proc/net`; 0: none bound.
    pub socket_inode: AtomicU64,
    keys: ArcSwap<Vec<Arc<KeyUse>>>,
}

impl IngestFigures {
    /// The use of every key in the ring.
    #[must_use]
    pub fn keys(&self) -> Arc<Vec<Arc<KeyUse>>> {
        self.keys.load_full()
    }

    /// Follows a change of keys. Those that stay keep their counts.
    pub fn set_keys(&self, ring: &KeyRing) {
        let old = self.keys.load();
        let known = |id| old.iter().find(|key| key.id == id).map(Arc::clone);
        let fresh = |id| Arc::new(KeyUse { id, opened: 0.into(), last_unix_ms: 0.into() });
        let mut keys: Vec<_> =
            ring.ids().map(|id| known(id).unwrap_or_else(|| fresh(id))).collect();
        keys.sort_by_key(|key| key.id);
        self.keys.store(Arc::new(keys));
        self.weak_key.store(ring.is_weak(), Ordering::Relaxed);
    }

    /// Counts one datagram that opened with the key `id`.
    pub fn count_key(&self, id: KeyId, now_unix_ms: u64) {
        if let Some(key) = self.keys.load().iter().find(|key| key.id == id) {
            key.opened.fetch_add(1, Ordering::Relaxed);
            key.last_unix_ms.store(now_unix_ms, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tidegate_proto::seal::FleetKey;

    use super::*;

    #[test]
    fn a_key_that_stays_keeps_its_count_and_one_that_goes_is_dropped() {
        let (stays, goes) = (FleetKey::from_bytes([1; 32]), FleetKey::from_bytes([2; 32]));
        let (stays_id, goes_id) = (stays.id(), goes.id());
        let mut ring = KeyRing::default();
        ring.insert(stays).expect("no collision");
        let figures = IngestFigures::default();
        let mut both = ring.clone();
        both.insert(goes).expect("no collision");
        figures.set_keys(&both);
        figures.count_key(stays_id, 7);
        figures.count_key(goes_id, 7);
        figures.set_keys(&ring);
        figures.count_key(goes_id, 8);

        let keys = figures.keys();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].id, stays_id);
        assert_eq!(keys[0].opened.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn every_label_has_its_own_counter_and_name() {
        let counters = Counters::<Reject>::default();
        for (place, reason) in Reject::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            counters.count(*reason);
        }
        assert!(counters.iter().all(|(_, count)| count == 1));
        let names: HashSet<_> = counters.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Reject::ALL.len());
    }
}
