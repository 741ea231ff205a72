//! The audience that watches already when a simulation begins: placed by the policy itself, with
//! perfect information, so that each policy starts from its own ideal.

use std::{sync::Arc, time::Duration};

use super::{
    audience::Audience,
    edge::{Condition, Edge},
    oracle,
    queue::{Micros, SECOND},
    redirector::{Asker, Redirector},
    setup::{Setup, Steering},
    viewers::{Viewer, Whereabouts, address_of},
};
use crate::selection::Selection;

/// Between two groups of viewers every edge reports.
const STEP: Micros = 2_500_000;
/// A group is this part of those that are still to come.
const GROUPS: usize = 100;
/// Reports before the first group: an edge must be known to be well.
const REPORTS_BEFORE: u64 = 8;

/// Places everybody who stands at the beginning.
pub(super) fn found(
    setup: &Setup,
    audience: &Audience,
    paths: &[String],
    edges: &mut [Edge],
) -> Vec<Viewer> {
    let standing = audience.standing() as usize;
    let mut viewers: Vec<_> =
        (0..standing).map(|index| Viewer::new(audience.traits(index, true))).collect();
    match setup.steering {
        Steering::Oracle => {
            for viewer in &mut viewers {
                settle(viewer, oracle::choose(edges, viewer.traits.bps), edges);
            }
        }
        Steering::By(policy) => {
            let selection = Selection { policy, redirectors: 1, ..setup.selection.clone() };
            place_by(selection, setup.seed, paths, edges, &mut viewers);
        }
    }
    edges.iter_mut().for_each(Edge::forget_joins);
    viewers
}

/// Group by group, with a report of every edge before each.
fn place_by(
    selection: Selection,
    seed: u64,
    paths: &[String],
    edges: &mut [Edge],
    viewers: &mut [Viewer],
) {
    let mut redirector = Redirector::new(Arc::new(selection), seed, u64::MAX);
    let mut at = SECOND;
    let mut placed = 0;
    for step in 0_u64.. {
        for edge in edges.iter_mut().filter(|edge| edge.condition == Condition::Up) {
            redirector.hear(&edge.report(Duration::from_micros(STEP), 1, false), at);
        }
        redirector.judge(at);
        redirector.publish(at);
        if step >= REPORTS_BEFORE {
            let group = ((viewers.len() - placed) / GROUPS).max(1);
            for (index, viewer) in viewers.iter_mut().enumerate().skip(placed).take(group) {
                let path = &paths[usize::from(viewer.traits.stream)];
                let asker = Asker { path, address: address_of(index), failed_by: None };
                settle(viewer, redirector.pick(&asker, at), edges);
            }
            placed += group;
            if placed >= viewers.len() {
                return;
            }
        }
        at += STEP;
    }
}

fn settle(viewer: &mut Viewer, place: Option<usize>, edges: &mut [Edge]) {
    viewer.has_watched = true;
    viewer.whereabouts = match place {
        Some(place) => {
            edges[place].admit(&viewer.traits);
            Whereabouts::On(place as u32)
        }
        None => Whereabouts::Gone,
    };
}
