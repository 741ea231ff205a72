//! What a front hands its connections to, and what it says about each.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use ::http::Request;
use hyper::body::Incoming;
use ipnet::IpNet;
use tidegate_proto::edge::Scheme;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tower::util::BoxCloneSyncService;

use super::{places::Place, tls::Tls};

/// What answers the requests of a front. Each carries a [`Reached`] and a
/// [`Target`](super::Target) as extensions.
pub type Routes = BoxCloneSyncService<Request<Incoming>, warp::reply::Response, Infallible>;

/// What speaks RTMP with a client. Its future is dropped when the connection is to end at once.
pub type RtmpService = BoxCloneSyncService<RtmpConnection, (), Infallible>;

/// How a client reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Who is at the other end, or whom a trusted proxy names in a PROXY header; IPv4 never in its
    /// IPv6 form.
    pub peer: IpAddr,
    /// The listener's port.
    pub port: u16,
    /// What is spoken: `http`, `https`, `rtmp` or `rtmps`.
    pub scheme: Scheme,
}

/// What serves the connections of a front, by what is spoken on them.
#[derive(Clone)]
pub struct Services {
    /// HTTP/1.1, plain or inside TLS.
    pub http: Routes,
    /// RTMP, plain or inside TLS; none: such connections are closed.
    pub rtmp: Option<RtmpService>,
    /// The certificate; none: connections that begin with a TLS handshake are closed.
    pub tls: Option<Arc<Tls>>,
    /// Proxies whose PROXY header is believed.
    pub trusted_proxies: Arc<[IpNet]>,
}

impl Services {
    /// Plain HTTP and nothing else; proxies are not believed.
    #[must_use]
    pub fn new(http: Routes) -> Self {
        Self { http, rtmp: None, tls: None, trusted_proxies: Arc::new([]) }
    }

    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

/// A client's connection on which the first byte was RTMP's; nothing of it is taken away.
pub struct RtmpConnection {
    /// The bytes, in the clear.
    pub stream: Box<dyn Duplex>,
    /// How the client came; the scheme is `rtmp` or `rtmps`.
    pub reached: Reached,
    /// True once the front stops.
    pub stopping: watch::Receiver<bool>,
    /// Its place among the connections, which it may lose while it waits for the client.
    pub place: Place,
}

/// Both directions of a connection, whatever carries them.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A response's extension that says: the request's body was read to its end, so another request
/// may follow on the connection. Without it a request with a body is the last.
#[derive(Debug, Clone, Copy)]
pub struct BodyRead;

/// A response's extension that says: its session lives in this process, and clients look for it on
/// the same connection. A front that leaves does not end that.
#[derive(Debug, Clone, Copy)]
pub struct SessionGoesOn;
