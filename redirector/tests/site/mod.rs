//! A front on a free loopback port, and a client that sends bytes as they are.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tidegate_redirector::front::{Duplex, Front, FrontFigures, Leaving, Limits, Routes, Services};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

/// Nothing on loopback takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A front that serves.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) figures: Arc<FrontFigures>,
    pub(crate) leaving: Leaving,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Site {
    pub(crate) fn start(routes: Routes, limits: Limits) -> Self {
        Self::serve(Services::new(routes), limits, Duration::ZERO)
    }

    pub(crate) fn serve(services: Services, limits: Limits, grace: Duration) -> Self {
        let front = Front::bind(&["127.0.0.1:0".parse().expect("an address")]).expect("a port");
        let (address, leaving) = (front.local_addrs()[0], front.leaving());
        let figures = Arc::<FrontFigures>::default();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { stopped.await.unwrap_or(()) };
        let running = front.run(services, limits, Arc::clone(&figures), stopped, grace);
        Self { address, figures, leaving, stop, running: tokio::spawn(running) }
    }

    /// Tells the front to stop; the task ends when it has.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        let _ = self.stop.send(());
        self.running
    }

    pub(crate) async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        Client::on(stream)
    }

    /// The first answer to `bytes` on a connection of its own.
    pub(crate) async fn ask(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client.reply().await.expect("an answer")
    }

    /// The answer to a GET of `target`.
    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await
    }

    /// One of the front's counts.
    pub(crate) fn count(&self, name: &str) -> u64 {
        count(&self.figures, name)
    }
}

/// One of a front's counts: an event of connections, a protocol, or a reason for a refusal.
pub(crate) fn count(figures: &FrontFigures, name: &str) -> u64 {
    let samples = [figures.connections(), figures.protocols(), figures.refused()].concat();
    samples.iter().find(|(code, _)| *code == name).expect("a known name").1
}

/// One connection.
pub(crate) struct Client<S = TcpStream>(pub(crate) BufReader<S>);

impl<S: Duplex> Client<S> {
    pub(crate) fn on(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("the front reads");
    }

    /// The next answer with its body; `None` where the connection ends instead.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        self.read(true).await
    }

    /// The next answer of those that have no body whatever they say.
    pub(crate) async fn reply_to_head(&mut self) -> Option<Reply> {
        self.read(false).await
    }

    async fn read(&mut self, with_body: bool) -> Option<Reply> {
        let mut reply = Reply { status: 0, headers: Vec::new(), body: String::new() };
        let status_line = self.line().await?;
        reply.status = status_line.split(' ').nth(1)?.parse().expect("a status");
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(": ") else { break };
            reply.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.filter(|_| with_body).unwrap_or(0)];
        self.0.read_exact(&mut body).await.expect("the whole body");
        reply.body = String::from_utf8(body).expect("text");
        Some(reply)
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("the front answers");
        (read.unwrap_or(0) > 0).then(|| line.trim_end().to_owned())
    }

    /// Waits until the front ends the connection; what it still sends is returned.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest);
        // A reset ends a connection as well.
        let _ = timeout(PATIENCE, read).await.expect("the front ends the connection");
        rest
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}
