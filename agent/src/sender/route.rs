//! The way to one target: its addresses by name, and a socket connected to one of them.

use std::{
    future::pending,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    net::{UdpSocket, lookup_host},
    task::JoinHandle,
    time::sleep_until,
};

/// Names are asked again after this.
const LOOKUP_EVERY: Duration = Duration::from_secs(60);
/// After a failed attempt, again after this.
const LOOKUP_RETRY: Duration = Duration::from_secs(5);

/// What came of waiting for a route.
pub(super) enum Event {
    /// The name is being asked.
    LookupBegun,
    /// The name was asked, and the way is open or could not be opened.
    Resolved(io::Result<()>),
    /// A datagram of this length came, or the system told why one of ours did not arrive.
    Heard(io::Result<usize>),
}

type Lookup = JoinHandle<io::Result<Vec<SocketAddr>>>;

/// Addresses and socket of one target. The socket is connected, so that the kernel drops what
/// comes from elsewhere and tells when nobody listens.
pub(super) struct Route {
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
    current: usize,
    socket: Option<UdpSocket>,
    lookup: Option<Lookup>,
    next_lookup: Instant,
}

impl Route {
    pub(super) fn new(host: &str, port: u16, now: Instant) -> Self {
        Self {
            host: host.to_owned(),
            port,
            addresses: Vec::new(),
            current: 0,
            socket: None,
            lookup: None,
            next_lookup: now,
        }
    }

    /// Where heartbeats go now.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.socket.as_ref().and(self.addresses.get(self.current)).copied()
    }

    /// The interface they leave by.
    pub(super) fn local_address(&self) -> Option<IpAddr> {
        let address = self.socket.as_ref()?.local_addr().ok()?.ip();
        (!address.is_unspecified()).then_some(address)
    }

    pub(super) fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// How many addresses there are to choose from.
    pub(super) fn choices(&self) -> usize {
        self.addresses.len()
    }

    /// Waits for whatever comes next: an answer of the resolver, which is taken, or a datagram,
    /// which is put into `buffer`. Cancel safe.
    pub(super) async fn next(&mut self, buffer: &mut [u8]) -> Event {
        let found = tokio::select! {
            biased;
            found = resolved(&mut self.lookup) => found,
            () = sleep_until(self.next_lookup.into()), if self.lookup.is_none() => {
                self.begin_lookup();
                return Event::LookupBegun;
            }
            heard = received(self.socket.as_ref(), buffer) => return Event::Heard(heard),
        };
        self.lookup = None;
        let taken = match found {
            Ok(addresses) => self.take(addresses).await,
            Err(error) => Err(error),
        };
        let pause = if taken.is_ok() { LOOKUP_EVERY } else { LOOKUP_RETRY };
        self.next_lookup = Instant::now() + pause;
        Event::Resolved(taken)
    }

    fn begin_lookup(&mut self) {
        let (host, port) = (self.host.clone(), self.port);
        self.lookup =
            Some(tokio::spawn(
                async move { Ok(lookup_host((host.as_str(), port)).await?.collect()) },
            ));
    }

    /// Keeps the current address if the name still has it.
    async fn take(&mut self, addresses: Vec<SocketAddr>) -> io::Result<()> {
        if addresses.is_empty() {
            return Err(io::Error::other("the name has no address"));
        }
        let before = self.address();
        let kept = before.and_then(|before| addresses.iter().position(|now| *now == before));
        self.addresses = addresses;
        self.current = kept.unwrap_or(0);
        if kept.is_none() { self.open().await } else { Ok(()) }
    }

    /// Binds a new source port.
    async fn open(&mut self) -> io::Result<()> {
        self.socket = None;
        let Some(address) = self.addresses.get(self.current).copied() else { return Ok(()) };
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(address).await?;
        self.socket = Some(socket);
        Ok(())
    }

    /// Another source port, and the name asked again soon.
    pub(super) async fn rebind(&mut self) -> io::Result<()> {
        self.next_lookup = self.next_lookup.min(Instant::now() + LOOKUP_RETRY);
        self.open().await
    }

    /// The same, and the next address if there are several.
    pub(super) async fn renew(&mut self) -> io::Result<()> {
        if !self.addresses.is_empty() {
            self.current = (self.current + 1) % self.addresses.len();
        }
        self.rebind().await
    }

    pub(super) async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Err(io::Error::other("the target has no address yet"));
        };
        socket.send(datagram).await.map(|_| ())
    }
}

/// Waits for the lookup under way; forever while there is none.
async fn resolved(lookup: &mut Option<Lookup>) -> io::Result<Vec<SocketAddr>> {
    match lookup {
        Some(lookup) => lookup.await.map_err(io::Error::other).flatten(),
        None => pending().await,
    }
}

/// Waits for a datagram; forever while there is no socket.
async fn received(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<usize> {
    match socket {
        Some(socket) => socket.recv(buffer).await,
        None => pending().await,
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        if let Some(lookup) = &self.lookup {
            lookup.abort();
        }
    }
}

/// The address of the interface that reaches `target`. Connecting a UDP socket sends nothing.
pub(crate) fn local_address_towards(target: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect(target).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}
