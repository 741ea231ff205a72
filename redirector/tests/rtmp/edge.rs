//! An edge that takes RTMP clients over: it shakes hands, reads `connect`, says a word, and from
//! then on sends back what it gets.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

use crate::player::{hello, messages, reply};

/// What an edge says once it has read `connect`.
pub(crate) const WORD: &[u8] = b"edge says hello";

/// An edge and what it was told.
pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    pub(crate) met: Arc<Met>,
    accepting: JoinHandle<()>,
}

/// What became of an edge's connections.
pub(crate) struct Met {
    /// Each `connect`.
    pub(crate) connects: Mutex<Vec<Vec<u8>>>,
    /// One permit for each connection on which a handshake has begun.
    pub(crate) begun: Semaphore,
    /// One permit for each connection that has ended.
    pub(crate) ended: Semaphore,
    /// A handshake is answered for each permit.
    pub(crate) answers: Semaphore,
}

impl Edge {
    pub(crate) async fn start() -> Self {
        Self::answering(Semaphore::MAX_PERMITS).await
    }

    /// Answers so many handshakes, and further ones once there are permits.
    pub(crate) async fn answering(count: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let met = Arc::new(Met {
            connects: Mutex::default(),
            begun: Semaphore::new(0),
            ended: Semaphore::new(0),
            answers: Semaphore::new(count),
        });
        let serving = Arc::clone(&met);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let met = Arc::clone(&serving);
                tokio::spawn(async move {
                    // Whatever ends a connection, it has ended.
                    let _ = serve(stream, &met).await;
                    met.ended.add_permits(1);
                });
            }
        });
        Self { address, met, accepting }
    }

    pub(crate) fn connects(&self) -> Vec<Vec<u8>> {
        self.met.connects.lock().expect("no panic").clone()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, met: &Met) -> std::io::Result<()> {
    let mut asked = vec![0; 1 + 1536];
    stream.read_exact(&mut asked).await?;
    met.begun.add_permits(1);
    met.answers.acquire().await.expect("an open semaphore").forget();
    let mut answer = hello();
    answer.extend(&asked[1..]);
    stream.write_all(&answer).await?;
    stream.read_exact(&mut vec![0; reply().len()]).await?;
    let connect = read_message(&mut stream).await?;
    met.connects.lock().expect("no panic").push(connect);
    stream.write_all(WORD).await?;
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

/// One message, by its length, and not a byte more.
async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut chunks = vec![0; 12];
    stream.read_exact(&mut chunks).await?;
    let len = usize::from(chunks[5]) << 8 | usize::from(chunks[6]);
    let mut rest = vec![0; len + len.saturating_sub(1) / 128];
    stream.read_exact(&mut rest).await?;
    chunks.extend(rest);
    Ok(messages(&chunks).remove(0))
}
