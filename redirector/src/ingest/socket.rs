//! The heartbeat socket: many datagrams a call, a large receive buffer, and answers that leave
//! from the address that was hit.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, SockAddr, Type};
use tokio::{io::Interest, net::UdpSocket};

/// What the kernel is asked to hold for us: some ten seconds of 100,000 edges, or a burst.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// No UDP payload is longer, not even several that the kernel hands over as one.
const SLOT_BYTES: usize = 65_535;

/// Why the heartbeat port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error(
    "heartbeat.listen: cannot receive heartbeats on udp {addr}: {source}; free the port, or choose another address"
)]
pub struct BindError {
    /// What was asked for.
    pub addr: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// The bound socket.
#[derive(Debug)]
pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    slots: Box<[u8]>,
    metas: [RecvMeta; BATCH_SIZE],
}

/// One datagram as it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) source: SocketAddr,
    /// The address of ours that it was sent to.
    pub(super) hit: Option<IpAddr>,
}

impl Socket {
    pub(super) fn bind(addr: SocketAddr) -> Result<Self, BindError> {
        Self::open(addr).map_err(|source| BindError { addr, source })
    }

    fn open(addr: SocketAddr) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            // `[::]` hears IPv4 too, whatever the system's default is.
            socket.set_only_v6(false)?;
        }
        enlarge(&socket);
        socket.bind(&SockAddr::from(addr))?;
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self {
            io: UdpSocket::from_std(socket.into())?,
            state,
            slots: vec![0; BATCH_SIZE * SLOT_BYTES].into(),
            metas: [RecvMeta::default(); BATCH_SIZE],
        })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// The receive buffer as the kernel counts it: twice what was asked for.
    pub(super) fn receive_buffer_bytes(&self) -> usize {
        rustix::net::sockopt::socket_recv_buffer_size(&self.io).unwrap_or(0)
    }

    /// The socket's inode, which names it in `/proc/net/udp`.
    pub(super) fn inode(&self) -> u64 {
        rustix::fs::fstat(&self.io).map_or(0, |stat| stat.st_ino)
    }

    /// Waits until something may have come.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Takes what has come, up to one batch, and shows each datagram. `WouldBlock`: nothing there.
    pub(super) fn receive(
        &mut self,
        mut each: impl FnMut(&Reply<'_>, Arrival<'_>),
    ) -> io::Result<()> {
        let Self { io, state, slots, metas } = self;
        let mut slices = slots.chunks_exact_mut(SLOT_BYTES).map(IoSliceMut::new);
        let mut slices: [_; BATCH_SIZE] =
            std::array::from_fn(|_| slices.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
        let received =
            io.try_io(Interest::READABLE, || state.recv((&*io).into(), &mut slices, metas))?;
        let reply = Reply { io, state };
        for (meta, slice) in metas.iter().zip(&slices).take(received) {
            for bytes in split(&slice[..meta.len], meta.stride) {
                each(&reply, Arrival { bytes, source: meta.addr, hit: meta.dst_ip });
            }
        }
        Ok(())
    }
}

/// The sending half, while arrivals are looked at.
pub(super) struct Reply<'a> {
    io: &'a UdpSocket,
    state: &'a UdpSocketState,
}

impl Reply<'_> {
    /// Answers an arrival from the address it was sent to. Whether the kernel took it.
    pub(super) fn send(&self, to: &Arrival<'_>, contents: &[u8]) -> bool {
        let transmit = Transmit {
            destination: to.source,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: to.hit,
        };
        self.state.try_send(self.io.into(), &transmit).is_ok()
    }
}

/// The datagrams of one slot: the kernel joins those of one sender that have the same length.
fn split(slot: &[u8], stride: usize) -> impl Iterator<Item = &[u8]> {
    let empty = slot.is_empty().then_some(slot);
    slot.chunks(stride.max(1)).chain(empty)
}

/// Root gets the buffer whatever the limit is; others get up to `net.core.rmem_max`.
fn enlarge(socket: &socket2::Socket) {
    use rustix::net::sockopt;
    if sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER_BYTES).is_ok() {
        return;
    }
    let set = sockopt::set_socket_recv_buffer_size(socket, RECEIVE_BUFFER_BYTES);
    // The kernel counts its own bookkeeping too and shows twice what was asked for.
    let got = sockopt::socket_recv_buffer_size(socket).unwrap_or(0) / 2;
    if set.is_err() || got < RECEIVE_BUFFER_BYTES {
        tracing::warn!(
            got_bytes = got,
            wanted_bytes = RECEIVE_BUFFER_BYTES,
            "the heartbeat socket's receive buffer is small, so bursts may be lost; raise it with \
             `sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}`"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(last: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], port))
    }

    async fn receive_some(socket: &mut Socket, wanted: usize) -> Vec<(Vec<u8>, Option<IpAddr>)> {
        let mut seen = Vec::new();
        for _ in 0..1_000 {
            socket.readable().await.expect("the socket is open");
            let _ = socket.receive(|reply, arrival| {
                reply.send(&arrival, b"answer");
                seen.push((arrival.bytes.to_vec(), arrival.hit));
            });
            if seen.len() >= wanted {
                break;
            }
        }
        seen
    }

    #[tokio::test]
    async fn an_answer_leaves_from_the_address_that_was_hit() {
        for any in ["0.0.0.0:0", "[::]:0"] {
            let mut socket = Socket::bind(any.parse().expect("an address")).expect("a free port");
            let hit = loopback(2, socket.local_addr().expect("bound").port());
            let edge = UdpSocket::bind(loopback(1, 0)).await.expect("a free port");
            edge.send_to(b"question", hit).await.expect("loopback takes it");
            let seen = receive_some(&mut socket, 1).await;
            assert_eq!(seen[0].0, b"question");
            assert_eq!(seen[0].1.map(|ip| ip.to_canonical()), Some(hit.ip()));
            let mut buffer = [0; 16];
            let (len, from) = edge.recv_from(&mut buffer).await.expect("an answer");
            assert_eq!((&buffer[..len], from), (&b"answer"[..], hit));
        }
    }

    #[tokio::test]
    async fn empty_and_long_datagrams_come_as_they_are() {
        let mut socket = Socket::bind(loopback(1, 0)).expect("a free port");
        let to = socket.local_addr().expect("bound");
        let edge = UdpSocket::bind(loopback(1, 0)).await.expect("a free port");
        for len in [0, 1, 1_169, 60_000] {
            edge.send_to(&vec![7; len], to).await.expect("loopback takes it");
        }
        let lens: Vec<_> =
            receive_some(&mut socket, 4).await.iter().map(|(bytes, _)| bytes.len()).collect();
        assert_eq!(lens, [0, 1, 1_169, 60_000]);
        assert!(socket.receive_buffer_bytes() > 0 && socket.inode() > 0);
    }

    #[tokio::test]
    async fn datagrams_that_the_kernel_joined_come_one_by_one() {
        let mut socket = Socket::bind(loopback(1, 0)).expect("a free port");
        let edge = Socket::bind(loopback(1, 0)).expect("a free port");
        let segment_size = (edge.state.max_gso_segments() > 1).then_some(144);
        let contents = if segment_size.is_some() { vec![7; 3 * 144 + 80] } else { vec![7; 144] };
        let destination = socket.local_addr().expect("bound");
        let joined =
            Transmit { destination, ecn: None, contents: &contents, segment_size, src_ip: None };
        edge.state.try_send((&edge.io).into(), &joined).expect("loopback takes it");
        let wanted = contents.len().div_ceil(144);
        let seen = receive_some(&mut socket, wanted).await;
        let lens: Vec<_> = seen.iter().map(|(bytes, _)| bytes.len()).collect();
        assert_eq!(lens, [144, 144, 144, 80][..wanted].to_vec());
    }

    #[test]
    fn a_slot_is_split_at_its_stride() {
        let lens = |slot: &[u8], stride| split(slot, stride).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(lens(&[0; 10], 4), [4, 4, 2]);
        assert_eq!(lens(&[0; 4], 4), [4]);
        assert_eq!(lens(&[], 0), [0]);
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let taken = Socket::bind(loopback(1, 0)).expect("a free port");
        let addr = taken.local_addr().expect("bound");
        let error = Socket::bind(addr).expect_err("it is taken").to_string();
        assert!(error.contains("heartbeat.listen") && error.contains(&addr.to_string()));
    }
}
