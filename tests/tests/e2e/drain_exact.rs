//! From the answer to a drain until the undrain is ordered, not one client is sent to the edge.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http_body_util::Empty;
use hyper::{Request, body::Bytes, header};
use tidegate_proto::admin::{DrainEdgeRequest, UndrainEdgeRequest};
use tidegate_tests::{
    http::keep,
    programs::Redirector,
    rpc,
    scene::{Scene, edge_of},
    wait::SOON,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

const EDGES: [&str; 3] = ["edge-1", "edge-2", "edge-3"];
const CLIENTS: usize = 32;
const DRAINS: usize = 60;
/// How long a drain stands, and the edge serves between two of its drains.
const STANDS: Duration = Duration::from_millis(60);
const SERVES: Duration = Duration::from_millis(20);

/// One redirect, as the client saw it.
#[derive(Debug, Clone, Copy)]
struct Redirect {
    edge: usize,
    asked: Instant,
    answered: Instant,
}

/// A drain, from its answer to the moment before the undrain was sent.
#[derive(Debug, Clone, Copy)]
struct Drained {
    edge: usize,
    from: Instant,
    until: Instant,
}

impl Drained {
    fn covers(&self, redirect: &Redirect) -> bool {
        redirect.asked >= self.from && redirect.answered <= self.until
    }
}

#[test]
fn no_client_is_sent_to_an_edge_whose_drain_was_answered() {
    drains_are_exact(Redirector::start());
}

#[test]
fn the_same_holds_for_the_hosts_of_streams() {
    drains_are_exact(Redirector::start_with(&[("selection-policy", "sticky")]));
}

#[test]
fn the_same_holds_where_the_least_loaded_edge_is_chosen() {
    drains_are_exact(Redirector::start_with(&[("selection-policy", "least")]));
}

fn drains_are_exact(redirector: Redirector) {
    let scene = Scene::around(redirector, &EDGES);
    let ports = scene.redirector.ports();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let began = Instant::now();
    let (redirects, drains) = runtime.block_on(hammer(ports.client, ports.admin));
    let took = began.elapsed();

    let during = redirects.iter().filter(|r| drains.iter().any(|d| d.covers(r))).count();
    let wrong =
        redirects.iter().filter(|r| drains.iter().any(|d| d.edge == r.edge && d.covers(r))).count();
    eprintln!(
        "{} redirects in {took:.1?} ({:.0}/s) by {CLIENTS} clients; {} drains; {during} redirects \
         wholly inside a drain, {wrong} of them to the drained edge",
        redirects.len(),
        redirects.len() as f64 / took.as_secs_f64(),
        drains.len(),
    );
    assert_eq!(wrong, 0, "redirects to a drained edge");
    assert!(drains.len() >= 50, "{} drains", drains.len());
    for (place, name) in EDGES.iter().enumerate() {
        let served = redirects.iter().filter(|r| r.edge == place).count();
        assert!(served > 0, "{name} was never chosen, so its drains proved nothing");
    }
    let idle = drains.iter().filter(|d| !redirects.iter().any(|r| d.covers(r))).count();
    assert_eq!(idle, 0, "drains that no redirect was made in");
}

async fn hammer(client: SocketAddr, admin: SocketAddr) -> (Vec<Redirect>, Vec<Drained>) {
    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for viewer in 0..CLIENTS {
        let target = format!("/live/cam-{viewer}.m3u8");
        clients.spawn(ask_until(client, target, Arc::clone(&answers), Arc::clone(&stop)));
    }
    let drains = drain_in_turn(admin, &answers).await;
    stop.store(true, Ordering::Relaxed);
    let redirects = clients.join_all().await.into_iter().flatten().collect();
    (redirects, drains)
}

/// One client on one connection, who watches a stream of its own.
async fn ask_until(
    address: SocketAddr,
    target: String,
    answers: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> Vec<Redirect> {
    let mut sender = keep(address).await.expect("a connection");
    let mut redirects = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let request = Request::get(&target)
            .header(header::HOST, "redirector.example")
            .body(Empty::<Bytes>::new())
            .expect("a request");
        sender.ready().await.expect("an open connection");
        let asked = Instant::now();
        let response = sender.send_request(request).await.expect("an answer");
        let answered = Instant::now();
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let name = edge_of(location.unwrap_or_else(|| panic!("no Location: {response:?}")));
        let edge = EDGES.iter().position(|known| *known == name).expect("a known edge");
        redirects.push(Redirect { edge, asked, answered });
        answers.fetch_add(1, Ordering::Relaxed);
    }
    redirects
}

async fn drain_in_turn(admin: SocketAddr, answers: &AtomicUsize) -> Vec<Drained> {
    let mut operator = rpc::connect(admin).await.expect("a gRPC connection");
    let mut drains = Vec::new();
    for round in 0..DRAINS {
        let edge = round % EDGES.len();
        let name = EDGES[edge].to_owned();
        let drain = DrainEdgeRequest { edge: name.clone(), ..Default::default() };
        operator.drain_edge(drain).await.expect("drained");
        let from = Instant::now();
        let answered = answers.load(Ordering::Relaxed);
        sleep(STANDS).await;
        until_asked_and_answered(answers, answered).await;
        let until = Instant::now();
        let undrain = UndrainEdgeRequest { edge: name, ..Default::default() };
        operator.undrain_edge(undrain).await.expect("undrained");
        drains.push(Drained { edge, from, until });
        sleep(SERVES).await;
    }
    drains
}

/// Waits until some client has asked and been answered since `answered` were. As many answers as
/// there are clients may be to questions asked before.
async fn until_asked_and_answered(answers: &AtomicUsize, answered: usize) {
    let new_one = async {
        while answers.load(Ordering::Relaxed) <= answered + CLIENTS {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, new_one).await.expect("clients are answered while an edge is drained");
}
