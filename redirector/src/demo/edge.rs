//! One edge of the demo: a stand-in for a media server, and the agent beside it.

use std::{
    collections::HashMap,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tidegate_agent::{EdgeHandle, EdgeSender, Measurement, Target};
use tidegate_proto::{
    edge::{Capacity, Endpoint, Scheme},
    heartbeat::Load,
    key::SendKey,
};
use tokio::{net::TcpListener, task::JoinHandle};
use warp::{Filter, Reply, http::header};

use super::playlist;

/// A viewer fetches the playlist about every two seconds; after this long it has left.
const VIEWER_STAYS: Duration = Duration::from_secs(6);
/// What one viewer of the test picture takes.
const VIEWER_BPS: u64 = 80_000;
const CAPACITY_VIEWERS: u32 = 100;

pub(super) struct DemoEdge {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    agent: EdgeHandle,
    server: JoinHandle<()>,
}

/// Who fetched the playlist lately.
#[derive(Default)]
struct Audience(Mutex<HashMap<SocketAddr, Instant>>);

impl Audience {
    fn saw(&self, viewer: SocketAddr) {
        let mut viewers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        viewers.insert(viewer, Instant::now());
    }

    fn count(&self) -> u32 {
        let mut viewers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        viewers.retain(|_, seen| seen.elapsed() < VIEWER_STAYS);
        u32::try_from(viewers.len()).unwrap_or(u32::MAX)
    }
}

impl DemoEdge {
    pub(super) async fn start(
        name: &'static str,
        picture: &'static [u8],
        state_dir: &Path,
        heartbeat: SocketAddr,
        key: &SendKey,
    ) -> Result<Self, String> {
        let listener = bind_as_before(&state_dir.join("port")).await.map_err(said)?;
        let address = listener.local_addr().map_err(said)?;
        let audience = Arc::new(Audience::default());
        let routes = routes(name, picture, Arc::clone(&audience));
        let server = tokio::spawn(warp::serve(routes).incoming(listener).run());
        let port = address.port().try_into().map_err(said)?;
        let agent = EdgeSender::new(name.parse().map_err(said)?)
            .state_dir(state_dir)
            .target(Target::at(heartbeat, key.clone()))
            .redirect_address(tidegate_proto::edge::Host::Address(address.ip()))
            .endpoint(Endpoint { scheme: Scheme::Http, port })
            .label("zone", "demo")
            .capacity(Capacity { viewers: Some(CAPACITY_VIEWERS), bandwidth_bps: None })
            .source(move || Ok(measure(&audience)))
            .spawn()
            .map_err(said)?;
        Ok(Self { name, address, agent, server })
    }

    pub(super) async fn stop(self) {
        self.agent.stop().await;
        self.server.abort();
    }
}

/// The port of the last run if it is free, because remembered edges are served before they are
/// heard again.
async fn bind_as_before(file: &Path) -> io::Result<TcpListener> {
    let before = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, before.unwrap_or(0))).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, listener.local_addr()?.port().to_string())?;
    Ok(listener)
}

fn said(error: impl ToString) -> String {
    error.to_string()
}

fn measure(audience: &Audience) -> Measurement {
    let viewers = audience.count();
    let load = Load {
        viewers: Some(viewers),
        bandwidth_out_bps: Some(u64::from(viewers) * VIEWER_BPS),
        ..Load::default()
    };
    Measurement::of_load(load)
}

/// Any playlist is the one stream there is, any segment the one picture.
fn routes(
    name: &'static str,
    picture: &'static [u8],
    audience: Arc<Audience>,
) -> impl Filter<Extract = (impl Reply,), Error = warp::Rejection> + Clone {
    let answer = move |path: warp::path::FullPath, viewer: Option<SocketAddr>| {
        let (kind, body) = match path.as_str().rsplit('.').next() {
            Some("m3u8") => {
                if let Some(viewer) = viewer {
                    audience.saw(viewer);
                }
                ("application/vnd.apple.mpegurl", playlist::live(name, unix_secs()).into_bytes())
            }
            Some("ts") => ("video/mp2t", picture.to_vec()),
            _ => return warp::http::StatusCode::NOT_FOUND.into_response(),
        };
        let reply = warp::reply::with_header(body, header::CONTENT_TYPE, kind);
        warp::reply::with_header(reply, header::ACCESS_CONTROL_ALLOW_ORIGIN, "*").into_response()
    };
    // CONNECT is kept out because it has no path, which warp's path filter cannot stand.
    let readable = warp::get().or(warp::head()).unify();
    readable.and(warp::path::full()).and(warp::addr::remote()).map(answer)
}

fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
