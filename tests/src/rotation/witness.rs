//! Those who would see a lost heartbeat: an operator who watches the fleet, and clients.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tidegate_proto::admin::{
    Liveness, WatchFleetRequest, WatchFleetResponse, watch_fleet_response::Kind,
};
use tokio::{runtime::Runtime, sync::oneshot, time::timeout};
use tonic::Streaming;

use crate::{http, rpc, wait::SOON};

/// Between two questions of a client.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Follows one redirector's fleet until it is ended.
pub(super) struct Watch {
    end: oneshot::Sender<()>,
    thread: JoinHandle<Vec<String>>,
}

impl Watch {
    /// Returns once every edge was shown.
    pub(super) fn begin(admin: SocketAddr, edges: usize) -> Self {
        let (end, ended) = oneshot::channel();
        let (synced, is_synced) = std::sync::mpsc::sync_channel(1);
        let thread = thread::spawn(move || {
            let runtime = Runtime::new().expect("a runtime");
            runtime.block_on(async move {
                let mut client = rpc::connect(admin).await.expect("the admin API");
                let answer = client.watch_fleet(WatchFleetRequest {}).await.expect("a watch");
                let mut changes = answer.into_inner();
                let (shown, mut left) = snapshot(&mut changes).await;
                assert_eq!(shown, edges, "the watch shows every edge");
                let _ = synced.send(());
                follow(&mut changes, ended, &mut left).await;
                left
            })
        });
        is_synced.recv_timeout(SOON).expect("a watch that is in step");
        Self { end, thread }
    }

    /// Every edge that was seen in another state than UP, with that state.
    pub(super) fn end(self) -> Vec<String> {
        let _ = self.end.send(());
        self.thread.join().expect("a watch that ends")
    }
}

async fn snapshot(changes: &mut Streaming<WatchFleetResponse>) -> (usize, Vec<String>) {
    let (mut shown, mut left) = (0, Vec::new());
    loop {
        let change = timeout(SOON, changes.message()).await.expect("in time");
        let change = change.expect("a change").expect("a watch that goes on");
        if change.kind() == Kind::Synced {
            return (shown, left);
        }
        shown += 1;
        left.extend(not_up(&change));
    }
}

async fn follow(
    changes: &mut Streaming<WatchFleetResponse>,
    mut ended: oneshot::Receiver<()>,
    left: &mut Vec<String>,
) {
    loop {
        tokio::select! {
            _ = &mut ended => return,
            change = changes.message() => {
                let change = change.expect("a change").expect("a watch that goes on");
                left.extend(not_up(&change));
            }
        }
    }
}

fn not_up(change: &WatchFleetResponse) -> Option<String> {
    let edge = change.edge.as_ref()?;
    let gone = change.kind() == Kind::Removed;
    let state = if gone { "removed" } else { edge.liveness().as_str_name() };
    (gone || edge.liveness() != Liveness::Up).then(|| format!("{} {state}", edge.name))
}

/// What clients were told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// Redirects.
    pub(super) redirects: u64,
    /// Anything else.
    pub(super) others: u64,
}

/// A client of one redirector that asks again and again.
pub(super) struct Clients {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Told>,
}

impl Clients {
    pub(super) fn begin(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut told = Told::default();
            while !stopped.load(Ordering::Relaxed) {
                match http::get(address, "/live/cam").status {
                    302 => told.redirects += 1,
                    _ => told.others += 1,
                }
                thread::sleep(ASK_EVERY);
            }
            told
        });
        Self { stop, thread }
    }

    pub(super) fn end(self) -> Told {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a client that ends")
    }
}
