//! Tidegate's own programs, started as an operator starts them, but on free ports of loopback.

mod agent;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tidegate_proto::{key::format_fleet_key, seal::FleetKey};

pub use self::agent::{Agent, AgentSetup, Figures};
use crate::{
    http::{self, Reply},
    metrics::Metrics,
    process::{Process, Ran, run},
    tools::Grpcurl,
    wait::{SOON, eventually},
};

const DEADLINE: Duration = Duration::from_secs(30);
const LISTENERS: [&str; 4] = ["heartbeat-listen", "client-listen", "admin-listen", "ops-listen"];

/// Where a program was built: `TIDEGATE_BIN_DIR`, or the release folder of this checkout.
#[track_caller]
pub fn program(name: &str) -> Command {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release");
    let path = env::var_os("TIDEGATE_BIN_DIR").map_or(built, PathBuf::from).join(name);
    assert!(
        path.is_file(),
        "there is no {}; build it with `cargo build --release --workspace --bins --examples`, or \
         name its folder in TIDEGATE_BIN_DIR",
        path.display()
    );
    let mut command = Command::new(path);
    // Variables of whoever runs the tests must not configure the programs under test.
    for (name, _) in env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("TIDEGATE")) {
        command.env_remove(name);
    }
    command
}

/// Runs `tidegatectl` to its end.
#[track_caller]
pub fn tidegatectl(arguments: &[&str]) -> Ran {
    let mut command = program("tidegatectl");
    command.args(arguments);
    run(command, DEADLINE)
}

/// Runs `tidegate-redirector` to its end; it is expected not to stay.
#[track_caller]
pub fn redirector_that_ends(arguments: &[&str]) -> Ran {
    let mut command = program("tidegate-redirector");
    command.args(arguments);
    run(command, DEADLINE)
}

/// Writes a file that only its owner may read.
#[track_caller]
pub fn write_secret(path: &Path, text: &str) {
    // By rename: whoever watches the file never reads half of it.
    let fresh = path.with_extension("fresh");
    let mut options = fs::File::options();
    let file = options.create(true).truncate(true).write(true).mode(0o600).open(&fresh);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.and_then(|()| fs::rename(&fresh, path)).expect("a secret file");
}

/// Where a redirector listens, as its ports file tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Ports {
    /// Heartbeats.
    #[serde(rename = "heartbeat_udp")]
    pub heartbeat: SocketAddr,
    /// Clients.
    #[serde(rename = "client_tcp")]
    pub client: SocketAddr,
    /// The admin API.
    #[serde(rename = "admin_tcp")]
    pub admin: SocketAddr,
    /// Probes and metrics.
    #[serde(rename = "ops_tcp")]
    pub ops: SocketAddr,
}

/// A real redirector with a folder and a fleet key of its own.
#[derive(Debug)]
pub struct Redirector {
    process: Process,
    ports: Ports,
    setup: Setup,
    key: FleetKey,
    home: TempDir,
}

/// How a redirector is started.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    flags: BTreeMap<String, String>,
    switches: Vec<String>,
    /// A command that starts the redirector for us, for example strace with its options.
    under: Vec<String>,
}

impl Setup {
    /// A real one, or with `--demo` the demonstration.
    fn new(home: &Path, demo: bool) -> Self {
        let mut setup = Self::default();
        for listener in LISTENERS {
            setup.flags.insert(listener.into(), "127.0.0.1:0".into());
        }
        let mut set = |flag: &str, file: &str| {
            setup.flags.insert(flag.into(), home.join(file).display().to_string());
        };
        set("ports-file", "ports.json");
        if demo {
            set("demo-dir", "demo");
            setup.switches.push("--demo".into());
        } else {
            set("data-dir", "data");
            set("heartbeat-keys-file", "keys");
        }
        setup
    }

    fn command(&self) -> Command {
        let real = program("tidegate-redirector");
        let mut command = match self.under.split_first() {
            None => real,
            Some((tracer, options)) => {
                let mut command = Command::new(tracer);
                command.args(options).arg(real.get_program());
                command
            }
        };
        command.args(&self.switches);
        for (flag, value) in &self.flags {
            command.arg(format!("--{flag}={value}"));
        }
        command
    }
}

impl Redirector {
    /// A redirector with the defaults.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A redirector with these flags, given without the leading hyphens; they replace the harness's.
    #[track_caller]
    pub fn start_with(flags: &[(&str, &str)]) -> Self {
        Self::build(false, flags, &[])
    }

    /// `--demo`.
    #[track_caller]
    pub fn start_demo() -> Self {
        Self::build(true, &[], &[])
    }

    /// A redirector with a configuration file of this text that speaks TLS with its clients, with
    /// `server.pem` and `server.key` of a folder.
    #[track_caller]
    pub fn start_with_tls(toml: &str, certificates: &Path) -> Self {
        let at = |file: &str| certificates.join(file).display().to_string();
        let (cert, key) = (at("server.pem"), at("server.key"));
        Self::start_configured(toml, &[("client-tls-cert", &cert), ("client-tls-key", &key)])
    }

    /// A redirector with a configuration file of this text, for what flags cannot say.
    #[track_caller]
    pub fn start_configured(toml: &str, flags: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let file = home.path().join("redirector.toml");
        fs::write(&file, toml).expect("a configuration file");
        let file = file.display().to_string();
        Self::build_in(home, false, &[flags, &[("config", &file)]].concat(), &[])
    }

    /// A redirector that another program starts and watches.
    #[track_caller]
    pub fn start_under(watcher: &[String]) -> Self {
        Self::build(false, &[], watcher)
    }

    #[track_caller]
    fn build(demo: bool, flags: &[(&str, &str)], under: &[String]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        Self::build_in(home, demo, flags, under)
    }

    #[track_caller]
    fn build_in(home: TempDir, demo: bool, flags: &[(&str, &str)], under: &[String]) -> Self {
        let key = FleetKey::random();
        write_secret(&home.path().join("keys"), &format!("{}\n", *format_fleet_key(&key)));
        let mut setup = Setup::new(home.path(), demo);
        under.clone_into(&mut setup.under);
        for (flag, value) in flags {
            setup.flags.insert((*flag).into(), (*value).into());
        }
        let (process, ports) = launch(&setup, home.path());
        Self { process, ports, setup, key, home }
    }

    /// Where it listens now; a restart gives it other ports.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The key its edges share.
    #[must_use]
    pub fn key(&self) -> &FleetKey {
        &self.key
    }

    /// Its folder: `data`, `keys`, and whatever a test puts there.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The child process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Everything it has printed, restarts included.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// SIGKILL; nothing is left to it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and its exit status.
    #[track_caller]
    pub fn stop(&mut self, deadline: Duration) -> ExitStatus {
        self.process.terminate();
        self.process.wait(deadline)
    }

    /// Starts it again on the same folder, after a kill or a stop.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.start_again_with(&[]);
    }

    /// The same, with further switches this once.
    #[track_caller]
    pub fn start_again_with(&mut self, switches: &[&str]) {
        assert!(!self.process.is_running(), "kill or stop it first");
        let mut setup = self.setup.clone();
        setup.switches.extend(switches.iter().map(ToString::to_string));
        (self.process, self.ports) = launch(&setup, self.home.path());
    }

    /// Runs a second one with the same flags to its end.
    #[track_caller]
    pub fn run_a_second_one(&self) -> Ran {
        run(self.setup.command(), DEADLINE)
    }

    /// A client's GET.
    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        http::get(self.ports.client, target)
    }

    /// A GET on the operations port.
    #[track_caller]
    pub fn ops(&self, target: &str) -> Reply {
        http::get(self.ports.ops, target)
    }

    /// The fleet as `/api/fleet` shows it.
    #[track_caller]
    pub fn fleet(&self) -> Value {
        let reply = self.ops("/api/fleet");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// One edge of it, by name.
    #[track_caller]
    pub fn edge(&self, name: &str) -> Result<Value, String> {
        let fleet = self.fleet();
        let edges = fleet["edges"].as_array().expect("a list of edges");
        let found = edges.iter().find(|edge| edge["name"] == name).cloned();
        found.ok_or_else(|| format!("no edge {name} in {fleet}"))
    }

    /// Waits until an edge has this liveness (without the prefix), and returns it.
    #[track_caller]
    pub fn until_liveness(&self, name: &str, liveness: &str) -> Value {
        self.until(name, liveness, |edge| edge["liveness"] == format!("LIVENESS_{liveness}"))
    }

    /// Waits until something holds of an edge, and returns it.
    #[track_caller]
    pub fn until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(SOON, &format!("{name} is {what}"), || {
            let edge = self.edge(name)?;
            if holds(&edge) { Ok(edge) } else { Err(edge.to_string()) }
        })
    }

    /// The metrics now.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        let reply = self.ops("/metrics");
        assert_eq!(reply.status, 200, "{reply:?}");
        Metrics::parse(&reply.text()).expect("the text format of Prometheus")
    }

    /// grpcurl at its admin port, in the clear.
    #[must_use]
    pub fn grpcurl(&self) -> Grpcurl {
        Grpcurl::plain(self.ports.admin)
    }
}

#[track_caller]
fn launch(setup: &Setup, home: &Path) -> (Process, Ports) {
    let ports_file = home.join("ports.json");
    let _ = fs::remove_file(&ports_file);
    let mut process = Process::start(setup.command(), &home.join("redirector.log"));
    let text = bound(&mut process, &ports_file);
    let ports = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (process, ports)
}

/// Waits for a ports file. It appears by rename, so it is whole once it is there.
#[track_caller]
fn bound(process: &mut Process, ports_file: &Path) -> String {
    eventually(SOON, "the ports file is there", || {
        if let Some(status) = process.exited() {
            panic!("it ended at once with {status}: {}", process.output());
        }
        fs::read_to_string(ports_file).map_err(|error| error.to_string())
    })
}

/// A line of a targets file.
#[must_use]
pub fn target_line(to: SocketAddr, key: &str) -> String {
    format!("{},{},{key}\n", to.ip(), to.port())
}
