//! `kill -9` under load, again and again: an order that was answered is never lost.

use std::{
    collections::BTreeMap,
    env,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidegate_tests::{
    http,
    programs::Redirector,
    rpc::Rpc,
    scene::{Scene, sent_to},
    wait::{SOON, eventually},
};

const EDGES: [&str; 6] = ["edge-1", "edge-2", "edge-3", "edge-4", "edge-5", "edge-6"];
const LOOPS_IN_CI: u32 = 15;
/// How long orders are given before each kill.
const LIFE_MS: std::ops::Range<u64> = 20..400;

/// What the operator was promised of each edge, and the order that was not answered.
#[derive(Debug, Default)]
struct Promises {
    drained: BTreeMap<&'static str, bool>,
    unanswered: Option<(&'static str, bool)>,
    acknowledged: u64,
}

#[test]
fn no_acknowledged_order_is_lost_by_kills_under_load() {
    let loops = env::var("TIDEGATE_KILL_LOOPS")
        .map_or(LOOPS_IN_CI, |text| text.parse().expect("TIDEGATE_KILL_LOOPS is a number"));
    let seed: u64 = rand::random();
    eprintln!("seed {seed}, {loops} loops");
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = Scene::of(&EDGES);
    let mut promises = Promises::default();
    let (mut lost, mut redirects) = (Vec::new(), 0);
    let began = Instant::now();
    for round in 1..=loops {
        redirects += live_and_die(&mut scene.redirector, &mut promises, &mut random);
        scene.redirector.start_again();
        scene.edges.follow(scene.redirector.ports().heartbeat);
        for broken in check(&scene.redirector, &mut promises) {
            lost.push(format!("loop {round}: {broken}"));
        }
    }
    eprintln!(
        "{loops} kills in {:.1?}: {} orders acknowledged, {} lost; {redirects} redirects",
        began.elapsed(),
        promises.acknowledged,
        lost.len(),
    );
    assert!(lost.is_empty(), "seed {seed}: {lost:#?}");
    assert!(promises.acknowledged > u64::from(loops), "too few orders to prove anything");
    assert!(redirects > u64::from(loops), "too few redirects to count as load");
}

/// Load and orders until the kill, which comes at any moment. Returns the redirects made.
fn live_and_die(redirector: &mut Redirector, promises: &mut Promises, random: &mut StdRng) -> u64 {
    let ports = redirector.ports();
    let life = Duration::from_millis(random.random_range(LIFE_MS));
    let order_seed = random.random();
    let stop = Arc::new(AtomicBool::new(false));
    let redirects = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| ask_until(ports.client, &stop, &redirects));
        scope.spawn(|| ask_until(ports.client, &stop, &redirects));
        let operator = scope.spawn(|| give_orders(ports.admin, promises, order_seed));
        // The length of a life is chance, not a wait.
        thread::sleep(life);
        redirector.kill();
        stop.store(true, Ordering::Relaxed);
        operator.join().expect("the operator");
    });
    redirects.into_inner()
}

fn ask_until(address: SocketAddr, stop: &AtomicBool, redirects: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        match http::try_request(address, "GET", "/live/a", &[]) {
            Ok(reply) if reply.status == 302 => redirects.fetch_add(1, Ordering::Relaxed),
            _ => continue,
        };
    }
}

/// Drains and undrains at random, never all edges at once, until the redirector is gone.
fn give_orders(admin: SocketAddr, promises: &mut Promises, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let Ok(mut rpc) = Rpc::connect(admin) else { return };
    loop {
        let edge = EDGES[random.random_range(1..EDGES.len())];
        let drain = random.random();
        if rpc.order(edge, drain).is_err() {
            promises.unanswered = Some((edge, drain));
            return;
        }
        promises.drained.insert(edge, drain);
        promises.acknowledged += 1;
    }
}

/// Compares what holds after a restart with what was promised. The unanswered order may have come
/// through or not; from here on what holds counts.
fn check(redirector: &Redirector, promises: &mut Promises) -> Vec<String> {
    let unanswered = promises.unanswered.take().map(|(edge, _)| edge);
    let mut broken = Vec::new();
    for (edge, promised) in &mut promises.drained {
        let drained = redirector.edge(edge).is_ok_and(|edge| edge["drain"].is_object());
        if unanswered == Some(*edge) {
            *promised = drained;
        } else if drained != *promised {
            broken.push(format!("{edge}: promised drained={promised}, found {drained}"));
        }
    }
    let first = eventually(SOON, "clients are served again", || match redirector.get("/live/a") {
        reply if reply.status == 302 => Ok(sent_to(&reply)),
        reply => Err(format!("{reply:?}")),
    });
    if promises.drained.get(first.as_str()) == Some(&true) {
        broken.push(format!("the first client was sent to {first}, which is drained"));
    }
    // Orders by name need the edges; they are there with their next heartbeat at the latest.
    for name in EDGES {
        redirector.until(name, "known", |_| true);
    }
    broken
}
