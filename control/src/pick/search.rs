//! One client's search for an edge, and what must hold of whatever it finds.

use std::{sync::Arc, time::Duration};

use rand::{Rng, RngExt};
use tidegate_proto::{edge::Scheme, stream::StreamHash};

use super::{Chosen, Wanted, draw::Drawn};
use crate::{
    cell::Slot,
    publish::Snapshot,
    selection::{Pool, Table, stream_of},
    snapshot::{EdgeView, FleetView},
};

/// What one pick looks for, and where.
#[derive(Clone, Copy)]
pub(super) struct Search<'a, 'w> {
    pub(super) fleet: &'a FleetView,
    pub(super) table: &'a Table,
    pub(super) wanted: &'w Wanted<'w>,
    pub(super) age_ms: i32,
    pub(super) now: Duration,
    /// What the client asks for, where the table knows streams.
    pub(super) stream: Option<StreamHash>,
    /// Whether an edge that has its share of the stream is passed over.
    keeps_to_share: bool,
}

/// An edge that can serve the client.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) place: u32,
    cell: &'a Slot,
    pub(super) edge: &'a Arc<EdgeView>,
    pub(super) scheme: Scheme,
    pub(super) port: u16,
    /// Its predicted load when it was found.
    pub(super) load: f32,
}

impl<'a, 'w> Search<'a, 'w> {
    #[inline]
    pub(super) fn new(snapshot: &'a Snapshot, wanted: &'w Wanted<'_>, now: Duration) -> Self {
        let table = &*snapshot.table;
        let stream = table.affinity.as_ref().and_then(|_| stream_of(wanted.path));
        Self {
            fleet: &snapshot.fleet,
            table,
            wanted,
            age_ms: table.age_ms(now),
            now,
            stream,
            keeps_to_share: true,
        }
    }

    /// The same search without regard to shares of the stream.
    pub(super) fn beyond_shares(&self) -> Self {
        Self { keeps_to_share: false, ..*self }
    }

    /// Counts the redirect to what was found.
    #[inline]
    pub(super) fn hand_out(&self, found: &Candidate<'_>) {
        self.table.hand_out(found.cell);
        if let (Some(affinity), Some(stream)) = (&self.table.affinity, self.stream) {
            affinity.note(stream, found.place, self.now);
        }
    }

    #[inline]
    fn has_its_share(&self, place: u32) -> bool {
        match (&self.table.affinity, self.stream) {
            (Some(affinity), Some(stream)) => {
                !affinity.allows(stream, place, self.table.redirectors())
            }
            _ => false,
        }
    }

    /// Whether the edge at a place is to get nobody, by order or by its own word.
    #[inline]
    pub(super) fn is_closed(&self, place: u32) -> bool {
        self.table.cell(place).is_none_or(Slot::is_closed)
    }

    /// The edge at a place, if this client may be sent there now.
    #[inline]
    pub(super) fn chosen(&self, place: u32) -> Option<Candidate<'a>> {
        if !self.table.is_fresh(place, self.age_ms) {
            return None;
        }
        self.serving(Drawn::at(self.table, place)?)
    }

    /// The edge that was drawn from a pool, if this client may be sent there now.
    #[inline]
    pub(super) fn drawn(&self, pool: &Pool, drawn: Drawn<'a>) -> Option<Candidate<'a>> {
        if pool.is_fresh(self.age_ms) { self.serving(drawn) } else { self.chosen(drawn.place) }
    }

    /// An edge that is heard still, if this client may be sent there now. Every edge goes through
    /// here after it was drawn, however it was found; a drain relies on that. The edge itself is
    /// looked at for the few clients that have something against one: it is the memory that is
    /// furthest away.
    // By itself it would hand its result over through memory, in pieces that are read back as one:
    // a pick would wait half as long again for that.
    #[inline(always)]
    fn serving(&self, Drawn { place, cell, load }: Drawn<'a>) -> Option<Candidate<'a>> {
        let edge = self.fleet.edges.get(place as usize)?;
        if !self.wanted.tried.is_empty() && self.wanted.tried.contains(&edge.id) {
            return None;
        }
        if self.keeps_to_share && self.has_its_share(place) {
            return None;
        }
        let (scheme, port) = self.table.door(place)?.reach(edge, self.wanted)?;
        if cell.is_closed() {
            self.table.bar(place);
            return None;
        }
        Some(Candidate { place, cell, edge, scheme, port, load })
    }

    /// The best of these places that this client may be sent to; among equals each is kept with the
    /// same chance.
    pub(super) fn least(&self, places: &[u32], random: &mut impl Rng) -> Option<Candidate<'a>> {
        let mut best: Option<(u64, Candidate<'a>)> = None;
        let mut ties = 1u32;
        for &place in places {
            let key = self.table.key(place);
            match &best {
                Some((lowest, _)) if key > *lowest => continue,
                Some((lowest, _)) if key == *lowest => {
                    ties += 1;
                    if random.random_range(0..ties) > 0 {
                        continue;
                    }
                }
                _ => {}
            }
            let Some(candidate) = self.chosen(place) else { continue };
            if best.is_none_or(|(lowest, _)| key < lowest) {
                ties = 1;
            }
            best = Some((key, candidate));
        }
        // What was the best may have been drained while the others were looked at.
        best.and_then(|(_, candidate)| self.chosen(candidate.place))
    }

    /// Whether an edge of this load carries more than it is to be sent as long as another place can serve.
    #[inline]
    pub(super) fn is_full(&self, load: f32) -> bool {
        self.wanted.has_overflow && self.table.is_above_overflow(load)
    }
}

impl<'a> Candidate<'a> {
    #[inline]
    pub(super) fn shown(&self) -> Chosen<'a> {
        let Self { edge, scheme, port, load, .. } = *self;
        Chosen { edge, scheme, port, load }
    }
}
