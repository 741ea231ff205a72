//! One watcher of the fleet: everything once, then what differs from what it was last sent.
//!
//! A watcher owes nothing to anybody: it compares whole views, so a slow reader skips the states in
//! between and nothing piles up for it.

use std::{sync::Arc, time::Duration};

use tidegate_proto::admin::{WatchFleetResponse, watch_fleet_response::Kind};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::{Instant, sleep_until},
};
use tonic::Status;

use crate::{
    fleet::Fleet,
    message::{edge_message, edge_message_at},
    publish::Snapshot,
    snapshot::{EdgeView, FleetView},
};

/// How often a watcher speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tempo {
    /// The time between two looks at the fleet; edges heard within it are sent together.
    pub(crate) pace: Duration,
    /// After this long without a word the stream says that it lives.
    pub(crate) keepalive: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self { pace: Duration::from_millis(250), keepalive: Duration::from_secs(15) }
    }
}

/// Messages made ahead of the reader.
const AHEAD: usize = 16;

/// What a watcher's stream carries.
pub(crate) type Item = Result<WatchFleetResponse, Status>;

/// Why a watch ended.
enum End {
    ReaderGone,
    Stopping,
}

struct Watcher {
    fleet: Fleet,
    stopping: watch::Receiver<bool>,
    tempo: Tempo,
    out: mpsc::Sender<Item>,
    sent_at: Instant,
}

/// Starts a watcher. It ends when its reader goes, or with UNAVAILABLE when the redirector stops.
pub(crate) fn start(
    fleet: Fleet,
    stopping: watch::Receiver<bool>,
    permit: OwnedSemaphorePermit,
    tempo: Tempo,
) -> mpsc::Receiver<Item> {
    let (out, items) = mpsc::channel(AHEAD);
    let watcher = Watcher { fleet, stopping, tempo, out, sent_at: Instant::now() };
    tokio::spawn(async move {
        watcher.run().await;
        drop(permit);
    });
    items
}

impl Watcher {
    async fn run(mut self) {
        if let Err(End::Stopping) = self.follow().await {
            let goodbye = Status::unavailable("the redirector is stopping; watch another one");
            // A reader that is gone by now needs no goodbye.
            let _ = self.out.send(Err(goodbye)).await;
        }
    }

    async fn follow(&mut self) -> Result<(), End> {
        let mut changes = self.fleet.changes();
        changes.mark_unchanged();
        let mut seen = self.fleet.published().copy();
        for edge in &seen.fleet.edges {
            self.send(Kind::Snapshot, Some(edge), &seen).await?;
        }
        self.send(Kind::Synced, None, &seen).await?;
        loop {
            let looked_at = Instant::now();
            if self.wait(&mut changes).await? {
                self.pause(looked_at + self.tempo.pace).await?;
                let now = self.fleet.published().copy();
                self.send_changes(&seen.fleet, &now).await?;
                seen = now;
            } else {
                self.send(Kind::Keepalive, None, &seen).await?;
            }
        }
    }

    /// Waits for a publication (true) or for the time of a keepalive (false).
    async fn wait(&mut self, changes: &mut watch::Receiver<u64>) -> Result<bool, End> {
        let keepalive_at = self.sent_at + self.tempo.keepalive;
        tokio::select! {
            biased;
            () = stopped(&mut self.stopping) => Err(End::Stopping),
            () = self.out.closed() => Err(End::ReaderGone),
            () = sleep_until(keepalive_at) => Ok(false),
            changed = changes.changed() => changed.map(|()| true).map_err(|_| End::Stopping),
        }
    }

    async fn pause(&mut self, until: Instant) -> Result<(), End> {
        tokio::select! {
            () = stopped(&mut self.stopping) => Err(End::Stopping),
            () = self.out.closed() => Err(End::ReaderGone),
            () = sleep_until(until) => Ok(()),
        }
    }

    async fn send_changes(&mut self, old: &FleetView, new: &Snapshot) -> Result<(), End> {
        for edge in old.edges.iter().filter(|edge| new.fleet.get(edge.id).is_none()) {
            self.send(Kind::Removed, Some(edge), new).await?;
        }
        for edge in new.fleet.edges.iter().filter(|edge| has_changed(old, edge)) {
            self.send(Kind::Updated, Some(edge), new).await?;
        }
        Ok(())
    }

    async fn send(
        &mut self,
        kind: Kind,
        edge: Option<&Arc<EdgeView>>,
        snapshot: &Snapshot,
    ) -> Result<(), End> {
        let fleet = &snapshot.fleet;
        let shown = |edge: &Arc<EdgeView>| {
            let place = fleet.by_id.get(&edge.id);
            place.and_then(|place| edge_message_at(snapshot, *place))
        };
        let message = WatchFleetResponse {
            kind: kind.into(),
            edge: edge.map(|edge| shown(edge).unwrap_or_else(|| edge_message(edge))),
            revision: fleet.order_revision,
        };
        tokio::select! {
            biased;
            () = stopped(&mut self.stopping) => Err(End::Stopping),
            sent = self.out.send(Ok(message)) => {
                self.sent_at = Instant::now();
                sent.map_err(|_| End::ReaderGone)
            }
        }
    }
}

/// The writer makes a new view of an edge exactly when something about it changes.
fn has_changed(old: &FleetView, edge: &Arc<EdgeView>) -> bool {
    old.get(edge.id).is_none_or(|before| !Arc::ptr_eq(before, edge))
}

/// Returns once the flag is set, or nobody is left to set it.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::admin::sample::{Obedient, edge};

    const SOON: Duration = Duration::from_secs(20);

    async fn start(fleet: &Obedient, tempo: Tempo) -> (mpsc::Receiver<Item>, watch::Sender<bool>) {
        let (stop, stopping) = watch::channel(false);
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("it is open");
        (super::start(fleet.handle.clone(), stopping, permit, tempo), stop)
    }

    async fn next(items: &mut mpsc::Receiver<Item>) -> WatchFleetResponse {
        let item = tokio::time::timeout(SOON, items.recv()).await.expect("soon");
        item.expect("the watch goes on").expect("no error")
    }

    #[tokio::test]
    async fn a_quiet_fleet_is_kept_alive() {
        let fleet = Obedient::start(Vec::new());
        let tempo = Tempo { keepalive: Duration::from_millis(5), ..Tempo::default() };
        let (mut items, _stop) = start(&fleet, tempo).await;
        for kind in [Kind::Synced, Kind::Keepalive, Kind::Keepalive] {
            assert_eq!(next(&mut items).await.kind(), kind);
        }
    }

    #[tokio::test]
    async fn a_slow_reader_gets_the_newest_state_and_no_backlog() {
        const CHANGES: u32 = 2_000;
        let fleet = Obedient::start(vec![edge(1, "a")]);
        let (mut items, _stop) =
            start(&fleet, Tempo { pace: Duration::ZERO, ..Tempo::default() }).await;
        assert_eq!(next(&mut items).await.kind(), Kind::Snapshot);
        assert_eq!(next(&mut items).await.kind(), Kind::Synced);
        for viewers in 1..=CHANGES {
            let mut changed = edge(1, "a");
            changed.load.viewers = Some(viewers);
            fleet.put(changed);
            tokio::task::yield_now().await;
        }
        for _at_most in 0..2 * AHEAD {
            let seen = next(&mut items).await.edge.and_then(|edge| edge.load);
            if seen.and_then(|load| load.viewers) == Some(CHANGES) {
                return;
            }
        }
        panic!("states that are long past are still sent");
    }
}
