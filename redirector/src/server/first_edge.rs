//! The wait of `/startupz` for edges: who looks, and how often.

use std::{sync::Arc, time::Duration};

use tidegate_control::{clock::Clock, fleet::Fleet};
use tokio::time::sleep;

use crate::ops::{Readiness, first_edge::FirstEdge};

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Begins to wait for at most `wait_max`; what the store remembers must be published already. The
/// readiness is told, at once where there is nothing to wait for.
pub(super) fn begin(wait_max: Duration, fleet: Fleet, clock: Clock, readiness: Arc<Readiness>) {
    let mut first_edge = FirstEdge::new(wait_max, is_any_known(&fleet));
    let mut look = move |fleet: &Fleet| {
        let here = first_edge.is_here(clock.now().monotonic, is_any_known(fleet));
        readiness.set_first_edge(here);
        here
    };
    if look(&fleet) {
        return;
    }
    tokio::spawn(async move {
        while !look(&fleet) {
            sleep(LOOK_EVERY).await;
        }
    });
}

fn is_any_known(fleet: &Fleet) -> bool {
    !fleet.published().fleet().edges.is_empty()
}
