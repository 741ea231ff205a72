//! What picks draw from.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tidegate_proto::edge::Scheme;

use super::{Affinity, Gist, Policy, Pool, Row, Selection, ZoneId, layout::Layout, row::ordered};
use crate::{
    cell::{CellsByPlace, Slot},
    pick::{Door, Doors, Wanted},
};

/// One fleet, prepared for picks. It belongs to the [`FleetView`](crate::snapshot::FleetView) it was
/// made of: places in it are places in that fleet's `edges`.
///
/// Loads are shares of an edge's capacity. *Live* ones count the redirects of this process up to
/// the moment they are asked for.
#[derive(Debug)]
pub struct Table {
    pub(crate) selection: Arc<Selection>,
    pub(super) at: Duration,
    pub(super) rows: Vec<Row>,
    /// Tables of the same edges share it.
    pub(super) cells: Arc<CellsByPlace>,
    pub(super) doors: Arc<Doors>,
    /// One bit for each edge that a pick found drained: it is not looked at again.
    pub(super) barred: Vec<AtomicU64>,
    pub(super) layout: Arc<Layout>,
    pub(super) pools: Vec<Pool>,
    /// Places of the edges that clients' votes keep out of its members, in order.
    pub(super) voted_out: Vec<usize>,
    pub(super) viewer_bps: f32,
    /// What one viewer is of what each redirect adds, where that is the same for all edges.
    pub(crate) viewer_in_step: f32,
    pub(super) redirectors: f32,
    pub(super) used: Arc<AtomicBool>,
    pub(crate) affinity: Option<Affinity>,
}

impl Table {
    /// The settings it was made by.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// When it was made, on the monotonic clock.
    #[must_use]
    pub fn made(&self) -> Duration {
        self.at
    }

    /// One viewer, in bits per second: the fleet's mean.
    #[must_use]
    pub fn viewer_bps(&self) -> f32 {
        self.viewer_bps
    }

    /// How many redirectors are taken to share the clients.
    #[must_use]
    pub fn redirectors(&self) -> f32 {
        self.redirectors
    }

    /// The places of the edges that were voted out when it was made, in order.
    pub(crate) fn voted_out(&self) -> &[usize] {
        &self.voted_out
    }

    /// What is known of the edge at a place.
    #[must_use]
    pub fn row(&self, place: usize) -> Option<&Row> {
        self.rows.get(place)
    }

    /// The row with the redirects since it was made.
    #[inline]
    fn live(&self, place: u32) -> Option<(&Row, f32)> {
        let row = self.rows.get(place as usize)?;
        Some((row, row.since(self.cell(place)?.count())))
    }

    /// What one viewer is of an edge's capacity.
    #[inline]
    fn viewer(&self, row: &Row) -> f32 {
        self.viewer_bps / row.capacity_bps
    }

    /// The cell of an edge of which this much is known.
    #[inline]
    pub(crate) fn cell_of(&self, gist: &Gist) -> Option<&Slot> {
        self.cells.find(gist.way)
    }

    /// What outlives the views of the edge at a place.
    #[inline]
    pub(crate) fn cell(&self, place: u32) -> Option<&Slot> {
        self.cells.get(place as usize)
    }

    /// How the edge at a place is reached.
    #[inline]
    pub(crate) fn door(&self, place: u32) -> Option<&Door> {
        self.doors.of_place(place as usize)
    }

    /// Counts one redirect to the edge of a cell.
    #[inline]
    pub(crate) fn hand_out(&self, cell: &Slot) {
        cell.hand_out();
        // Most picks find it noted, and so do not contend for it.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that an edge was found drained. Whether it is still is asked of its cell, always; this
    /// only spares others the way there until the next table.
    pub(crate) fn bar(&self, place: u32) {
        if let Some(word) = self.barred.get(place as usize / 64) {
            word.fetch_or(1 << (place % 64), Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn is_barred(&self, place: u32) -> bool {
        let word = self.barred.get(place as usize / 64);
        word.is_none_or(|word| word.load(Ordering::Relaxed) >> (place % 64) & 1 == 1)
    }

    /// An edge's predicted load now; infinite for a place that there is not.
    #[must_use]
    #[inline]
    pub fn live_load(&self, place: u32) -> f32 {
        self.live(place).map_or(f32::INFINITY, |(row, since)| row.load + since * row.step)
    }

    /// What an edge's predicted load would be with one viewer more.
    #[must_use]
    #[inline]
    pub fn load_with_one_more(&self, place: u32) -> f32 {
        let load = |(row, since): (&Row, f32)| row.load + since * row.step + self.viewer(row);
        self.live(place).map_or(f32::INFINITY, load)
    }

    /// Whether an edge of this predicted load is left alone as long as another place can serve.
    #[inline]
    pub(crate) fn is_above_overflow(&self, load: f32) -> bool {
        f64::from(load) > self.selection.overflow_at
    }

    /// Redirects until an edge's confirmation window closes; not above 0: it is closed.
    #[must_use]
    #[inline]
    pub fn room(&self, place: u32) -> f32 {
        self.live(place).map_or(f32::NEG_INFINITY, |(row, since)| row.room - since)
    }

    /// Whether an edge may be handed more without a report that confirms what it got.
    #[must_use]
    #[inline]
    pub fn window_open(&self, place: u32) -> bool {
        self.room(place) > 0.0
    }

    /// Whether an edge is to be heard still. This is asked at every pick, so that a stalled writer
    /// cannot keep a dead edge alive.
    #[inline]
    pub(crate) fn is_fresh(&self, place: u32, age_ms: i32) -> bool {
        self.rows.get(place as usize).is_some_and(|row| age_ms <= row.fresh_ms)
    }

    /// How old the table is, in milliseconds.
    #[inline]
    pub(crate) fn age_ms(&self, now: Duration) -> i32 {
        let age = now.saturating_sub(self.at);
        let ms = age.as_secs().saturating_mul(1_000).saturating_add(age.subsec_millis().into());
        i32::try_from(ms).unwrap_or(i32::MAX)
    }

    /// Orders edges by prediction, see [`Row::key`]. It only grows while the table stands.
    #[inline]
    pub(crate) fn prediction_key(&self, place: u32) -> u64 {
        self.live(place).map_or(u64::MAX, |(row, since)| row.key(since, self.viewer(row)))
    }

    /// Orders edges by reports alone, as `wowza`, `report` and `p2c` do.
    #[inline]
    pub(crate) fn report_key(&self, place: u32) -> u64 {
        self.live(place)
            .map_or(u64::MAX, |(row, since)| ordered(row.score + since * row.score_step))
    }

    /// Orders edges by what the policy goes by.
    #[inline]
    pub(crate) fn key(&self, place: u32) -> u64 {
        match self.selection.policy {
            Policy::Wowza | Policy::Report | Policy::P2c => self.report_key(place),
            Policy::Fill | Policy::Sticky | Policy::Least | Policy::Random => {
                self.prediction_key(place)
            }
        }
    }

    /// The pool of a rule by its place among the rules (`None`: no rule fits), of a zone (`None`:
    /// any), and of a scheme (`None`: any).
    #[must_use]
    #[inline]
    pub fn pool(
        &self,
        rule: Option<usize>,
        zone: Option<ZoneId>,
        scheme: Option<Scheme>,
    ) -> Option<&Pool> {
        self.pools.get(self.layout.pool(rule, zone, scheme)?)
    }

    /// The first thing found in the pools that a client's edge is looked for in, in this order: those
    /// [near](Self::near) it, then all.
    #[inline]
    pub(crate) fn find_in_pools<'a, T>(
        &'a self,
        wanted: &Wanted<'_>,
        mut find: impl FnMut(&'a Pool) -> Option<T>,
    ) -> Option<T> {
        let rule = self.selection.rule_of(wanted.path);
        let scheme = wanted.scheme;
        let zone = self.zone_of(wanted);
        let near = zone.and_then(|zone| self.near(rule, zone, scheme).find_map(&mut find));
        near.or_else(|| find(self.pool(rule, None, scheme)?))
    }

    /// Those pools in that order.
    pub(crate) fn pools(&self, wanted: &Wanted<'_>) -> Vec<&Pool> {
        let mut pools = Vec::new();
        self.find_in_pools(wanted, |pool| {
            pools.push(pool);
            None::<()>
        });
        pools
    }

    /// The client's zone, where there are any.
    #[inline]
    pub(crate) fn zone_of(&self, wanted: &Wanted<'_>) -> Option<ZoneId> {
        let zones = &self.selection.zones;
        if zones.is_empty() { None } else { wanted.client.and_then(|client| zones.of(client)) }
    }

    /// The pools of a zone and of those that stand in for it, as long as they have members and are
    /// not too full.
    pub(crate) fn near(
        &self,
        rule: Option<usize>,
        zone: ZoneId,
        scheme: Option<Scheme>,
    ) -> impl Iterator<Item = &Pool> {
        std::iter::once(zone)
            .chain(self.selection.zones.next(zone).iter().copied())
            .filter_map(move |zone| self.pool(rule, Some(zone), scheme))
            .filter(|pool| !pool.members().is_empty())
            .filter(|pool| f64::from(pool.mean()) <= self.selection.zone_spill)
    }
}
