//! The clients' front: listeners, how many connections they may hold, what is spoken on each, and
//! how they end.
//!
//! A connection's first byte says what it speaks; HTTP goes through the guard, and both HTTP and
//! RTMP to services that the front knows nothing about. Nothing a client does ends the front:
//! errors of accepting are counted and waited out.

mod addresses;
mod connection;
mod figures;
mod first_byte;
pub mod guard;
mod http;
mod leaving;
mod limits;
mod linger;
mod listen;
mod places;
mod proxy;
mod replay;
mod services;
mod tls;

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use self::{addresses::Addresses, figures::Event, places::Places};
pub use self::{
    figures::FrontFigures,
    guard::Target,
    leaving::Leaving,
    limits::Limits,
    listen::BindError,
    places::Place,
    services::{
        BodyRead, Duplex, Reached, Routes, RtmpConnection, RtmpService, Services, SessionGoesOn,
    },
    tls::Tls,
};
pub(crate) use self::{linger::linger, listen::keepalive};

/// How long accepting rests after an error, so that an exhausted process gets air.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bound listeners that do not answer yet.
#[derive(Debug)]
pub struct Front {
    listeners: Vec<(TcpListener, SocketAddr)>,
    leaving: Leaving,
}

/// What every connection of a front needs.
struct Shared {
    services: Services,
    limits: Limits,
    figures: Arc<FrontFigures>,
    places: Arc<Places>,
    addresses: Arc<Addresses>,
    leaving: Leaving,
    stopping: watch::Receiver<bool>,
}

impl Shared {
    fn new(
        services: Services,
        limits: Limits,
        figures: Arc<FrontFigures>,
        leaving: Leaving,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let places = Places::new(limits.connections_max);
        let addresses = Arc::new(Addresses::new(limits.connections_per_address_max));
        Self { services, limits, figures, places, addresses, leaving, stopping }
    }
}

impl Front {
    /// Binds every address, or none. Needs a tokio runtime.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let bind = |address: &SocketAddr| listen::listen(*address);
        let listeners = addresses.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Self { listeners, leaving: Leaving::default() })
    }

    /// The bound addresses, in the order they were given.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(_, address)| *address).collect()
    }

    /// What makes it leave; begin some time before it is stopped.
    #[must_use]
    pub fn leaving(&self) -> Leaving {
        self.leaving.clone()
    }

    /// Serves until `stop` is ready: then lets nobody begin to connect, but takes in who had begun,
    /// finishes the requests under way for at most `grace`, and drops what is left. Dropping the
    /// future ends everything at once.
    pub async fn run(
        self,
        services: Services,
        limits: Limits,
        figures: Arc<FrontFigures>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let (stage, stopping) = watch::channel(false);
        let shared = Arc::new(Shared::new(services, limits, figures, self.leaving, stopping));
        let (close, closing) = watch::channel(false);
        let mut accepting = JoinSet::new();
        for (listener, address) in self.listeners {
            let shared = Arc::clone(&shared);
            accepting.spawn(accept(listener, address.port(), shared, closing.clone()));
        }
        drop(shared);
        tokio::select! {
            () = stop => {}
            // It never ends by itself, unless it panics; then there is nothing to wait for.
            Some(_) = accepting.join_next() => return,
        }
        close.send_replace(true);
        while accepting.join_next().await.is_some() {}
        stage.send_replace(true);
        // Every connection looks at the stage as long as it lives.
        let _ = timeout(grace, stage.closed()).await;
    }
}

/// Serves one connection as a listener would, whatever carries it, until it ends. `peer` and `port`
/// stand for the client's address and the listener's port.
pub async fn serve_one<S: Duplex + 'static>(
    stream: S,
    peer: IpAddr,
    port: u16,
    services: Services,
    limits: Limits,
    figures: Arc<FrontFigures>,
) {
    let (_stage, stopping) = watch::channel(false);
    let shared = Shared::new(services, limits, figures, Leaving::default(), stopping);
    match connection::admit(peer, &shared) {
        Ok(admitted) => connection::serve(stream, peer, port, admitted, &shared).await,
        Err(event) => shared.figures.count(event),
    }
}

/// Accepts until the listener is to close, then the last, and closes it.
async fn accept(
    listener: TcpListener,
    port: u16,
    shared: Arc<Shared>,
    mut closing: watch::Receiver<bool>,
) {
    tokio::select! {
        () = accept_all(&listener, port, &shared) => {}
        _ = closing.wait_for(|closing| *closing) => {}
    }
    // Closing resets what waits to be accepted, and whose handshake is not over yet.
    listen::refuse_newcomers(&listener);
    let _ = timeout(shared.limits.last_call, accept_all(&listener, port, &shared)).await;
}

async fn accept_all(listener: &TcpListener, port: u16, shared: &Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(stream, peer.ip().to_canonical(), port, shared),
            Err(error) => {
                shared.figures.count(Event::AcceptErrors);
                if !is_the_clients_fault(&error) {
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// A client that left before it was accepted must not slow down the others.
fn is_the_clients_fault(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Starts a connection's task if it is let in.
fn admit(stream: TcpStream, peer: IpAddr, port: u16, shared: &Arc<Shared>) {
    let admitted = match connection::admit(peer, shared) {
        Ok(admitted) => admitted,
        Err(event) => return shared.figures.count(event),
    };
    // Answers are small and whole; waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    let shared = Arc::clone(shared);
    tokio::spawn(async move { connection::serve(stream, peer, port, admitted, &shared).await });
}
