//! A client's whole connection, from its first byte to its last.

#[path = "../../../redirector/src/sample.rs"]
mod sample;

use std::{net::IpAddr, sync::Arc, time::Duration};

use tidegate_control::{clock::Clock, publish::Published};
use tidegate_redirector::{
    answer::Rules,
    clients::{Clients, RtmpLimits, http as clients},
    front::{FrontFigures, Limits, Services, serve_one},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    runtime::Builder,
    time::{Instant, sleep},
};
use url::Url;

use super::Verdict;

const EDGE: &str = "edge-1.example.com";
const EDGE_PORT: u16 = 8080;
/// Trusted as a proxy, so that a PROXY header is read where there is one.
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
/// A first byte and a head in time, the longest age, what is under way then, and the goodbye.
const LIFE_MAX: Duration = Duration::from_secs(5 + 5 + 60 + 5 + 1);

/// What a client sends, at once with an end, and in two pieces without one: the connection ends
/// within its limits, says HTTP or nothing, and leads to the edge or nowhere.
pub fn http(bytes: &[u8]) -> Verdict {
    let (first, rest) = bytes.split_at(bytes.len().min(1));
    let whole = exchange(&[bytes], true);
    let pieces = exchange(&[first, rest], false);
    check(&whole);
    check(&pieces);
    if whole.starts_with(b"HTTP/1.1 302 ") { Verdict::Accepted } else { Verdict::Refused }
}

/// Everything that comes back. The clock stands still while anybody has something to do.
fn exchange(pieces: &[&[u8]], ends: bool) -> Vec<u8> {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let (client, server) = duplex(64 * 1024);
        let figures = Arc::<FrontFigures>::default();
        let served = serve_one(server, PEER, 1935, services(), Limits::CLIENTS, figures);
        let started = Instant::now();
        let ((), answer) = tokio::join!(served, talk(client, pieces, ends));
        assert!(started.elapsed() <= LIFE_MAX, "it lasted {:?}", started.elapsed());
        answer
    })
}

async fn talk(client: DuplexStream, pieces: &[&[u8]], ends: bool) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(client);
    let send = async {
        for piece in pieces {
            // The other side may have left, which is its right.
            let _ = writer.write_all(piece).await;
            sleep(Duration::from_millis(1)).await;
        }
        if ends {
            let _ = writer.shutdown().await;
        }
    };
    let mut answer = Vec::new();
    let (_, read) = tokio::join!(send, reader.read_to_end(&mut answer));
    read.expect("a pipe in memory ends in order");
    answer
}

/// The routes of clients before a fleet of one edge.
fn services() -> Services {
    let edge = sample::edge("edge-1", EDGE, &format!("http:{EDGE_PORT}"));
    let clients = Clients::new(
        Arc::new(Published::showing(Arc::new(sample::fleet(vec![edge])))),
        Arc::new(Rules { server_info_xml: true, ..Rules::default() }),
        Clock::start(),
        // Without a limit the loop guard has nothing to set up for each input.
        RtmpLimits { redirects_per_second: 0, ..RtmpLimits::default() },
    );
    Services { trusted_proxies: Arc::new([PEER.into()]), ..Services::new(clients::routes(clients)) }
}

fn check(answer: &[u8]) {
    let text = String::from_utf8_lossy(answer);
    assert!(text.is_empty() || text.starts_with("HTTP/1."), "{text:?}");
    for line in text.split(['\r', '\n']) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.trim().eq_ignore_ascii_case("location") {
            check_location(value.trim());
        }
    }
}

fn check_location(location: &str) {
    let url = Url::parse(location).unwrap_or_else(|why| panic!("{location:?}: {why}"));
    let leads_to = (url.scheme(), url.host_str(), url.port());
    assert_eq!(leads_to, ("http", Some(EDGE), Some(EDGE_PORT)), "{location:?}");
    assert_eq!((url.username(), url.password()), ("", None), "{location:?}");
    assert!(url.path().starts_with('/') && !url.path().starts_with("//"), "{location:?}");
}
