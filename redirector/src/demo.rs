//! `--demo`: a redirector and three edges in one process, on loopback. Each edge is a real agent
//! sending real heartbeats, beside a small HTTP server that plays the part of a media server.
//! This is the one place where the redirector links the agent.

mod edge;
mod playlist;

use std::{
    env, fs, io,
    io::Write,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use tidegate_proto::{
    key::{SendKey, format_fleet_key},
    seal::FleetKey,
};

use self::edge::DemoEdge;
use crate::config::Config;

/// The edges' names; each has a test picture of its own.
const EDGES: [(&str, &[u8]); 3] = [
    ("edge-1", include_bytes!("demo/edge-1.ts")),
    ("edge-2", include_bytes!("demo/edge-2.ts")),
    ("edge-3", include_bytes!("demo/edge-3.ts")),
];

/// Why the demo did not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Its folder could not be made, read or cleared.
    #[error("the demo's folder {path}: {source}; give another one with --demo-dir", path = path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An edge did not start.
    #[error("the demo's {name} did not start: {why}")]
    Edge {
        /// Which one.
        name: &'static str,
        /// Why.
        why: String,
    },
}

/// The folder that keeps the demo's store, key and edge identities between runs.
#[derive(Debug, Clone)]
pub struct DemoDir(PathBuf);

impl DemoDir {
    /// The folder given, or one in the user's state folder.
    #[must_use]
    pub fn new(given: Option<PathBuf>) -> Self {
        Self(given.unwrap_or_else(|| state_home().join("tidegate-demo")))
    }

    /// Removes everything an earlier demo left.
    pub fn clear(&self) -> Result<(), DemoError> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    /// Points whatever the user left at its default to loopback and to this folder. Makes the
    /// fleet's key on the first run.
    pub fn adapt(&self, mut config: Config) -> Result<Config, DemoError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(|error| self.failed(error))?;
        let usual = Config::default();
        let replace = |value: &mut String, usual: &str, ours: String| {
            if value == usual {
                *value = ours;
            }
        };
        replace(&mut config.data_dir, &usual.data_dir, self.path("store"));
        replace(&mut config.heartbeat.listen, &usual.heartbeat.listen, "127.0.0.1:1934".into());
        if config.client.listen == usual.client.listen {
            config.client.listen = vec!["127.0.0.1:1935".into()];
        }
        if config.heartbeat.keys_file == usual.heartbeat.keys_file {
            config.heartbeat.keys_file = self.path("keys");
            self.make_key()?;
        }
        Ok(config)
    }

    fn make_key(&self) -> Result<(), DemoError> {
        let open = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.0.join("keys"));
        match open {
            Ok(mut file) => writeln!(file, "{}", *format_fleet_key(&FleetKey::random()))
                .map_err(|error| self.failed(error)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn failed(&self, source: io::Error) -> DemoError {
        DemoError::Folder { path: self.0.clone(), source }
    }
}

fn state_home() -> PathBuf {
    let under_home = || env::var_os("HOME").map(|home| Path::new(&home).join(".local/state"));
    env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(under_home)
        .unwrap_or_else(env::temp_dir)
}

/// The running edges.
pub struct Demo {
    edges: Vec<DemoEdge>,
}

impl Demo {
    /// Starts the edges; they report to `heartbeat` with the first key of the keys file.
    pub async fn start(
        dir: &DemoDir,
        heartbeat: SocketAddr,
        key: &SendKey,
    ) -> Result<Self, DemoError> {
        let mut edges = Vec::new();
        for (name, picture) in EDGES {
            let started = DemoEdge::start(name, picture, &dir.0.join(name), heartbeat, key).await;
            edges.push(started.map_err(|why| DemoError::Edge { name, why })?);
        }
        Ok(Self { edges })
    }

    /// What to try, for the terminal.
    #[must_use]
    pub fn guide(&self, client: SocketAddr, admin: SocketAddr, ops: SocketAddr) -> String {
        let edges: String = self
            .edges
            .iter()
            .map(|edge| {
                format!("  {}  http://{}/live/demo/playlist.m3u8\n", edge.name, edge.address)
            })
            .collect();
        let port_flag = match admin.port() {
            1936 => String::new(),
            _ => format!(" --admin {admin}"),
        };
        format!(
            "\nThe demo runs: a redirector and three edges on this machine.\n\n{edges}\n\
             Watch the stream through the redirector (each start may land on another edge):\n  \
             curl -L http://{client}/live/demo/playlist.m3u8\n  \
             ffplay http://{client}/live/demo/playlist.m3u8\n\n\
             See the fleet, drain an edge, take it back:\n  \
             cargo run --release -p tidegate-control --{port_flag} edges\n  \
             grpcurl -plaintext -d '{{\"edge\":\"edge-1\",\"reason\":\"kernel update\"}}' {admin} \
             tidegate.admin.v1.FleetService/DrainEdge\n  \
             grpcurl -plaintext -d '{{\"edge\":\"edge-1\"}}' {admin} \
             tidegate.admin.v1.FleetService/UndrainEdge\n\n\
             Metrics: http://{ops}/metrics   Fleet as JSON: http://{ops}/api/fleet\n\
             Stop with Ctrl-C. A drain outlives the demo; --demo-reset forgets everything.\n"
        )
    }

    /// The edges say goodbye and stop.
    pub async fn stop(self) {
        for edge in self.edges {
            edge.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_defaults_are_replaced_and_the_key_is_made_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = DemoDir::new(Some(folder.path().join("demo")));
        let mut given = Config::default();
        given.client.listen = vec!["127.0.0.1:0".into()];
        let config = dir.adapt(given.clone()).expect("adapted");
        assert_eq!(config.client.listen, ["127.0.0.1:0"]);
        assert_eq!(config.heartbeat.listen, "127.0.0.1:1934");
        let key = fs::read(&config.heartbeat.keys_file).expect("made");
        dir.adapt(given).expect("adapted again");
        assert_eq!(fs::read(&config.heartbeat.keys_file).expect("kept"), key);
        dir.clear().expect("cleared");
        assert!(!folder.path().join("demo").exists());
        dir.clear().expect("nothing to clear is fine");
    }
}
