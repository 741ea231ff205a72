//! Clients over RTMP and RTMPT on a real front, and splices to edges that echo.

mod connection;
mod edge;
mod patience;
mod player;
#[path = "../../src/sample.rs"]
mod sample;
mod splice;
mod tunnel;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use player::Player;
use tidegate_control::{
    clock::Clock,
    publish::{Published, Snapshot},
    selection::{Policy, Selection},
    snapshot::EdgeView,
};
use tidegate_redirector::{
    answer::{
        Rules,
        apps::{App, Apps, Mode},
    },
    clients::{Clients, RtmpLimits, http, rtmp},
    figures::Label,
    front::{Front, FrontFigures, Leaving, Limits, Services},
};
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle, time::timeout};

/// What clients are told, without a front.
fn clients(fleet: Vec<EdgeView>, app: App, limits: RtmpLimits) -> Clients {
    let snapshot =
        Snapshot::of(Arc::new(sample::fleet(fleet)), Arc::new(least_loaded()), Duration::ZERO);
    let published = Published::holding(snapshot);
    let rules = Rules { apps: Apps::new(vec![app]), ..Rules::default() };
    Clients::new(Arc::new(published), Arc::new(rules), Clock::start(), limits)
}

/// The least loaded edge first, so that a test knows which one is tried.
fn least_loaded() -> Selection {
    Selection { policy: Policy::Least, ..Selection::default() }
}

/// An application whose clients are spliced.
fn spliced() -> App {
    App { mode: Mode::Splice, ..App::named("*") }
}

/// A front on a free loopback port that serves all that clients speak.
struct Site {
    address: SocketAddr,
    clients: Clients,
    leaving: Leaving,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Site {
    fn start(clients: Clients) -> Self {
        Self::start_within(Limits::CLIENTS, clients)
    }

    fn start_within(limits: Limits, clients: Clients) -> Self {
        let front = Front::bind(&["127.0.0.1:0".parse().expect("an address")]).expect("a port");
        let (address, leaving) = (front.local_addrs()[0], front.leaving());
        let (stop, stopped) = oneshot::channel();
        let services = Services {
            rtmp: Some(rtmp::service(clients.clone())),
            ..Services::new(http::routes(clients.clone()))
        };
        let running = front.run(
            services,
            limits,
            Arc::<FrontFigures>::default(),
            async move { stopped.await.unwrap_or(()) },
            player::PATIENCE,
        );
        Self { address, clients, leaving, stop, running: tokio::spawn(running) }
    }

    async fn connect(&self) -> Player<TcpStream> {
        Player(TcpStream::connect(self.address).await.expect("a connection"))
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        timeout(player::PATIENCE, self.running).await.expect("an end in time").expect("no panic");
    }
}

/// A count under a name.
fn count<K: Label>(counters: &tidegate_redirector::figures::Counters<K>, name: &str) -> u64 {
    counters.iter().find(|(label, _)| *label == name).expect("a known name").1
}
