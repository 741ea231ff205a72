//! The way to an edge: its addresses, a connection, the handshake, and the client's `connect`.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use socket2::SockRef;
use tidegate_control::{pick::Picked, publish::Published};
use tidegate_proto::edge::Host;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::{
    clients::{figures::SpliceFault, rtmp::handshake_random},
    front::keepalive,
    rtmp::Dial,
};

/// For the addresses of a name and a connection to one of them.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// For the handshake with the edge.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// The most addresses of one name that are tried, so that each gets its share of the time.
const ADDRESSES_MAX: usize = 4;

/// An edge that has been told what the client wants.
pub(super) struct Dialled {
    pub(super) stream: TcpStream,
    /// What it has already said to the client.
    pub(super) said: Vec<u8>,
}

/// Reaches an edge and sends it `opening`, unless it is drained.
pub(super) async fn dial(
    picked: &Picked,
    opening: &[u8],
    published: &Published,
    own: &HashSet<(IpAddr, u16)>,
) -> Result<Dialled, SpliceFault> {
    let stream = timeout(CONNECT_MAX, connect(picked, own)).await.map_err(late)??;
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive());
    let edge = Edge { picked, published, stream };
    timeout(HANDSHAKE_MAX, edge.introduce(opening)).await.map_err(late)?
}

fn late(_: tokio::time::error::Elapsed) -> SpliceFault {
    SpliceFault::Timeout
}

async fn connect(picked: &Picked, own: &HashSet<(IpAddr, u16)>) -> Result<TcpStream, SpliceFault> {
    let mut addresses = addresses(&picked.edge.redirect_address, picked.port).await?;
    // A name may lead back here, and such a splice would feed itself.
    addresses.retain(|address| !own.contains(&(address.ip().to_canonical(), address.port())));
    addresses.truncate(ADDRESSES_MAX);
    let share = CONNECT_MAX / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut fault = SpliceFault::Unresolved;
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(_)) => fault = SpliceFault::Unreachable,
            Err(_) => fault = SpliceFault::Timeout,
        }
    }
    Err(fault)
}

async fn addresses(host: &Host, port: u16) -> Result<Vec<SocketAddr>, SpliceFault> {
    match host {
        Host::Address(address) => Ok(vec![SocketAddr::new(*address, port)]),
        Host::Name(name) => {
            let found = lookup_host((&**name, port)).await;
            found.map(Iterator::collect).map_err(|_| SpliceFault::Unresolved)
        }
    }
}

/// A connection to an edge.
struct Edge<'a> {
    picked: &'a Picked,
    published: &'a Published,
    stream: TcpStream,
}

impl Edge<'_> {
    /// The handshake, then `opening`.
    async fn introduce(mut self, opening: &[u8]) -> Result<Dialled, SpliceFault> {
        let mut dial = Dial::new(handshake_random());
        self.begin(&dial.take_output()).await?;
        let said = self.shake_hands(&mut dial).await?;
        self.stream.write_all(&dial.take_output()).await.map_err(broken)?;
        self.begin(opening).await?;
        Ok(Dialled { stream: self.stream, said })
    }

    /// Reads until the handshake is over.
    async fn shake_hands(&mut self, dial: &mut Dial) -> Result<Vec<u8>, SpliceFault> {
        let mut buffer = vec![0; 4_096];
        loop {
            let len = self.stream.read(&mut buffer).await.map_err(broken)?;
            if len == 0 {
                return Err(SpliceFault::Handshake);
            }
            let over = dial.feed(&buffer[..len]).map_err(|_| SpliceFault::Handshake)?;
            if let Some(said) = over {
                return Ok(said);
            }
        }
    }

    /// Sends `bytes` unless an order stands against the edge.
    async fn begin(&mut self, bytes: &[u8]) -> Result<(), SpliceFault> {
        loop {
            self.stream.writable().await.map_err(broken)?;
            if let Some(sent) = self.try_begin(bytes)? {
                return self.stream.write_all(&bytes[sent..]).await.map_err(broken);
            }
        }
    }

    /// Sends the first of `bytes`, all at once or not at all: `None` if the connection cannot take
    /// any now.
    ///
    /// The pick was made before the edge was dialled, and a drain may have been answered since. So
    /// the flag is looked at once more, and what follows at once is sent, under a snapshot's guard.
    /// An order sets the flag, publishes a new snapshot, and answers when nobody holds an older one.
    /// Whoever gets the new one here sees the flag; whoever gets an older one has sent before the
    /// answer is given. That is enough: an edge that has not been sent `connect` has no client, and
    /// what it has of a handshake ends when the connection is dropped.
    fn try_begin(&self, bytes: &[u8]) -> Result<Option<usize>, SpliceFault> {
        let _under_way = self.published.load();
        if self.picked.edge.cell.is_drained() {
            return Err(SpliceFault::Drained);
        }
        match self.stream.try_write(bytes) {
            Ok(sent) => Ok(Some(sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(broken(error)),
        }
    }
}

fn broken(_: io::Error) -> SpliceFault {
    SpliceFault::Unreachable
}
