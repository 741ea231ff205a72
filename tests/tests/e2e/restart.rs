//! What a redirector remembers, and how it starts and stops.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustix::process::Signal;
use serde_json::json;
use tidegate_proto::{key::format_fleet_key, seal::FleetKey};
use tidegate_tests::{
    edge::{SimulatedEdge, loopback_socket},
    process::Process,
    programs::{Redirector, redirector_that_ends, write_secret},
    scene::{Scene, sent_to},
    wait::{SOON, eventually},
};

#[test]
fn remembered_edges_serve_at_once_after_a_kill() {
    let mut scene = Scene::of(&["edge-1", "edge-2"]);
    until_stored(&scene.redirector, 2);
    scene.redirector.kill();
    // Nobody sends meanwhile, so all that is known is what was stored.
    let Scene { edges, mut redirector } = scene;
    drop(edges);
    redirector.start_again();
    let first = sent_to(&redirector.get("/live/a"));
    assert!(first.starts_with("edge-"), "{first}");
    for name in ["edge-1", "edge-2"] {
        let edge = redirector.edge(name).expect("remembered");
        assert_eq!(edge["liveness"], "LIVENESS_UNCONFIRMED", "{edge}");
    }
}

/// Waits until the rows of so many edges were written.
fn until_stored(redirector: &Redirector, edges: u32) {
    eventually(SOON, "the edges are stored", || {
        let rows = redirector.metrics().sum("tidegate_store_rows_total", &[]);
        if rows >= f64::from(edges) { Ok(()) } else { Err(format!("{rows} rows")) }
    });
}

#[test]
fn an_edge_heard_once_survives_a_kill_one_second_later_and_its_datagram_counts_once() {
    let mut redirector = Redirector::start();
    let socket = loopback_socket();
    let mut edge = SimulatedEdge::new(redirector.key(), "edge-1");
    let datagram = edge.next_datagram();
    socket.send_to(&datagram, redirector.ports().heartbeat).expect("sent");
    redirector.until_liveness("edge-1", "NEW");
    // Not a wait for anything: one second is the promise under test.
    thread::sleep(Duration::from_secs(1));
    redirector.kill();
    redirector.start_again();
    redirector.until_liveness("edge-1", "UNCONFIRMED");
    socket.send_to(&datagram, redirector.ports().heartbeat).expect("sent again");
    let refused = eventually(SOON, "the replay is counted", || {
        let refused = redirector.metrics().by("tidegate_datagrams_rejected_total", "reason");
        let total: f64 = refused.values().sum();
        if total > 0.0 { Ok(refused) } else { Err("nothing was refused".into()) }
    });
    let as_replay =
        refused.get("replayed").unwrap_or(&0.0) + refused.get("too_old").unwrap_or(&0.0);
    assert_eq!(as_replay, 1.0, "{refused:?}");
    assert_eq!(redirector.edge("edge-1").expect("known")["liveness"], "LIVENESS_UNCONFIRMED");
    edge.beat(&socket, redirector.ports().heartbeat);
    redirector.until("edge-1", "heard again", |edge| edge["liveness"] != "LIVENESS_UNCONFIRMED");
}

#[test]
fn sigterm_ends_in_good_order_even_with_an_open_watch() {
    let mut scene = Scene::of(&["edge-1"]);
    let log = scene.redirector.home().join("watch.log");
    let method = "tidegate.admin.v1.FleetService/WatchFleet";
    let command = scene.redirector.grpcurl().command(&["-d", "{}"], &[method]);
    let mut watch = Process::start(command, &log);
    eventually(SOON, "the watch has begun", || {
        let said = watch.output();
        if said.contains("KIND_SYNCED") { Ok(()) } else { Err(said) }
    });
    let began = Instant::now();
    let status = scene.redirector.stop(Duration::from_secs(20));
    eprintln!("SIGTERM to exit with an open watch: {:?}", began.elapsed());
    assert_eq!(status.code(), Some(0), "{status}");
    watch.wait(SOON);
}

#[test]
fn a_stopped_redirector_starts_again_with_its_drains() {
    let mut scene = Scene::of(&["edge-1", "edge-2"]);
    let order = json!({"edge": "edge-1", "reason": "disk swap"});
    scene.redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    assert_eq!(scene.redirector.stop(Duration::from_secs(20)).code(), Some(0));
    scene.redirector.start_again();
    let edge = scene.redirector.edge("edge-1").expect("remembered");
    assert_eq!(edge["drain"]["reason"], "disk swap", "{edge}");
    for _ in 0..100 {
        assert_eq!(sent_to(&scene.redirector.get("/live/a")), "edge-2");
    }
}

#[test]
fn a_second_process_on_one_data_dir_ends_and_names_the_first() {
    let mut redirector = Redirector::start();
    let pid = redirector.process().pid().to_string();
    let second = redirector.run_a_second_one();
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains(&pid), "pid {pid} is not in: {}", second.err);
    assert!(redirector.process().is_running());
    assert_eq!(redirector.ops("/readyz").status, 200);
}

/// The flags of a redirector that could start, but for what a test adds.
fn flags(home: &Path, data_dir: &Path) -> Vec<String> {
    let key = FleetKey::random();
    let keys = home.join("keys");
    let line = format_fleet_key(&key);
    write_secret(&keys, &line);
    let mut flags: Vec<String> = ["heartbeat", "client", "admin", "ops"]
        .map(|part| format!("--{part}-listen=127.0.0.1:0"))
        .into();
    flags.push(format!("--heartbeat-keys-file={}", keys.display()));
    flags.push(format!("--data-dir={}", data_dir.display()));
    flags
}

fn ends(home: &Path, data_dir: &Path, more: &[&str]) -> tidegate_tests::process::Ran {
    let flags = flags(home, data_dir);
    let all: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    redirector_that_ends(&all)
}

#[test]
fn a_data_dir_that_cannot_be_used_ends_the_start_and_is_named() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let file = home.path().join("a-file");
    fs::write(&file, "x").expect("a file");
    // Nobody can make folders there, not even root.
    for data_dir in [file, PathBuf::from("/proc/tidegate-data")] {
        let ran = ends(home.path(), &data_dir, &[]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.contains(&data_dir.display().to_string()), "{}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
}

#[test]
fn a_bad_configuration_is_exit_64_and_names_the_key() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let config = home.path().join("redirector.toml");
    let data_dir = home.path().join("data");
    for (text, key) in [
        ("[client]\nlissen = \"127.0.0.1:0\"\n", "lissen"),
        ("[admin]\nreflection = \"perhaps\"\n", "reflection"),
        ("[liveness]\nsuspect_intervals = 0.1\n", "suspect_intervals"),
        ("[selection]\npolicy = \"best\"\n", "policy"),
    ] {
        fs::write(&config, text).expect("a configuration");
        let file = config.display().to_string();
        for more in [vec!["--config", &file], vec!["--config", &file, "--check"]] {
            let ran = ends(home.path(), &data_dir, &more);
            assert_eq!(ran.code, Some(64), "{text}: {ran:?}");
            assert!(ran.err.contains(key), "{key} is not in: {}", ran.err);
        }
    }
    let ran = ends(home.path(), &data_dir, &["--client-connections-max=many"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(ran.err.contains("client-connections-max"), "{}", ran.err);
    assert!(!data_dir.exists(), "a refused configuration makes no store");
}

#[test]
fn a_keys_file_that_others_can_read_is_refused_with_the_way_out() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().expect("a temporary folder");
    let data_dir = home.path().join("data");
    let flags = flags(home.path(), &data_dir);
    let keys = home.path().join("keys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).expect("mode set");
    let all: Vec<&str> = flags.iter().map(String::as_str).collect();
    let ran = redirector_that_ends(&all);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(ran.err.contains("0644") && ran.err.contains("chmod 600"), "{}", ran.err);
}

#[test]
fn a_damaged_store_starts_with_every_drain() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = Scene::of(&["edge-1", "edge-2", "edge-3"]);
    scene.redirector.grpcurl().fleet("DrainEdge", &json!({"edge": "edge-1"})).expect("drained");
    for round in 0..8 {
        scene.redirector.kill();
        let file = find(scene.redirector.home(), "db").expect("the store has a file `db`");
        damage(&file, &mut random);
        scene.redirector.start_again();
        scene.edges.follow(scene.redirector.ports().heartbeat);
        let edge = scene.redirector.edge("edge-1").expect("its order survived");
        assert!(edge["drain"].is_object(), "round {round}, seed {seed}: {edge}");
        for name in ["edge-2", "edge-3"] {
            // One that the damage took is back with its next heartbeat.
            scene.redirector.until_liveness(name, "UP");
        }
        for _ in 0..20 {
            assert_ne!(sent_to(&scene.redirector.get("/live/a")), "edge-1", "seed {seed}");
        }
    }
    let damaged = fs::read_dir(scene.redirector.home()).expect("a folder").count();
    eprintln!("8 damages survived; {damaged} entries in the home folder");
}

/// Overwrites 64 bytes somewhere.
fn damage(file: &Path, random: &mut StdRng) {
    let len = fs::metadata(file).expect("the store's size").len();
    let at = random.random_range(0..len.saturating_sub(64).max(1));
    let bytes: [u8; 64] = std::array::from_fn(|_| random.random());
    let mut open = fs::File::options().write(true).open(file).expect("the store's file");
    open.seek(SeekFrom::Start(at)).and_then(|_| open.write_all(&bytes)).expect("damaged");
}

/// A file of that name below a folder, the shortest path first.
pub(crate) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = walk(folder)
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|known| known == name))
        .collect();
    found.sort_by_key(|path| path.as_os_str().len());
    found.into_iter().next()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .collect()
}

#[test]
fn sighup_reads_the_keys_again_so_that_one_can_be_replaced_without_a_gap() {
    let mut scene = Scene::of(&["edge-1"]);
    let keys = scene.redirector.home().join("keys");
    let old = scene.redirector.key().clone();
    let new = FleetKey::random();
    let reload = |redirector: &mut Redirector, keys_now: &[&FleetKey]| {
        let lines: Vec<String> =
            keys_now.iter().map(|key| format_fleet_key(key).to_string()).collect();
        write_secret(&keys, &(lines.join("\n") + "\n"));
        redirector.process().signal(Signal::HUP);
    };
    let of_new = SimulatedEdge::new(&new, "edge-2");
    reload(&mut scene.redirector, &[&old, &new]);
    scene.edges.with(|edges| edges.push(of_new));
    scene.redirector.until_liveness("edge-2", "UP");
    let known = scene.redirector.edge("edge-1").expect("the old key is still good");
    assert_eq!(known["liveness"], "LIVENESS_UP", "{known}");

    reload(&mut scene.redirector, &[&new]);
    let refused = |redirector: &Redirector| {
        let reason = [("reason", "unknown_key")];
        redirector.metrics().sum("tidegate_datagrams_rejected_total", &reason)
    };
    let before = refused(&scene.redirector);
    eventually(SOON, "the removed key is unknown", || match refused(&scene.redirector) {
        now if now > before => Ok(()),
        now => Err(format!("{now}")),
    });
    // Keys that cannot be read change nothing.
    fs::write(&keys, "nonsense\n").expect("written");
    scene.redirector.process().signal(Signal::HUP);
    eventually(SOON, "the refusal is in the log", || {
        let log = scene.redirector.output();
        if log.contains("keys not read again") { Ok(()) } else { Err(log) }
    });
    let known = scene.redirector.edge("edge-2").expect("known");
    assert_eq!(known["liveness"], "LIVENESS_UP", "{known}");
}

#[test]
fn every_program_says_what_it_is() {
    for name in ["tidegate-redirector", "tidegate-agent", "tidegatectl"] {
        for flag in ["--help", "--version"] {
            let mut command: Command = tidegate_tests::programs::program(name);
            command.arg(flag);
            let said = tidegate_tests::process::run(command, SOON).ok();
            assert!(said.contains("tidegate"), "{name} {flag}: {said}");
        }
    }
}
