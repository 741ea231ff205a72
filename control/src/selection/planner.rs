//! Makes tables, and remembers between them what predictions need.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Pool, Row, Selection, Table,
    affinity::Follower,
    layout::Layout,
    ledger::History,
    memory::Memory,
    pool::{Standing, Tiers},
    score::Scale,
    tide::{JoinRates, Tide, late_intervals},
};
use crate::{
    cell::CellsByPlace,
    pick::{Door, Doors},
    snapshot::{EdgeView, FleetView},
};

/// Below this many joins a second the rate has no effect worth a new table.
const RATE_MIN: f64 = 0.01;

/// The one maker of [`Table`]s of a process.
#[derive(Debug)]
pub struct Planner {
    selection: Arc<Selection>,
    /// The edges of the last table; what follows is in their order.
    edges: Vec<Arc<EdgeView>>,
    cells: Arc<CellsByPlace>,
    doors: Arc<Doors>,
    memories: Vec<Memory>,
    /// The kind of each edge and what its last report is worth, at the last table.
    standings: Vec<(u32, Standing)>,
    /// How far the counts of `cells` had come at the last table; they may wrap around.
    handed: Vec<u32>,
    history: History,
    rates: JoinRates,
    layout: Arc<Layout>,
    planned: Option<Duration>,
    /// When the next edge becomes late.
    late_at: Duration,
    used: Arc<AtomicBool>,
    streams: Follower,
}

impl Planner {
    /// A planner that remembers nothing yet.
    #[must_use]
    pub fn new(selection: Arc<Selection>) -> Self {
        Self {
            history: History::new(selection.landing_delay),
            streams: Follower::new(&selection),
            selection,
            edges: Vec::new(),
            cells: Arc::default(),
            doors: Arc::default(),
            memories: Vec::new(),
            standings: Vec::new(),
            handed: Vec::new(),
            rates: JoinRates::default(),
            layout: Arc::default(),
            planned: None,
            late_at: Duration::MAX,
            used: Arc::default(),
        }
    }

    /// Whether a new table would differ from the last one although the fleet's view does not:
    /// because something was handed out, or because time has passed.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        self.used.load(Ordering::Relaxed) || self.rates.total() > RATE_MIN || now > self.late_at
    }

    /// A table of the fleet as it is now. To be called every 100 ms or so, with the newest view,
    /// whether or not that has changed: predictions age.
    pub fn plan(&mut self, fleet: &Arc<FleetView>, now: Duration) -> Table {
        self.used.store(false, Ordering::Relaxed);
        let changed = self.follow(fleet);
        let scale = Scale::of(&fleet.estimates);
        self.count(now);
        self.read(&changed, &scale, now);
        self.history.keep(now, &self.handed);
        let tide = Tide::of(&self.selection, fleet, &self.memories, &self.rates, scale, now);
        let rows = self.rows(&tide);
        let evidence = self.selection.failure_evidence.as_ref();
        let voted_out = evidence.map(|evidence| evidence.out(fleet)).unwrap_or_default();
        let tiers = self.sort(fleet, &voted_out);
        self.late_at = tide.late_at;
        self.planned = Some(now);
        let mut table = Table {
            selection: Arc::clone(&self.selection),
            at: now,
            rows,
            cells: Arc::clone(&self.cells),
            doors: Arc::clone(&self.doors),
            barred: (0..=self.cells.len() / 64).map(|_| AtomicU64::new(0)).collect(),
            layout: Arc::clone(&self.layout),
            pools: Vec::new(),
            voted_out,
            viewer_bps: scale.viewer_bps as f32,
            viewer_in_step: tide.viewer_in_step() as f32,
            redirectors: tide.redirectors as f32,
            used: Arc::clone(&self.used),
            affinity: self.streams.follow(fleet, now),
        };
        table.pools = self.pools(&table, &tiers, &tide);
        table
    }

    /// Brings what is remembered into the order of these edges. Returns the places of those whose
    /// view is another than in the last table.
    fn follow(&mut self, fleet: &FleetView) -> Vec<usize> {
        let edges = &fleet.edges;
        let mut unknown = Vec::new();
        let mut others = other_places(&self.edges, edges);
        let stays = |place: &usize| Arc::ptr_eq(&self.edges[*place].cell, &edges[*place].cell);
        if edges.len() != self.edges.len() || !others.iter().all(stays) {
            unknown = self.remap(edges);
            others = other_places(&self.edges, edges);
        }
        for place in &others {
            self.edges[*place] = Arc::clone(&edges[*place]);
        }
        unknown.append(&mut others);
        unknown
    }

    /// Moves what is remembered to other places. Returns the places of which nothing is.
    fn remap(&mut self, edges: &[Arc<EdgeView>]) -> Vec<usize> {
        let old_places = old_places(&self.edges, edges);
        self.history.remap(&old_places);
        let old_edges = std::mem::take(&mut self.edges);
        let mut old_memories = std::mem::take(&mut self.memories);
        let mut unknown = Vec::new();
        for (place, (old, edge)) in old_places.iter().zip(edges).enumerate() {
            let memory = old.and_then(|at| old_memories.get_mut(at)).map(std::mem::take);
            if memory.is_none() {
                unknown.push(place);
            }
            self.memories.push(memory.unwrap_or_default());
            let view = old.and_then(|at| old_edges.get(at)).unwrap_or(edge);
            self.edges.push(Arc::clone(view));
        }
        self.cells = Arc::new(CellsByPlace::of(edges.iter().map(|edge| &*edge.cell)));
        self.doors = Arc::new(Doors::of(edges.iter().map(|edge| Door::of(edge))));
        // Unlike any count, so that all cells are read.
        self.handed = self.cells.all_handed().map(|all| !(all as u32)).collect();
        unknown
    }

    /// Counts what was handed out since the last table, and how fast.
    fn count(&mut self, now: Duration) {
        for (place, (all, handed)) in self.cells.all_handed().zip(&mut self.handed).enumerate() {
            if all as u32 == *handed {
                continue;
            }
            *handed = all as u32;
            let memory = &mut self.memories[place];
            if memory.heard.is_some() {
                self.rates.count(memory.kind, all.saturating_sub(memory.handed));
            }
            memory.handed = all;
        }
        let since = self.planned.map(|planned| now.saturating_sub(planned));
        self.rates.pass(since.unwrap_or_default());
    }

    /// Takes in the views that have changed.
    fn read(&mut self, changed: &[usize], scale: &Scale, now: Duration) {
        let known = self.layout.kinds();
        let intervals = late_intervals(&self.selection);
        // Nobody but tables in use holds it, and those want the old one.
        let layout = Arc::make_mut(&mut self.layout);
        let mut other_doors = Vec::new();
        for &place in changed {
            let (edge, memory) = (&self.edges[place], &mut self.memories[place]);
            let door = Door::of(edge);
            if self.doors.of_place(place) != Some(&door) {
                other_doors.push((place, door));
            }
            let kind = layout.kind_of(edge, &door, memory.kind, &self.selection);
            memory.take_in(edge, kind, scale);
            memory.hear(edge, &self.history, (place, self.handed[place]), now);
            memory.expect(intervals);
        }
        if !other_doors.is_empty() {
            other_doors.sort_unstable_by_key(|(place, _)| *place);
            self.doors = Arc::new(self.doors.with(&other_doors));
        }
        if layout.is_overgrown(self.edges.len()) {
            let used = self.memories.iter_mut().map(|memory| &mut memory.kind);
            self.rates.remap(&layout.shrink(used));
            layout.arrange(&self.selection);
        } else if layout.kinds() != known || self.planned.is_none() {
            layout.arrange(&self.selection);
        }
    }

    /// What edges look like to picks, and what [`sort`](Self::sort) goes by: memories are large, so
    /// they are looked at once for both.
    fn rows(&mut self, tide: &Tide) -> Vec<Row> {
        self.standings.clear();
        let edges = self.memories.iter().zip(&self.handed);
        let seen = edges.map(|(memory, handed)| {
            self.standings.push((memory.kind, tide.standing(memory)));
            Row { handed: *handed, ..tide.row(memory) }
        });
        seen.collect()
    }

    /// The edges of each kind, in the order in which they are to be tried.
    fn sort(&self, fleet: &FleetView, voted_out: &[usize]) -> Vec<Tiers> {
        let mut tiers = vec![Tiers::default(); self.layout.kinds()];
        let standing = |place: usize, standing: Standing| match standing {
            Standing::Measured if voted_out.binary_search(&place).is_ok() => Standing::Late,
            other => other,
        };
        let mut place_in = |places: &[usize], tier: fn(&mut Tiers, Standing) -> &mut Vec<u32>| {
            for &place in places {
                let Some(&(kind, by_report)) = self.standings.get(place) else { continue };
                if let Some(kind) = tiers.get_mut(kind as usize) {
                    tier(kind, standing(place, by_report)).push(place as u32);
                }
            }
        };
        place_in(&fleet.eligible, Tiers::of_eligible);
        place_in(&fleet.fallback, Tiers::of_stand_in);
        tiers
    }

    fn pools(&self, table: &Table, tiers: &[Tiers], tide: &Tide) -> Vec<Pool> {
        let pool = |kinds: &Vec<u32>| {
            let mut all = Tiers::default();
            for kind in kinds {
                all.extend(&tiers[*kind as usize]);
            }
            let joins = self.rates.of(kinds) * tide.redirectors * tide.viewer_bps();
            Pool::of(all, table, joins)
        };
        self.layout.sets().iter().map(pool).collect()
    }
}

/// The places at which two lists of views differ, as far as both have them. What is behind the
/// views is not looked at: they lie all over the memory.
fn other_places(old: &[Arc<EdgeView>], new: &[Arc<EdgeView>]) -> Vec<usize> {
    let pairs = old.iter().zip(new).enumerate();
    pairs.filter(|(_, (old, new))| !Arc::ptr_eq(old, new)).map(|(place, _)| place).collect()
}

/// Where each edge was before; `None`: it is new, or comes back with nothing left of it.
fn old_places(old: &[Arc<EdgeView>], new: &[Arc<EdgeView>]) -> Vec<Option<usize>> {
    let by_id: HashMap<_, _> = old.iter().enumerate().map(|(at, edge)| (edge.id, at)).collect();
    let place = |edge: &Arc<EdgeView>| {
        by_id.get(&edge.id).copied().filter(|at| Arc::ptr_eq(&old[*at].cell, &edge.cell))
    };
    new.iter().map(place).collect()
}
