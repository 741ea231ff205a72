//! Edges that exist only in a test: they send real sealed heartbeats over real UDP sockets.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tidegate_proto::{
    datagram::{DATAGRAM_LEN_MAX, Header, Kind, SessionId, WANT_ACK_BLOCKS_MIN, parse},
    edge::{EdgeId, Endpoint, Scheme},
    heartbeat::{Ack, Heartbeat},
    key::KeyId,
    seal::{EdgeKey, FleetKey, SessionKey},
};

/// How often live edges send. They announce ten seconds, so that no busy machine makes one silent.
const BEAT_EVERY: Duration = Duration::from_millis(200);
const ANNOUNCED: Duration = Duration::from_secs(10);

/// The wall clock in Unix milliseconds.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A socket of its own on loopback.
#[must_use]
pub fn loopback_socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("a UDP socket on loopback")
}

/// One edge and its session.
#[derive(Debug)]
pub struct SimulatedEdge {
    /// Its UUID.
    pub id: EdgeId,
    /// What it says next.
    pub heartbeat: Heartbeat,
    key_id: KeyId,
    key: EdgeKey,
    session: SessionId,
    session_key: SessionKey,
    sequence: u64,
}

impl SimulatedEdge {
    /// A new edge that serves HTTP on port 8080 of `NAME.example`, without viewers.
    #[must_use]
    pub fn new(fleet: &FleetKey, name: &str) -> Self {
        let id = EdgeId::random();
        let key = fleet.edge_key(id);
        let session = SessionId::new(unix_ms(), rand::random());
        let heartbeat = Heartbeat {
            name: Some(name.parse().expect("a valid name")),
            redirect_address: Some(format!("{name}.example").parse().expect("a valid host")),
            endpoints: vec![Endpoint {
                scheme: Scheme::Http,
                port: 8080.try_into().expect("a port"),
            }],
            load: tidegate_proto::heartbeat::Load { viewers: Some(0), ..Default::default() },
            interval: ANNOUNCED,
            ..Heartbeat::default()
        };
        let session_key = key.heartbeat_key(session);
        Self { id, heartbeat, key_id: fleet.id(), key, session, session_key, sequence: 0 }
    }

    /// The same edge, announcing where it really is.
    #[must_use]
    pub fn at(mut self, host: &str, endpoints: &[(Scheme, u16)]) -> Self {
        self.heartbeat.redirect_address = Some(host.parse().expect("a valid host"));
        let endpoint = |(scheme, port): &(Scheme, u16)| Endpoint {
            scheme: *scheme,
            port: (*port).try_into().expect("a port"),
        };
        self.heartbeat.endpoints = endpoints.iter().map(endpoint).collect();
        self
    }

    /// `NAME.example:8080`, as it stands in a Location.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.heartbeat.redirect_address.as_ref().expect("given at the start").for_url();
        format!("{host}:{}", self.heartbeat.endpoints[0].port)
    }

    /// Begins a new session, as a restarted agent does.
    pub fn restart(&mut self) {
        self.session = SessionId::new(unix_ms(), rand::random());
        self.session_key = self.key.heartbeat_key(self.session);
        self.sequence = 0;
    }

    /// The header of the next datagram.
    #[must_use]
    pub fn next_header(&mut self, kind: Kind) -> Header {
        self.sequence += 1;
        Header {
            kind,
            want_ack: false,
            key_id: self.key_id,
            sender: self.id.0,
            session: self.session,
            sent_at_unix_ms: unix_ms(),
            salt: rand::random(),
            sequence: self.sequence,
        }
    }

    /// Seals any payload under any header.
    #[must_use]
    pub fn seal(&self, header: &Header, payload: &[u8]) -> Vec<u8> {
        let blocks = if header.want_ack { WANT_ACK_BLOCKS_MIN } else { 1 };
        self.session_key.seal(header, payload, blocks).expect("a payload that fits")
    }

    /// The next heartbeat, sealed.
    #[must_use]
    pub fn next_datagram(&mut self) -> Vec<u8> {
        let header = self.next_header(Kind::Heartbeat);
        self.seal(&header, &self.heartbeat.encode())
    }

    /// The next heartbeat with this payload instead of a valid one.
    #[must_use]
    pub fn next_datagram_of(&mut self, payload: &[u8]) -> Vec<u8> {
        let header = self.next_header(Kind::Heartbeat);
        self.seal(&header, payload)
    }

    /// Sends one heartbeat.
    pub fn beat(&mut self, socket: &UdpSocket, to: SocketAddr) {
        let datagram = self.next_datagram();
        // A redirector that is away for a moment must not end the edge.
        let _ = socket.send_to(&datagram, to);
    }

    /// Sends one goodbye.
    pub fn say_goodbye(&mut self, socket: &UdpSocket, to: SocketAddr) {
        let header = self.next_header(Kind::Goodbye);
        let datagram = self.seal(&header, &self.heartbeat.encode());
        let _ = socket.send_to(&datagram, to);
    }

    /// Sends a heartbeat that asks for an ack and returns the ack, if one comes within `wait`.
    pub fn ask(&mut self, socket: &UdpSocket, to: SocketAddr, wait: Duration) -> Option<Ack> {
        let mut header = self.next_header(Kind::Heartbeat);
        header.want_ack = true;
        let datagram = self.seal(&header, &self.heartbeat.encode());
        socket.send_to(&datagram, to).ok()?;
        socket.set_read_timeout(Some(wait)).ok()?;
        let mut buffer = [0; DATAGRAM_LEN_MAX];
        let (len, from) = socket.recv_from(&mut buffer).ok()?;
        assert_eq!(from, to, "an ack comes from where the heartbeat went");
        assert!(len <= datagram.len(), "no ack outgrows its request");
        let answer = parse(&buffer[..len]).expect("an ack has the shape of a datagram");
        assert_eq!(answer.header.kind, Kind::Ack);
        let key = self.key.ack_key(self.session, answer.header.sender);
        let payload = key.open(&answer).expect("the ack is sealed for this session");
        Some(Ack::decode(&payload).expect("an ack"))
    }
}

/// Edges that go on sending, from a thread of their own, until they are dropped.
#[derive(Debug)]
pub struct LiveEdges {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    edges: Mutex<Vec<SimulatedEdge>>,
    to: Mutex<SocketAddr>,
    stop: AtomicBool,
}

impl LiveEdges {
    /// Begins to send to the heartbeat port `to`.
    #[must_use]
    pub fn start(edges: Vec<SimulatedEdge>, to: SocketAddr) -> Self {
        let stop = AtomicBool::new(false);
        let shared = Arc::new(Shared { edges: Mutex::new(edges), to: Mutex::new(to), stop });
        let sending = Arc::clone(&shared);
        let thread = Some(thread::spawn(move || send_until_stopped(&sending)));
        Self { shared, thread }
    }

    /// Sends to another port from now on.
    pub fn follow(&self, to: SocketAddr) {
        *lock(&self.shared.to) = to;
    }

    /// Looks at the edges, or changes what they say; nothing is sent meanwhile.
    pub fn with<T>(&self, change: impl FnOnce(&mut Vec<SimulatedEdge>) -> T) -> T {
        change(&mut lock(&self.shared.edges))
    }
}

impl Drop for LiveEdges {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn send_until_stopped(shared: &Shared) {
    let socket = loopback_socket();
    while !shared.stop.load(Ordering::Relaxed) {
        let to = *lock(&shared.to);
        for edge in lock(&shared.edges).iter_mut() {
            edge.beat(&socket, to);
        }
        thread::sleep(BEAT_EVERY);
    }
}

/// A test that failed elsewhere must not hide behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
