//! A media server in Rust that reports itself: no agent beside it, no file between.
//!
//! It sends an endless stream to whoever asks for one over HTTP, counts those viewers, and lets
//! `EdgeSender` tell every redirector. SIGUSR1 pauses it and ends the pause, SIGTERM says goodbye.
//!
//! ```sh
//! cargo run -p tidegate-agent --example media_server -- --targets loadbalancertargets.txt
//! ```

use std::{
    collections::BTreeMap,
    error::Error,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Parser;
use tidegate_agent::{EdgeHandle, EdgeSender, Measurement, source::Server, targets::TargetsFile};
use tidegate_proto::{
    edge::{Endpoint, Scheme},
    heartbeat::{Load, Trouble},
    ports_file,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    time::{interval, timeout},
};

const REQUEST_LEN_MAX: usize = 8 * 1_024;
const REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
const PIECE: [u8; 1_024] = [0; 1_024];
const PIECE_EVERY: Duration = Duration::from_millis(20);

/// Serves streams and reports their viewers to Tidegate.
#[derive(Debug, Parser)]
struct Args {
    /// Lines host,port,key; followed when it changes.
    #[arg(long)]
    targets: PathBuf,
    /// Keeps the edge's UUID.
    #[arg(long, default_value = "media-server-state")]
    state_dir: PathBuf,
    /// What operators call this edge.
    #[arg(long, default_value = "media-server")]
    name: String,
    /// Where viewers come.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to write the address that was bound, for scripts.
    #[arg(long)]
    ports_file: Option<PathBuf>,
}

/// Who watches what now. Held for moments, never across a wait.
#[derive(Debug, Clone, Default)]
struct Audience(Arc<Mutex<BTreeMap<String, u32>>>);

impl Audience {
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, u32>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts a viewer until what this returns is dropped, however the connection ends.
    fn admit(&self, stream: &str) -> Viewer {
        self.change(|streams| *streams.entry(stream.to_owned()).or_default() += 1);
        Viewer { audience: self.clone(), stream: stream.to_owned() }
    }

    /// What the next heartbeat says.
    fn measure(&self) -> Result<Measurement, Trouble> {
        let mut streams = BTreeMap::new();
        self.change(|now| streams.clone_from(now));
        let viewers = Some(streams.values().sum());
        let server = Server { version: Some("example/1.0".into()), uptime: None };
        let load = Load { viewers, ..Load::default() };
        Ok(Measurement { server, ..Measurement::of_load(load).with_streams(streams) })
    }
}

struct Viewer {
    audience: Audience,
    stream: String,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.audience.change(|streams| {
            let left = streams.get(&self.stream).copied().unwrap_or(0).saturating_sub(1);
            match left {
                0 => streams.remove(&self.stream),
                _ => streams.insert(self.stream.clone(), left),
            };
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let listener = TcpListener::bind(args.listen).await?;
    let address = listener.local_addr()?;
    let audience = Audience::default();
    let edge = report(&args, address, audience.clone())?;
    if let Some(path) = &args.ports_file {
        ports_file::write(path, &[("http_tcp", address.to_string())].into())?;
    }
    tokio::spawn(serve(listener, audience));
    obey_signals(&edge).await?;
    edge.stop().await;
    Ok(())
}

/// Begins to report. Everything Tidegate needs of a media server is in these lines.
fn report(
    args: &Args,
    address: SocketAddr,
    audience: Audience,
) -> Result<EdgeHandle, Box<dyn Error>> {
    let mut file = TargetsFile::new(args.targets.clone());
    let targets = file.read()?;
    let edge = EdgeSender::new(args.name.parse()?)
        .state_dir(&args.state_dir)
        .targets_file(file, targets)
        .endpoint(Endpoint { scheme: Scheme::Http, port: address.port().try_into()? })
        .source(move || audience.measure())
        .spawn()?;
    Ok(edge)
}

/// Returns when the server is to end.
async fn obey_signals(edge: &EdgeHandle) -> io::Result<()> {
    let mut pause = signal(SignalKind::user_defined1())?;
    let mut end = signal(SignalKind::terminate())?;
    let mut paused = false;
    loop {
        tokio::select! {
            _ = end.recv() => return Ok(()),
            _ = pause.recv() => {
                paused = !paused;
                if paused { edge.pause() } else { edge.unpause() }
            }
        }
    }
}

async fn serve(listener: TcpListener, audience: Audience) {
    loop {
        if let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(play(connection, audience.clone()));
        }
    }
}

/// One viewer, from its request until it leaves.
async fn play(mut connection: TcpStream, audience: Audience) -> io::Result<()> {
    let asked = timeout(REQUEST_TIME_MAX, read_request(&mut connection)).await??;
    let Some(stream) = asked else {
        return connection
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await;
    };
    let _viewer = audience.admit(&stream);
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n";
    connection.write_all(head).await?;
    let mut pieces = interval(PIECE_EVERY);
    loop {
        pieces.tick().await;
        connection.write_all(&PIECE).await?;
    }
}

/// The path of a GET, which is the stream's name; `None` for anything else.
async fn read_request(connection: &mut TcpStream) -> io::Result<Option<String>> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if request.len() >= REQUEST_LEN_MAX || connection.read_buf(&mut request).await? == 0 {
            return Ok(None);
        }
    }
    let line = String::from_utf8_lossy(&request);
    let path = line.strip_prefix("GET /").and_then(|rest| rest.split([' ', '?']).next());
    Ok(path.map(str::to_owned))
}
