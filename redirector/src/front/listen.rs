//! Bound listeners, and why one could not be had.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockFilter, SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

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

/// Drops what begins a connection (RFC 9293 section 3.5), a SYN without an ACK, and nothing else. In
/// the instructions of the kernel's classic BPF, on a TCP header.
const NO_SYN: [SockFilter; 5] = [
    // ld b [13]: the flags.
    SockFilter::new(0x30, 0, 0, 13),
    // and #SYN|ACK
    SockFilter::new(0x54, 0, 0, 0x12),
    // jeq #SYN, next, the one after
    SockFilter::new(0x15, 0, 1, 0x02),
    // ret #0: none of it.
    SockFilter::new(0x06, 0, 0, 0),
    // ret #-1: all of it.
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// From now on nobody begins a connection: the client tries again a second later, when it is refused
/// or finds a successor. Handshakes under way go on.
pub(super) fn refuse_newcomers(listener: &TcpListener) {
    // Where the system does not permit this (it is for everybody, but hardened kernels want
    // CAP_NET_ADMIN), a client may come in the moment of closing and be reset.
    let _ = SockRef::from(listener).attach_filter(&NO_SYN);
}

/// Finds out within two minutes that the other end has gone although nobody sends.
pub(crate) fn keepalive() -> TcpKeepalive {
    let pause = Duration::from_secs(30);
    TcpKeepalive::new().with_time(pause).with_interval(pause).with_retries(3)
}

/// A listener and its address, which tells the port where any free one was asked for.
pub(super) fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    try_listen(address).map_err(|source| BindError { address, source })
}

fn try_listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // Connections inherit it, so it costs no call for each of them.
    SockRef::from(&socket).set_tcp_keepalive(&keepalive())?;
    let listener = socket.listen(BACKLOG)?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}
