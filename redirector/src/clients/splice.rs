//! Splicing: an RTMP client whose program follows no redirect is connected to its edge from here.
//!
//! The edge is dialled, told what the client wants, and from then on bytes are moved. How many
//! splices there may be is bounded, because each costs two connections and all of its bandwidth.

mod copy;
mod dial;

use std::sync::{Arc, atomic::Ordering::Relaxed};

use tidegate_proto::edge::EdgeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::{
    copy::{Counts, First, copy},
    dial::{Dialled, dial},
};
use super::{Clients, figures::SpliceFault, judge::Splice};
use crate::{front::Duplex, rtmp::Handover};

/// The most edges that are tried for one client.
const EDGES_MAX: usize = 3;

/// The places for splices.
#[derive(Debug)]
pub struct Splices(Arc<Semaphore>);

impl Splices {
    /// Places for `splices_max`.
    #[must_use]
    pub fn new(splices_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(splices_max.min(Semaphore::MAX_PERMITS))))
    }

    pub(super) fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// No edge could be reached; the client has been told nothing.
pub(super) struct NoEdgeReached;

/// Connects the client to an edge and moves bytes until both have ended. Dropping the future ends
/// both connections.
pub(super) async fn splice(
    clients: &Clients,
    stream: &mut dyn Duplex,
    handover: Handover,
    mut splice: Splice<'_>,
) -> Result<(), NoEdgeReached> {
    let figures = &clients.rtmp;
    let Dialled { stream: edge, said } = reach(clients, &handover, &mut splice).await?;
    let _open = figures.open_splice();
    let (relay, behind) = handover.into_relay();
    let counts = Counts { to_client: &figures.bytes_to_clients, to_edge: &figures.bytes_to_edges };
    copy(stream, edge, First { to_client: said, to_edge: behind }, relay, counts).await;
    Ok(())
}

/// Dials one edge after the other, none of them twice.
async fn reach(
    clients: &Clients,
    handover: &Handover,
    splice: &mut Splice<'_>,
) -> Result<Dialled, NoEdgeReached> {
    let mut tried: Vec<EdgeId> = Vec::with_capacity(EDGES_MAX);
    loop {
        let opening = handover.opening(&splice.plan.app, &splice.plan.tc_url);
        let dialled =
            dial(&splice.plan.picked, &opening, &clients.published, &clients.rules.own).await;
        match dialled {
            Ok(dialled) => {
                clients.rtmp.bytes_to_edges.fetch_add(opening.len() as u64, Relaxed);
                return Ok(dialled);
            }
            Err(fault) => clients.rtmp.splice_faults.count(fault),
        }
        tried.push(splice.plan.picked.edge.id);
        if tried.len() == EDGES_MAX || !splice.plan_again(clients, &tried) {
            clients.rtmp.splice_faults.count(SpliceFault::GivenUp);
            return Err(NoEdgeReached);
        }
    }
}
