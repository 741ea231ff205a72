//! A real agent, with a figures file as its source or a media server.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use super::{DEADLINE, bound, program, write_secret};
use crate::{
    http,
    process::{Process, run},
};

/// What a viewer is taken to receive, in bits per second.
const VIEWER_BPS: u64 = 4_000_000;

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    control: SocketAddr,
    home: TempDir,
}

/// What an agent says of its edge, and how often.
#[derive(Debug, Clone)]
pub struct AgentSetup {
    /// What operators call the edge.
    pub name: String,
    /// The port its clients are sent to, at 127.0.0.1.
    pub http_port: u16,
    /// The time between two reports.
    pub interval: Duration,
    /// What it can carry.
    pub capacity_viewers: u32,
    /// Free text by key.
    pub labels: BTreeMap<String, String>,
    /// The kind and the URL of the media server that is asked instead of the figures file.
    pub server: Option<(String, String)>,
}

impl AgentSetup {
    /// An edge for a thousand viewers that reports every 500 ms.
    #[must_use]
    pub fn new(name: &str, http_port: u16) -> Self {
        Self {
            name: name.into(),
            http_port,
            interval: Duration::from_millis(500),
            capacity_viewers: 1_000,
            labels: BTreeMap::new(),
            server: None,
        }
    }

    /// The same edge with one label more.
    #[must_use]
    pub fn with_label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// The same edge, whose figures come from a media server.
    #[must_use]
    pub fn asking(mut self, kind: &str, url: &str) -> Self {
        self.server = Some((kind.into(), url.into()));
        self
    }

    fn source(&self, figures: &Path) -> String {
        match &self.server {
            Some((kind, url)) => format!("kind = {kind:?}\nurl = {url:?}"),
            None => format!("kind = \"file\"\npath = {figures:?}"),
        }
    }

    fn toml(&self, home: &Path) -> String {
        let at = |file: &str| home.join(file);
        let labels = self.labels.iter().map(|(key, value)| format!("{key:?} = {value:?}"));
        format!(
            "name = {name:?}\nstate_dir = {state:?}\ntargets_file = {targets:?}\n\
             interval = \"{interval}ms\"\nredirect_address = \"127.0.0.1\"\n\
             labels = {{ {labels} }}\n\
             [[endpoint]]\nscheme = \"http\"\nport = {port}\n\
             [capacity]\nviewers = {viewers}\n\
             [source]\n{source}\n\
             [control]\nlisten = \"127.0.0.1:0\"\n",
            name = self.name,
            state = at("state"),
            targets = at("targets.txt"),
            interval = self.interval.as_millis(),
            labels = labels.collect::<Vec<_>>().join(", "),
            port = self.http_port,
            viewers = self.capacity_viewers,
            source = self.source(&at("figures.json")),
        )
    }
}

/// What the figures file says.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Viewers now.
    pub viewers: u32,
    /// What they receive together.
    pub bandwidth_out_bps: u64,
    /// Viewers by `app/stream`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub streams: BTreeMap<String, u32>,
}

impl Figures {
    /// So many viewers of unnamed streams.
    #[must_use]
    pub fn of(viewers: u32) -> Self {
        let bandwidth_out_bps = u64::from(viewers) * VIEWER_BPS;
        Self { viewers, bandwidth_out_bps, streams: BTreeMap::new() }
    }

    /// The viewers of these streams and of no others.
    #[must_use]
    pub fn of_streams(streams: BTreeMap<String, u32>) -> Self {
        Self { streams: streams.clone(), ..Self::of(streams.values().sum()) }
    }
}

impl Agent {
    /// An agent that reports to `targets` (`host,port,key` lines) every 500 ms and announces the
    /// redirect address 127.0.0.1 with HTTP on `http_port`.
    #[track_caller]
    pub fn start(name: &str, http_port: u16, targets: &str) -> Self {
        Self::start_as(&AgentSetup::new(name, http_port), targets)
    }

    /// An agent that says this of its edge to `targets`, without viewers at first.
    #[track_caller]
    pub fn start_as(setup: &AgentSetup, targets: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let at = |file: &str| home.path().join(file);
        write_secret(&at("targets.txt"), targets);
        write_figures(&at("figures.json"), &Figures::default());
        fs::write(at("agent.toml"), setup.toml(home.path())).expect("a configuration file");
        let (process, control) = launch(home.path());
        Self { process, control, home }
    }

    /// The child process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Replaces the targets.
    #[track_caller]
    pub fn set_targets(&self, targets: &str) {
        write_secret(&self.home.path().join("targets.txt"), targets);
    }

    /// Replaces the figures by so many viewers.
    #[track_caller]
    pub fn set_viewers(&self, viewers: u32) {
        self.set_figures(&Figures::of(viewers));
    }

    /// Replaces the figures.
    #[track_caller]
    pub fn set_figures(&self, figures: &Figures) {
        write_figures(&self.figures_file(), figures);
    }

    /// The file that the figures are read from.
    #[must_use]
    pub fn figures_file(&self) -> PathBuf {
        self.home.path().join("figures.json")
    }

    /// What `/status` says.
    #[track_caller]
    pub fn status(&self) -> Value {
        http::get(self.control, "/status").json()
    }

    /// What a second agent with the same configuration would send.
    #[track_caller]
    pub fn print_once(&self) -> Value {
        let mut command = program("tidegate-agent");
        command
            .arg("--config")
            .arg(self.home.path().join("agent.toml"))
            .args(["--once", "--print"]);
        let said = run(command, DEADLINE).ok();
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    /// `POST /pause` or `/unpause`.
    #[track_caller]
    pub fn order(&self, path: &str) {
        let reply = http::request(self.control, "POST", path, &[("Content-Length", "0")]);
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

#[track_caller]
fn launch(home: &Path) -> (Process, SocketAddr) {
    let ports_file = home.join("ports.json");
    let mut command = program("tidegate-agent");
    command.arg("--config").arg(home.join("agent.toml")).arg("--ports-file").arg(&ports_file);
    let mut process = Process::start(command, &home.join("agent.log"));
    let ports: Value =
        serde_json::from_str(&bound(&mut process, &ports_file)).expect("a ports file of JSON");
    let control = ports["control_tcp"].as_str().and_then(|text| text.parse().ok());
    (process, control.unwrap_or_else(|| panic!("no control_tcp in {ports}")))
}

// By rename: the agent never reads half of it.
#[track_caller]
fn write_figures(path: &Path, figures: &Figures) {
    let fresh = path.with_extension("fresh");
    let text = serde_json::to_string(figures).expect("figures are JSON");
    fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, path)).expect("a figures file");
}
