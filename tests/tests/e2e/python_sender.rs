//! docs/examples/heartbeat.py, an edge's sender in another language, against a real redirector.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tempfile::TempDir;
use tidegate_proto::{
    edge::EdgeId,
    key::{format_edge_key, format_fleet_key},
};
use tidegate_tests::{
    process::{Process, run},
    programs::{Redirector, target_line, tidegatectl, write_secret},
    tools::tool,
    wait::SOON,
};

const VIEWERS: &str = "viewers";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples")
}

/// The sender with everything of its own in one folder.
struct Sender {
    process: Process,
    home: TempDir,
}

impl Sender {
    fn start(targets: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        write_secret(&home.path().join("targets"), targets);
        fs::write(home.path().join(VIEWERS), "12\n").expect("written");
        let process = Process::start(command(home.path()), &home.path().join("log"));
        Self { process, home }
    }

    fn viewers_file(&self) -> PathBuf {
        self.home.path().join(VIEWERS)
    }
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(tool("heartbeat-python"));
    command.arg(examples().join("heartbeat.py")).current_dir(home).args([
        "--targets=targets",
        "--viewers-file=viewers",
        "--name=edge-1",
        "--redirect-address=edge-1.example",
        "--endpoint=http:8080",
        "--interval=0.5",
    ]);
    command
}

fn line(redirector: &Redirector, key: &str) -> String {
    target_line(redirector.ports().heartbeat, key)
}

#[test]
fn it_joins_tells_its_viewers_gets_clients_and_says_goodbye() {
    let redirector = Redirector::start();
    let mut sender = Sender::start(&line(&redirector, &format_fleet_key(redirector.key())));
    redirector.until("edge-1", "UP and eligible", |edge| {
        edge["liveness"] == "LIVENESS_UP" && edge["eligible"] == true
    });
    let admin = redirector.ports().admin.to_string();
    let table = tidegatectl(&["--admin", &admin, "edges"]).ok();
    let row = table.lines().find(|line| line.starts_with("edge-1")).expect("a row");
    let words: Vec<_> = row.split_whitespace().take(4).collect();
    assert_eq!(words, ["edge-1", "ACTIVE", "UP", "12"], "{table}");
    let reply = redirector.get("/live/cam.m3u8?t=1");
    assert_eq!(reply.status, 302, "{reply:?}");
    assert_eq!(reply.location(), "http://edge-1.example:8080/live/cam.m3u8?t=1");

    sender.process.terminate();
    assert_eq!(sender.process.wait(SOON).code(), Some(0));
    let edge = redirector.until_liveness("edge-1", "GONE");
    assert_eq!(edge["livenessReason"]["code"], "goodbye", "{edge}");
    let refused = redirector.metrics().sum("tidegate_datagrams_rejected_total", &[]);
    assert_eq!(refused, 0.0, "a datagram of it was refused");
    assert!(sender.home.path().join("edge-id").is_file(), "the UUID is kept");
}

#[test]
fn it_reads_edge_keys_and_text_keys_too() {
    let with_edge_key = Redirector::start();
    let id = EdgeId::random();
    let key = format_edge_key(with_edge_key.key(), id);
    let comment = format!("# a comment\n\n{}", line(&with_edge_key, &key));
    let _by_edge_key = Sender::start(&comment);
    let with_text_key = Redirector::start_with(&[("heartbeat-allow-weak-key", "true")]);
    write_secret(&with_text_key.home().join("keys"), "text:023D4FB4IS83\n");
    let mut with_text_key = with_text_key;
    with_text_key.process().signal(rustix::process::Signal::HUP);
    let _by_text_key = Sender::start(&line(&with_text_key, "023D4FB4IS83"));
    let edge = with_edge_key.until_liveness("edge-1", "UP");
    assert_eq!(edge["edgeId"], id.to_string());
    with_text_key.until_liveness("edge-1", "UP");
}

#[test]
fn what_it_cannot_measure_is_trouble_and_never_zero() {
    let redirector = Redirector::start();
    let sender = Sender::start(&line(&redirector, &format_fleet_key(redirector.key())));
    redirector.until_liveness("edge-1", "UP");
    for nonsense in ["-3", "many", "99999999"] {
        fs::write(sender.viewers_file(), nonsense).expect("written");
        let edge = redirector.until_liveness("edge-1", "SUSPECT");
        assert_eq!(edge["livenessReason"]["code"], "source_unreadable", "{edge}");
        assert!(edge["load"].get("viewers").is_none(), "{edge}");
        fs::write(sender.viewers_file(), "0").expect("written");
        redirector.until("edge-1", "back without viewers", |edge| {
            edge["liveness"] == "LIVENESS_UP" && edge["load"]["viewers"] == 0
        });
    }
}

#[test]
fn it_refuses_keys_that_others_can_read_and_says_how_to_run_it() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let targets = home.path().join("targets");
    write_secret(&targets, "lb.example,1934,ehb1:short\n");
    let faulty = run(command(home.path()), SOON);
    assert_eq!(faulty.code, Some(1));
    assert!(faulty.err.contains("line 1") && !faulty.err.contains("Traceback"), "{}", faulty.err);
    fs::set_permissions(&targets, fs::Permissions::from_mode(0o644)).expect("mode set");
    let open = run(command(home.path()), SOON);
    assert_eq!(open.code, Some(1));
    assert!(open.err.contains("chmod 600"), "{}", open.err);
    let mut help = Command::new(tool("heartbeat-python"));
    help.arg(examples().join("heartbeat.py")).arg("--help");
    assert!(run(help, Duration::from_secs(30)).ok().contains("--viewers-file"));
}

/// The inputs of the known-answer vector, and the two keys that a text key becomes.
const PROGRAM: &str = r#"
import heartbeat as h
edge, session = bytes(range(0xa0, 0xb0)), bytes.fromhex("0000018bcfe56800b8b9babbbcbdbebf")
fleet = bytes(range(32))
key = h.heartbeat_key(h.hkdf(fleet, b"ehb1 edge key" + edge), session)
print(h.seal(key, h.HEARTBEAT, h.hkdf(fleet, b"ehb1 key id", 4), edge, session, 1700000002500,
             bytes.fromhex("deadbeef"), 1, h.field(1, h.RUNNING)).hex())
print(h.stretch("023D4FB4IS83").hex())
"#;

#[test]
fn it_makes_the_known_answers() {
    let mut command = Command::new(tool("heartbeat-python"));
    command.args(["-B", "-c", PROGRAM]).env("PYTHONPATH", examples());
    let said = run(command, SOON).ok();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/datagram/vector");
    let vector = fs::read(corpus).expect("the vector");
    let hex: String = vector.iter().map(|byte| format!("{byte:02x}")).collect();
    let stretched = "544dd090301eb92d7dae1cca323fc1597cd74c16e1ac7a61427894f182784e76";
    assert_eq!(said, format!("{hex}\n{stretched}\n"));
}
