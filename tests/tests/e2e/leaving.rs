//! A redirector that stops, under load: nobody's request fails while it still listens, and no order
//! that was answered is lost.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate_tests::{
    http::{Reply, connect},
    programs::Redirector,
    rpc::Rpc,
    scene::Scene,
    wait::{SOON, eventually},
};

const STOP_DELAY: Duration = Duration::from_secs(3);
const CLIENTS: usize = 4;
/// No client lives longer, whatever happens.
const LIFE_MAX: Duration = Duration::from_secs(60);

/// What clients saw until the listener was gone.
#[derive(Debug, Default)]
struct Seen {
    answered: u64,
    /// Answers after which the connection ended.
    ended: u64,
    /// Answers on connections that had one before.
    kept: u64,
}

fn leaving() -> Scene {
    let delay = STOP_DELAY.as_secs().to_string() + "s";
    Scene::around(Redirector::start_with(&[("ops-stop-delay", &delay)]), &["edge-1", "edge-2"])
}

/// Asks again and again until nothing listens any more; every other failure is one.
fn ask_until_refused(address: SocketAddr, keeps: bool) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let born = Instant::now();
    while born.elapsed() < LIFE_MAX {
        let mut stream = match TcpStream::connect(address) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(seen),
            Err(error) => return Err(format!("connecting: {error}; {seen:?}")),
        };
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(SOON)).map_err(|error| error.to_string())?;
        let mut asked = 0;
        loop {
            let reply = ask(&mut stream, keeps).map_err(|why| format!("{why}; {seen:?}"))?;
            seen.answered += 1;
            seen.kept += u64::from(asked > 0);
            asked += 1;
            if reply.status != 302 {
                return Err(format!("{reply:?}"));
            }
            if reply.header("connection") == Some("close") {
                seen.ended += 1;
                break until_closed(&mut stream)?;
            }
        }
    }
    Err(format!("the listener never went; {seen:?}"))
}

/// One request and its answer, which has no body.
fn ask(stream: &mut TcpStream, keeps: bool) -> Result<Reply, String> {
    let connection = if keeps { "" } else { "Connection: close\r\n" };
    let request = format!("GET /live/a HTTP/1.1\r\nHost: lb\r\n{connection}\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| format!("asking: {error}"))?;
    let mut answer = Vec::new();
    let mut piece = [0; 2_048];
    while !answer.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut piece).map_err(|error| format!("reading: {error}"))?;
        if read == 0 {
            return Err(format!(
                "closed without an answer: {:?}",
                String::from_utf8_lossy(&answer)
            ));
        }
        answer.extend_from_slice(&piece[..read]);
    }
    let reply = Reply::parse(&answer)?;
    match reply.header("content-length") {
        Some("0") => Ok(reply),
        other => Err(format!("a redirect with a body of {other:?}")),
    }
}

fn until_closed(stream: &mut TcpStream) -> Result<(), String> {
    match stream.read(&mut [0]) {
        Ok(0) => Ok(()),
        other => Err(format!("it said close and did not: {other:?}")),
    }
}

fn until_unready(redirector: &Redirector) {
    eventually(SOON, "it is unready", || match redirector.ops("/readyz").status {
        503 => Ok(()),
        status => Err(status.to_string()),
    });
}

#[test]
fn no_client_fails_before_the_listener_is_gone() {
    let mut scene = leaving();
    let address = scene.redirector.ports().client;
    let ask = |keeps| move || ask_until_refused(address, keeps);
    let keeping: Vec<_> = (0..CLIENTS).map(|_| thread::spawn(ask(true))).collect();
    let one_shot: Vec<_> = (0..CLIENTS).map(|_| thread::spawn(ask(false))).collect();
    let mut idle = connect(address).expect("a connection");
    self::ask(&mut idle, true).expect("an answer");
    eventually(SOON, "the load runs", || {
        let answers = scene.redirector.metrics().sum("tidegate_answers_total", &[]);
        if answers > 500.0 { Ok(()) } else { Err(format!("{answers}")) }
    });
    let began = Instant::now();
    scene.redirector.process().terminate();
    until_unready(&scene.redirector);
    assert_eq!(scene.redirector.process().wait(SOON).code(), Some(0));
    let took = began.elapsed();
    assert!(took >= STOP_DELAY, "it served for the delay: {took:?}");
    assert!(matches!(until_closed(&mut idle), Ok(())), "an idle connection ends without a reset");
    for client in keeping {
        let seen = client.join().expect("a client").expect("no request failed");
        eprintln!("keeping: {seen:?}");
        assert!(seen.kept > 0 && seen.ended > 1, "connections were kept, then ended: {seen:?}");
    }
    for client in one_shot {
        let seen = client.join().expect("a client").expect("no request failed");
        eprintln!("one shot: {seen:?}");
        assert_eq!(seen.ended, seen.answered);
    }
}

#[test]
fn an_order_that_comes_while_it_stops_is_served_and_outlives_it() {
    let mut scene = leaving();
    scene.redirector.process().terminate();
    until_unready(&scene.redirector);
    let mut rpc = Rpc::connect(scene.redirector.ports().admin).expect("it still listens");
    let edge = rpc.order("edge-1", true).expect("it is answered");
    assert!(edge.drain.is_some(), "{edge:?}");
    assert_eq!(scene.redirector.process().wait(SOON).code(), Some(0));
    scene.redirector.start_again();
    let edge = scene.redirector.edge("edge-1").expect("remembered");
    assert!(edge["drain"].is_object(), "{edge}");
}

#[test]
fn orders_under_way_at_the_stop_are_answered_and_durable() {
    // Without a delay, so that the stop falls among them.
    let names: Vec<String> = (0..8).map(|number| format!("edge-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut scene = Scene::of(&names);
    let admin = scene.redirector.ports().admin;
    let answered = Arc::new(AtomicU64::new(0));
    let operators: Vec<_> = names
        .iter()
        .map(|name| {
            let (name, answered) = ((*name).to_owned(), Arc::clone(&answered));
            let mut rpc = Rpc::connect(admin).expect("a connection");
            thread::spawn(move || give_orders(&mut rpc, &name, &answered))
        })
        .collect();
    eventually(SOON, "orders are given", || match answered.load(Relaxed) {
        21.. => Ok(()),
        few => Err(few.to_string()),
    });
    assert_eq!(scene.redirector.stop(SOON).code(), Some(0));
    let promised: Vec<_> = operators.into_iter().map(|o| o.join().expect("an operator")).collect();
    scene.redirector.start_again();
    for (name, (drained, given, why)) in names.iter().zip(promised) {
        eprintln!("{name}: {given} orders, the last one drained: {drained}; then {why}");
        let edge = scene.redirector.edge(name).expect("remembered");
        assert_eq!(edge["drain"].is_object(), drained, "{name} after {given} orders: {edge}");
    }
}

/// Drains and undrains an edge until the redirector takes no more orders. Returns what the last
/// answer promised, how many there were, and how it ended.
fn give_orders(rpc: &mut Rpc, edge: &str, answered: &AtomicU64) -> (bool, u64, String) {
    let (mut drained, mut given) = (false, 0);
    loop {
        match rpc.order(edge, !drained) {
            Ok(answer) => {
                drained = answer.drain.is_some();
                given += 1;
                answered.fetch_add(1, Relaxed);
            }
            Err(status) => return (drained, given, status.to_string()),
        }
    }
}
