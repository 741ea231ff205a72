//! Where a client is led: to an edge, or where none can serve it to another place.

use rand::Rng;
use tidegate_control::{
    clock::Now,
    pick::{NoEdge, Picked, Wanted, pick},
    publish::Snapshot,
    snapshot::EdgeView,
};
use tidegate_proto::edge::{EdgeId, Scheme};

use super::{Question, Rules, overflow::Target};

/// Where a client is led.
pub(super) enum Lead<'a> {
    Edge(Picked),
    Overflow(&'a Target),
}

/// Picks an edge, else another place. A client that names every edge that could serve it is answered
/// as if it had named none: they may have come back, and nobody gets to another place by its word.
pub(super) fn lead<'a>(
    wanted: &Wanted<'_>,
    rules: &'a Rules,
    snapshot: &Snapshot,
    now: Now,
    random: &mut impl Rng,
) -> Result<Lead<'a>, NoEdge> {
    let mut picked = pick(snapshot, wanted, now.monotonic, random);
    // Edges that are full were not named.
    if picked.as_ref().is_err_and(|reason| *reason != NoEdge::Full) && !wanted.tried.is_empty() {
        let again = Wanted { tried: &[], ..*wanted };
        picked = pick(snapshot, &again, now.monotonic, random);
    }
    let reason = match picked {
        Ok(picked) => return Ok(Lead::Edge(picked)),
        Err(reason) => reason,
    };
    rules.overflow.draw(wanted.scheme, random).map(Lead::Overflow).ok_or(reason)
}

/// An HTTP client that is to be led, and what it is led by.
pub(super) struct Asking<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) rules: &'a Rules,
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Now,
    /// The edges that have failed it, by its own word.
    failed: Vec<EdgeId>,
}

impl<'a> Asking<'a> {
    /// Takes the client's word on edges that have failed it, which counts against them where the
    /// operator wants that.
    pub(super) fn new(
        question: &'a Question<'a>,
        failed: &[&EdgeView],
        rules: &'a Rules,
        snapshot: &'a Snapshot,
        now: Now,
    ) -> Self {
        if let Some(evidence) = &snapshot.table.selection().failure_evidence {
            for edge in failed {
                evidence.vote(question.client, edge, now.monotonic);
            }
        }
        let failed = failed.iter().map(|edge| edge.id).collect();
        Self { question, rules, snapshot, now, failed }
    }

    /// What the client needs. `scheme` `None`: any edge will do.
    pub(super) fn wanted<'w>(&'w self, scheme: Option<Scheme>, path: &'w str) -> Wanted<'w> {
        let Question { port, client, .. } = *self.question;
        Wanted { path, tried: &self.failed, ..self.rules.wanted(scheme, port, client) }
    }

    /// Leads the client, and remembers whom it may speak against.
    pub(super) fn lead(
        &self,
        wanted: &Wanted<'_>,
        random: &mut impl Rng,
    ) -> Result<Lead<'a>, NoEdge> {
        let led = lead(wanted, self.rules, self.snapshot, self.now, random);
        if let (Ok(Lead::Edge(picked)), Some(evidence)) =
            (&led, &self.snapshot.table.selection().failure_evidence)
        {
            evidence.sent(self.question.client, picked.edge.id, self.now.monotonic);
        }
        led
    }
}
