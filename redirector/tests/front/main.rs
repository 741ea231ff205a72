//! The front under load and at its end, what is spoken on its connections, and the operations pages
//! on it.

mod bodies;
mod certificates;
mod first_byte;
mod leaving;
mod places;
mod proxy;
#[path = "../site/mod.rs"]
mod site;
mod tls;

use std::{
    convert::Infallible,
    net::TcpStream as StdStream,
    sync::Arc,
    time::{Duration, Instant},
};

use ::http::Request;
use certificates::Certificate;
use hyper::body::Incoming;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use site::{Client, Site};
use tidegate_redirector::{
    front::{Front, Limits, Routes, Services},
    ops::{self, Ops, OpsAccess, Readiness},
};
use tokio::{
    process::Command,
    sync::Semaphore,
    time::{timeout, timeout_at},
};
use warp::Reply as _;

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Routes that answer each request once a permit is there for it.
fn gated(gate: Arc<Semaphore>) -> Routes {
    Routes::new(tower::service_fn(move |_: Request<Incoming>| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.expect("an open gate").forget();
            Ok::<_, Infallible>("done".into_response())
        }
    }))
}

fn prompt() -> Routes {
    gated(Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)))
}

fn limits() -> Limits {
    Limits { head_timeout: Duration::from_secs(2), ..Limits::CLIENTS }
}

/// Waits until `condition` holds, within bounds.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_half_open_connections_keep_nobody_waiting_and_are_closed_in_time() {
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard }).expect("the hard limit");
    let certificate = Certificate::generate();
    let services = Services { tls: certificate.load(), ..Services::new(prompt()) };
    let site = Site::serve(services, Limits::CLIENTS, Duration::ZERO);
    let beginnings: [&[u8]; 5] = [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    ];
    let started = tokio::time::Instant::now();
    let mut slow: Vec<Client> = Vec::new();
    for number in 0..2_000 {
        let mut client = site.connect().await;
        client.send(beginnings[number % beginnings.len()]).await;
        slow.push(client);
    }
    let last = tokio::time::Instant::now();
    for _ in 0..20 {
        let reply = timeout(Duration::from_secs(3), site.ask(ASK)).await.expect("served at once");
        assert_eq!(reply.status, 200);
    }
    for client in &mut slow {
        let rest = timeout_at(last + Duration::from_secs(10), client.rest()).await;
        assert!(rest.expect("closed in time").is_empty());
    }
    assert!(started.elapsed() > Duration::from_secs(4), "they were closed for being slow");
    eventually("all are counted", || site.figures.open_now() == 0).await;
    assert_eq!((site.count("head_timeouts"), site.count("tls_timeouts")), (1_200, 800));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let site = Site::start(prompt(), limits());
    let mut client = site.connect().await;
    client.send(ASK).await;
    assert_eq!(client.reply().await.expect("an answer").body, "done");
    let started = Instant::now();
    assert!(client.rest().await.is_empty());
    assert!(started.elapsed() > Duration::from_secs(1), "it was kept for a while");
}

#[tokio::test]
async fn a_connection_that_is_old_ends_with_an_answer_that_says_so() {
    let limits = Limits { age_max: Duration::from_millis(300), ..limits() };
    let site = Site::start(prompt(), limits);
    let mut client = site.connect().await;
    let mut served = 0;
    // Bounded: at 5 ms each this is far beyond the age.
    for _ in 0..2_000 {
        client.send(ASK).await;
        let reply = client.reply().await.expect("never closed under a request");
        served += 1;
        if reply.header("connection") == Some("close") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(client.rest().await.is_empty());
    assert!((2..2_000).contains(&served), "{served} requests were served");
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way_and_takes_nothing_new() {
    let gate = Arc::new(Semaphore::new(1));
    let grace = Duration::from_secs(10);
    let site = Site::serve(Services::new(gated(Arc::clone(&gate))), limits(), grace);
    let (address, figures) = (site.address, Arc::clone(&site.figures));
    let mut silent = site.connect().await;
    let mut idle = site.connect().await;
    idle.send(ASK).await;
    assert!(idle.reply().await.is_some());
    let mut busy = site.connect().await;
    busy.send(ASK).await;
    eventually("all are open", || figures.open_now() == 3).await;
    let stopping = Instant::now();
    let stopped = site.stop();
    for client in [&mut silent, &mut idle] {
        assert!(client.rest().await.is_empty(), "an idle connection ends at once");
    }
    assert!(stopping.elapsed() < limits().head_timeout, "not for being idle");
    assert!(StdStream::connect(address).is_err(), "nothing listens any more");
    gate.add_permits(1);
    let reply = busy.reply().await.expect("an answer");
    assert_eq!((reply.body.as_str(), reply.header("connection")), ("done", Some("close")));
    drop(busy);
    timeout(grace / 2, stopped).await.expect("it ends without waiting").expect("no panic");
}

#[tokio::test]
async fn a_stop_drops_what_does_not_finish() {
    let gate = Arc::new(Semaphore::new(0));
    let site = Site::serve(Services::new(gated(gate)), limits(), Duration::from_millis(200));
    let mut stuck = site.connect().await;
    stuck.send(ASK).await;
    let figures = Arc::clone(&site.figures);
    eventually("it is open", || figures.open_now() == 1).await;
    timeout(Duration::from_secs(5), site.stop())
        .await
        .expect("the grace is short")
        .expect("no panic");
    assert!(stuck.rest().await.is_empty());
}

#[tokio::test]
async fn several_listeners_serve_and_stop_together() {
    let any = "127.0.0.1:0".parse().expect("an address");
    let front = Front::bind(&[any, any]).expect("two ports");
    let addresses = front.local_addrs();
    let figures = Arc::default();
    let running = front.run(
        Services::new(prompt()),
        limits(),
        figures,
        std::future::pending(),
        Duration::ZERO,
    );
    let running = tokio::spawn(running);
    for address in &addresses {
        assert!(tokio::net::TcpStream::connect(address).await.is_ok());
    }
    running.abort();
    assert!(running.await.is_err_and(|error| error.is_cancelled()));
    for address in &addresses {
        assert!(StdStream::connect(address).is_err(), "dropping a front closes its listeners");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_the_way_out() {
    let site = Site::start(prompt(), limits());
    let error = Front::bind(&[site.address]).expect_err("the port is taken").to_string();
    assert!(error.contains(&site.address.to_string()), "{error}");
    assert!(error.contains("another program listens there"), "{error}");
}

/// Set in the process that may open few files only.
const FEW_FILES: &str = "TIDEGATE_TEST_FEW_FILES";

/// Runs itself once more, in a process that may open few files only, and floods that.
#[tokio::test]
async fn a_process_out_of_files_recovers() {
    if std::env::var_os(FEW_FILES).is_some() {
        return flood_in_few_files().await;
    }
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --exact a_process_out_of_files_recovers"])
        .arg(std::env::current_exe().expect("the tests' program"))
        .env(FEW_FILES, "1")
        .output()
        .await
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

async fn flood_in_few_files() {
    let site = Site::start(prompt(), limits());
    let mut flood = Vec::new();
    for _ in 0..200 {
        let Ok(stream) = tokio::net::TcpStream::connect(site.address).await else { break };
        flood.push(stream);
    }
    assert!(flood.len() < 200, "the files ran out");
    eventually("accepting has failed", || site.count("accept_errors") > 0).await;
    drop(flood);
    eventually("the flood is gone", || site.figures.open_now() == 0).await;
    assert_eq!(site.ask(ASK).await.status, 200);
}

fn ops_site(readiness: Arc<Readiness>, access: OpsAccess) -> Site {
    let ops = Ops {
        readiness,
        metrics: Arc::new(|| "up 1\n".to_owned()),
        fleet: Arc::new(|| "[\"edge-1\"]".to_owned()),
        access,
    };
    Site::start(ops::routes(ops), Limits::OPS)
}

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let readiness = Arc::<Readiness>::default();
    let site = ops_site(Arc::clone(&readiness), OpsAccess::Open);
    assert_eq!(site.get("/livez").await.body, "ok");
    readiness.set_listeners_bound(true);
    let reply = site.get("/readyz").await;
    let expected =
        serde_json::json!({"ready": false, "missing": ["store_open", "snapshot_loaded"]});
    assert_eq!((reply.status, reply.json()), (503, expected));
    readiness.set_store_open(true);
    readiness.set_snapshot_loaded(true);
    let reply = site.get("/readyz?verbose").await;
    assert_eq!(
        (reply.status, reply.json()),
        (200, serde_json::json!({"ready": true, "missing": []}))
    );
}

#[tokio::test]
async fn the_start_is_over_once_and_for_all_when_edges_are_known() {
    let readiness = Arc::<Readiness>::default();
    let site = ops_site(Arc::clone(&readiness), OpsAccess::Token(Arc::new(|_| false)));
    readiness.set_listeners_bound(true);
    readiness.set_store_open(true);
    readiness.set_snapshot_loaded(true);
    let reply = site.get("/startupz").await;
    let expected = serde_json::json!({"ready": false, "missing": ["first_edge"]});
    assert_eq!((reply.status, reply.json()), (503, expected));
    assert_eq!(site.get("/readyz").await.status, 200);
    readiness.set_first_edge(true);
    let over = serde_json::json!({"ready": true, "missing": []});
    for bound in [true, false] {
        readiness.set_listeners_bound(bound);
        let reply = site.get("/startupz").await;
        assert_eq!((reply.status, reply.json()), (200, over.clone()));
    }
    assert_eq!(site.get("/readyz").await.status, 503);
}

#[tokio::test]
async fn metrics_and_fleet_want_a_token_where_one_is_asked_for() {
    let access = OpsAccess::Token(Arc::new(|token| token == Some("secret")));
    let site = ops_site(Arc::default(), access);
    for (path, body) in [("/metrics", "up 1\n"), ("/api/fleet", "[\"edge-1\"]")] {
        let with = |authorization: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n\r\n")
        };
        let mut refused = vec![site.get(path).await];
        for authorization in ["Bearer wrong", "Basic secret", "secret", "Bearer", ""] {
            refused.push(site.ask(with(authorization)).await);
        }
        for reply in refused {
            assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
        }
        let reply = site.ask(with("Bearer secret")).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, body));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(site.get("/livez").await.status, 200);
}

#[tokio::test]
async fn the_open_listener_shows_pages_and_nothing_else() {
    let site = ops_site(Arc::default(), OpsAccess::Open);
    assert_eq!(site.get("/metrics").await.body, "up 1\n");
    assert_eq!(site.get("/api/fleet").await.header("content-type"), Some("application/json"));
    for path in ["/", "/metrics/", "/debug", "/livezz"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
    let mut client = site.connect().await;
    client.send("HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.reply_to_head().await.expect("an answer").status, 200);
    for method in ["POST", "OPTIONS", "DELETE"] {
        let reply = site.ask(format!("{method} /livez HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
}
