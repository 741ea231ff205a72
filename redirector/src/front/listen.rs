//! Bound listeners, and why one could not be had.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
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
