//! One connection from its accept to its end, encrypted or not, and what is known of its far side.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{self, BoxFuture},
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Sleep,
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{tls::Tls, tokens::encode_hex, watch::stopped};

/// Connections at the same time, handshakes included; more wait in the system's queue.
const CONNECTIONS_MAX: usize = 256;
/// A client that connects and says nothing would hold one of them.
const FIRST_BYTES_WITHIN: Duration = Duration::from_secs(5);
/// When accepting fails (no file descriptors are left, say), trying at once would spin.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The far side of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// `cert-` and the beginning of the SHA-256 of its certificate, if it showed a valid one.
    pub(crate) certificate: Option<String>,
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that is ready for HTTP/2.
pub(crate) struct Connection {
    io: Box<dyn Io>,
    peer: Peer,
    /// Completes when the connection must go.
    cut: BoxFuture<'static, ()>,
    /// Runs out unless the client begins to speak.
    silence: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

/// Accepts connections until nobody takes them any more. No error ends it.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    kill: watch::Receiver<bool>,
    out: mpsc::Sender<io::Result<Connection>>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut failing = false;
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
            Ok((listener.accept().await?, permit))
        };
        let accepted: io::Result<_> = tokio::select! {
            () = out.closed() => return,
            accepted = next => accepted,
        };
        match accepted {
            Ok(((stream, address), permit)) => {
                failing = false;
                let (tls, kill, out) = (tls.clone(), kill.clone(), out.clone());
                tokio::spawn(async move {
                    // A failed handshake has been answered by its TLS alert; whoever took
                    // connections may have stopped, then this one is closed.
                    if let Ok((io, certificate)) = open(tls, stream).await {
                        let peer = Peer { address, certificate };
                        let _ = out.send(Ok(Connection::new(io, peer, kill, permit))).await;
                    }
                });
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "the admin API cannot accept connections; it goes on trying");
                }
                failing = true;
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

async fn open(
    tls: Option<Arc<Tls>>,
    stream: TcpStream,
) -> io::Result<(Box<dyn Io>, Option<String>)> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok((Box::new(stream), None));
    };
    let stream = tls.accept(stream).await?;
    let certificate = fingerprint(&stream);
    Ok((Box::new(stream), certificate))
}

fn fingerprint(stream: &TlsStream<TcpStream>) -> Option<String> {
    let certificate = stream.get_ref().1.peer_certificates()?.first()?;
    Some(format!("cert-{}", encode_hex(&Sha256::digest(certificate)[..8])))
}

impl Connection {
    fn new(
        io: Box<dyn Io>,
        peer: Peer,
        mut kill: watch::Receiver<bool>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let cut = async move { stopped(&mut kill).await }.boxed();
        let silence = Box::pin(tokio::time::sleep(FIRST_BYTES_WITHIN));
        Self { io, peer, cut, silence: Some(silence), _permit: permit }
    }

    /// Whether the connection must go: it was told to, or it has said nothing for too long.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if self.cut.poll_unpin(context).is_ready() {
            // A completed future must not be polled again.
            self.cut = future::ready(()).boxed();
            return true;
        }
        self.silence.as_mut().is_some_and(|silence| silence.poll_unpin(context).is_ready())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    /// Fails once the connection must go: HTTP/2 always reads, so this ends it.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.silence = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
