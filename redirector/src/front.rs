//! The HTTP front: listeners, how many connections they may hold, and how they end.
//!
//! A connection goes through the guard to a service that the front knows nothing about. Nothing a
//! client does ends the front: errors of accepting are counted and waited out.

mod connection;
mod figures;
pub mod guard;

use std::{
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ::http::{Method, Request};
use hyper::body::Incoming;
use rustix::process::{Resource, getrlimit};
use tidegate_proto::edge::Scheme;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::util::BoxCloneSyncService;

pub use self::{figures::FrontFigures, guard::Target};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// How long accepting rests after an error, so that an exhausted process gets air.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers the requests of a front. Each carries a [`Reached`] and a [`Target`] as extensions.
pub type Routes = BoxCloneSyncService<Request<Incoming>, warp::reply::Response, Infallible>;

/// How a client reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Who is at the other end, IPv4 never in its IPv6 form.
    pub peer: IpAddr,
    /// The listener's port.
    pub port: u16,
    /// What is spoken.
    pub scheme: Scheme,
}

/// What serves the connections of a front, by what is spoken on them.
#[derive(Clone)]
pub struct Services {
    /// HTTP/1.1, plain or inside TLS.
    pub http: Routes,
    /// RTMP, plain or inside TLS; none: such connections are closed.
    pub rtmp: Option<RtmpService>,
}

/// What speaks RTMP with a client. Its future is dropped when the connection is to end at once.
pub type RtmpService = BoxCloneSyncService<RtmpConnection, (), Infallible>;

/// A client's connection on which the first byte was RTMP's; nothing of it is taken away.
pub struct RtmpConnection {
    /// The bytes, in the clear.
    pub stream: Box<dyn Duplex>,
    /// How the client came; the scheme is `rtmp` or `rtmps`.
    pub reached: Reached,
    /// True once the front stops.
    pub stopping: watch::Receiver<bool>,
}

/// Both directions of a connection, whatever carries them.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// What a front allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time; further ones are closed at once.
    pub connections_max: usize,
    /// For the whole head of a request, and for the wait between two requests.
    pub head_timeout: Duration,
    /// A connection is asked to end when it is this old.
    pub age_max: Duration,
    /// How long an ending connection may take for the request it is at.
    pub finish_timeout: Duration,
    /// The methods that pass.
    pub methods: &'static [Method],
}

impl Limits {
    /// The limits for clients.
    pub const CLIENTS: Self = Self {
        connections_max: 20_000,
        head_timeout: Duration::from_secs(5),
        age_max: Duration::from_secs(60),
        finish_timeout: Duration::from_secs(5),
        methods: &crate::answer::METHODS,
    };
    /// The limits for operators' tools.
    pub const OPS: Self =
        Self { connections_max: 256, methods: &[Method::GET, Method::HEAD], ..Self::CLIENTS };

    /// The same, with no more connections than three quarters of the files this process may open.
    #[must_use]
    pub fn within_open_files(self) -> Self {
        let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(open_files / 4 * 3).unwrap_or(usize::MAX).max(1);
        Self { connections_max: self.connections_max.min(most), ..self }
    }
}

/// A listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (tcp): {source}; {}", way_out(.source))]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop it, or choose another port (0 = any free one)"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE: grant it, or choose a \
             higher port"
        }
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has the address: choose one that `ip address` shows, or \
             0.0.0.0 for all"
        }
        _ => "choose another address",
    }
}

/// Bound listeners that do not answer yet.
#[derive(Debug)]
pub struct Front {
    listeners: Vec<(TcpListener, SocketAddr)>,
}

/// What every connection of a front needs.
struct Shared {
    services: Services,
    limits: Limits,
    figures: Arc<FrontFigures>,
    places: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Front {
    /// Binds every address, or none. Needs a tokio runtime.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, BindError> {
        let bind = |address: &SocketAddr| {
            listen(*address).map_err(|source| BindError { address: *address, source })
        };
        Ok(Self { listeners: addresses.iter().map(bind).collect::<Result<_, _>>()? })
    }

    /// The bound addresses, in the order they were given.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(_, address)| *address).collect()
    }

    /// Serves until `stop` is ready: then accepts no more, finishes the requests under way for
    /// at most `grace`, and drops what is left. Dropping the future ends everything at once.
    pub async fn run(
        self,
        services: Services,
        limits: Limits,
        figures: Arc<FrontFigures>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) {
        let (stage, stopping) = watch::channel(false);
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let shared =
            Arc::new(Shared { services, limits, figures, places: Arc::clone(&places), stopping });
        let mut accepting = JoinSet::new();
        for (listener, address) in self.listeners {
            accepting.spawn(accept(listener, address.port(), Arc::clone(&shared)));
        }
        tokio::select! {
            () = stop => {}
            // It never ends by itself, unless it panics; then there is nothing to wait for.
            Some(_) = accepting.join_next() => return,
        }
        accepting.shutdown().await;
        stage.send_replace(true);
        // Every place is free again once the last connection has ended.
        let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
        let _ = timeout(grace, places.acquire_many(all)).await;
    }
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

async fn accept(listener: TcpListener, port: u16, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(stream, peer.ip().to_canonical(), port, &shared),
            Err(error) => {
                shared.figures.accept_errors.add_one();
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

/// Starts a connection's task if there is a place; else the newest goes.
fn admit(stream: TcpStream, peer: IpAddr, port: u16, shared: &Arc<Shared>) {
    let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
        shared.figures.shed.add_one();
        return;
    };
    shared.figures.accepted.add_one();
    let reached = Reached { peer, port, scheme: Scheme::Http };
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let _open = shared.figures.open();
        connection::serve(stream, reached, &shared).await;
        drop(place);
    });
}
