//! Why the next client would be sent where it would be: the chance of every edge, and for those
//! without one the reason. It asks the questions that a pick asks, in the order of a pick, of all
//! edges instead of those it draws, and counts nothing.

mod chances;
mod reason;

use std::time::Duration;

use tidegate_proto::{admin::ExplainReason, stream::StreamHash};

use self::chances::Chances;
use super::{NoEdge, Search, Wanted, why};
use crate::{
    publish::Snapshot,
    selection::{reported_load, stream_of},
    snapshot::Mode,
};

/// What holds for every edge, and each of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The stream that the path names.
    pub stream: Option<StreamHash>,
    /// The name of the client's zone.
    pub zone: Option<String>,
    /// The path of the rule that fits.
    pub rule: Option<String>,
    /// Traffic over capacity of the edges that are drawn from first, see [`Pool::mean`].
    ///
    /// [`Pool::mean`]: crate::selection::Pool::mean
    pub mean_load: Option<f32>,
    /// Up to where they are filled, see [`Pool::level`].
    ///
    /// [`Pool::level`]: crate::selection::Pool::level
    pub level: Option<f32>,
    /// Why nobody would be chosen.
    pub no_edge: Option<NoEdge>,
    /// One for each edge of the fleet, in the fleet's order.
    pub edges: Vec<Explained>,
}

/// One edge as the next client would find it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explained {
    /// Its place in the fleet.
    pub place: usize,
    /// The chance that the client is sent to it, 0 to 1.
    pub chance: f64,
    /// Why; [`is_chosen`](Self::is_chosen) says whether it speaks for or against the edge.
    pub reason: ExplainReason,
    /// The share of its capacity in use by its last report; `None`: nobody knows.
    pub reported_load: Option<f64>,
    /// The same with the redirects that no report has confirmed; `None`: nobody knows.
    pub predicted_load: Option<f64>,
    /// How many of its redirects no report has confirmed; `None`: nobody knows.
    pub unconfirmed: Option<f64>,
    /// What it is reckoned to carry, in bits per second; 0: it is not in the table.
    pub capacity_bps: f64,
    /// Redirects until its confirmation window closes; not above 0: it is closed.
    pub window_room: f64,
    /// For LABEL_MISSING the label: its name and what it should be.
    pub label: Option<(String, String)>,
}

impl Explained {
    /// Whether the next client may be sent to it.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        self.chance > 0.0
    }
}

/// Explains what [`pick`](super::pick) would do for a client now.
#[must_use]
pub fn explain(snapshot: &Snapshot, wanted: &Wanted<'_>, now: Duration) -> Explanation {
    let search = Search::new(snapshot, wanted, now);
    let (fleet, table) = (search.fleet, search.table);
    let chances = Chances::of(&search);
    let selection = table.selection();
    let zone = wanted.client.and_then(|client| selection.zones.of(client));
    let first = table.pools(wanted).first().copied();
    Explanation {
        stream: stream_of(wanted.path),
        zone: zone.and_then(|zone| selection.zones.names().get(usize::from(zone.0)).cloned()),
        rule: selection.rule_of(wanted.path).map(|at| selection.rules[at].path.clone()),
        mean_load: first.filter(|pool| !pool.members().is_empty()).map(|pool| pool.mean()),
        level: first.filter(|pool| !pool.members().is_empty()).map(|pool| pool.level()),
        no_edge: chances
            .nobody
            .then(|| if chances.is_full { NoEdge::Full } else { why::no_edge(&search) }),
        edges: (0..fleet.edges.len())
            .filter_map(|place| explained(&search, &chances, u32::try_from(place).ok()?))
            .collect(),
    }
}

/// An edge's predicted load now, by its place in the fleet; `None`: it reports too little to tell.
#[must_use]
pub fn predicted_load(snapshot: &Snapshot, place: usize) -> Option<f64> {
    let fleet = &snapshot.fleet;
    let edge = fleet.edges.get(place)?;
    reported_load(&edge.load, &edge.capacity, &fleet.estimates)?;
    let live = snapshot.table.live_load(u32::try_from(place).ok()?);
    Some(f64::from(live)).filter(|load| load.is_finite())
}

fn explained(search: &Search<'_, '_>, chances: &Chances, place: u32) -> Option<Explained> {
    let (fleet, table) = (search.fleet, search.table);
    let edge = fleet.edges.get(place as usize)?;
    let row = table.row(place as usize).copied().unwrap_or_default();
    let reported_load = reported_load(&edge.load, &edge.capacity, &fleet.estimates);
    let live = f64::from(table.live_load(place));
    let known = reported_load.filter(|_| live.is_finite());
    // In PANIC the median stands for every edge's report, so nothing can be told from its own.
    let by_report = known.filter(|_| fleet.mode != Mode::Panic).map(|load| load / edge.weight);
    let step = f64::from(row.step);
    let reason = reason::reason(search, chances, place);
    let label = (reason == ExplainReason::LabelMissing)
        .then(|| reason::label_wanting(table.selection(), search.wanted.path, edge))
        .flatten()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some(Explained {
        place: place as usize,
        chance: chances.of_place(place).chance,
        reason,
        label,
        reported_load,
        predicted_load: known.map(|_| live),
        unconfirmed: by_report.filter(|_| step > 0.0).map(|load| ((live - load) / step).max(0.0)),
        capacity_bps: row.capacity_bps.into(),
        window_room: f64::from(table.room(place)).max(f64::MIN),
    })
}

#[cfg(test)]
mod tests;
