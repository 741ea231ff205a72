//! The files the configuration names: read once at the start, and again when they change or on SIGHUP.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tidegate_control::{
    admin,
    selection::{GeoIp, Selection},
};
use tidegate_proto::{
    key::{KeyRing, SendKey, without_comment},
    secret_file::{self, SecretFileError},
};
use tokio::{signal::unix::Signal, sync::mpsc, time::sleep};

use super::{
    StartError,
    assemble::{admin_settings, gate_rules, overflow},
    bad,
    followed::{Followed, Part},
};
use crate::{
    config::{Config, networks},
    front::Tls,
    gate::Rules as GateRules,
    own::own_addresses,
    telemetry,
};

/// How often files are looked at. A look costs a call for each file.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The file with the fleet's keys.
#[derive(Debug, Clone)]
pub(super) struct KeysFile {
    path: PathBuf,
    allow_weak: bool,
}

impl KeysFile {
    pub(super) fn of(config: &Config) -> Self {
        let heartbeat = &config.heartbeat;
        Self { path: PathBuf::from(&heartbeat.keys_file), allow_weak: heartbeat.allow_weak_key }
    }

    fn read(&self) -> Result<KeyRing, String> {
        let text = secret_file::read(&self.path).map_err(|error| {
            let hint = match &error {
                SecretFileError::Unreadable { .. } => "; `tidegatectl key generate` makes a key",
                _ => "",
            };
            format!("heartbeat.keys_file: {error}{hint}")
        })?;
        KeyRing::parse(&text, self.allow_weak)
            .map_err(|error| format!("heartbeat.keys_file: {}, {error}", self.path.display()))
    }

    /// The first key in it.
    pub(super) fn first_key(&self) -> Result<SendKey, StartError> {
        let refused = |error: String| StartError::Configuration(error);
        let text = secret_file::read(&self.path).map_err(|e| refused(e.to_string()))?;
        text.lines()
            .map(without_comment)
            .find(|line| !line.is_empty())
            .unwrap_or_default()
            .parse()
            .map_err(|error: tidegate_proto::key::KeyError| refused(error.to_string()))
    }
}

/// The file that says where addresses are.
#[derive(Debug, Clone)]
pub(super) struct GeoIpFile {
    path: PathBuf,
    known: Arc<GeoIp>,
}

impl GeoIpFile {
    /// Reads it; `None`: none is configured.
    fn open(config: &Config) -> Result<Option<Self>, String> {
        if config.selection.geoip_file.is_empty() {
            return Ok(None);
        }
        let path = PathBuf::from(&config.selection.geoip_file);
        let known = GeoIp::parse(read_bytes(&path)?).map_err(|error| geoip_fault(&path, error))?;
        Ok(Some(Self { path, known: Arc::new(known) }))
    }

    /// Reads it again.
    pub(super) fn reload(&self) -> Result<(), String> {
        let bytes = read_bytes(&self.path)?;
        self.known.replace(bytes).map_err(|error| geoip_fault(&self.path, error))
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let is_file = fs::metadata(path).map(|metadata| metadata.is_file());
    match is_file {
        Ok(true) => fs::read(path).map_err(|error| geoip_fault(path, error)),
        Ok(false) => Err(geoip_fault(path, "it is no file")),
        Err(error) => Err(geoip_fault(path, error)),
    }
}

fn geoip_fault(path: &Path, error: impl std::fmt::Display) -> String {
    let shown = path.display();
    format!("selection.geoip_file: {shown}: {error}; name a .mmdb file, or leave the key out")
}

/// What the configuration and its files come to. Read once, since text keys take long to stretch.
pub(super) struct Checked {
    /// The files as they were before they were read.
    pub(super) followed: Followed,
    pub(super) ring: KeyRing,
    pub(super) rules: GateRules,
    /// How edges are chosen, its zones with the file to look in.
    pub(super) selection: Selection,
    pub(super) geoip_file: Option<GeoIpFile>,
    /// The clients' certificate, if there is one.
    pub(super) tls: Option<Arc<Tls>>,
    /// What could be better.
    pub(super) notes: Vec<String>,
}

impl Checked {
    pub(super) fn read(config: &Config) -> Result<Self, StartError> {
        let followed = Followed::of(config);
        let ring = KeysFile::of(config).read().map_err(StartError::Configuration)?;
        let rules = gate_rules(config)?;
        let client = &config.client;
        let tls = Tls::load(&client.tls_cert, &client.tls_key).map_err(bad)?;
        admin::check(&admin_settings(config)?).map_err(StartError::Configuration)?;
        telemetry::check(&config.telemetry.log, &config.telemetry.otlp_endpoint).map_err(bad)?;
        let mut selection = config.selection().map_err(bad)?;
        let geoip_file = GeoIpFile::open(config).map_err(StartError::Configuration)?;
        if let Some(file) = &geoip_file {
            selection.zones.look_in(Arc::clone(&file.known));
        }
        overflow(config, &own_addresses(&config.client_addresses().map_err(bad)?, &[]))?;
        let mut notes = Vec::new();
        if ring.is_weak() {
            notes.push("a text key can be guessed from one captured datagram; replace it".into());
        }
        if trusts_everybody(&config.client.trusted_proxies)? {
            notes.push(
                "client.trusted_proxies holds every address, so any client may say that it is \
                 another; list the proxies' own addresses"
                    .into(),
            );
        }
        Ok(Self { followed, ring, rules, selection, geoip_file, tls, notes })
    }
}

fn trusts_everybody(proxies: &[String]) -> Result<bool, StartError> {
    let networks = networks("client.trusted_proxies", proxies).map_err(bad)?;
    Ok(networks.iter().any(|network| network.prefix_len() == 0))
}

/// Everything that is read again while it serves. What cannot be read stays as it was.
pub(super) struct Reloads {
    pub(super) followed: Followed,
    pub(super) keys_file: KeysFile,
    /// Where new keys go.
    pub(super) gate: mpsc::Sender<KeyRing>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) geoip_file: Option<GeoIpFile>,
    pub(super) admin: admin::Reload,
}

impl Reloads {
    /// Reads what has changed, and everything at each signal, for ever.
    pub(super) async fn obey(mut self, mut signals: Signal) {
        loop {
            let all = tokio::select! {
                signal = signals.recv() => match signal {
                    Some(()) => true,
                    None => return,
                },
                () = sleep(LOOK_EVERY) => false,
            };
            // Files can be large, keys of text take long to stretch, and a disk may hang.
            let reading = tokio::task::spawn_blocking(move || {
                let parts = if all { self.followed.all() } else { self.followed.changed() };
                parts.into_iter().for_each(|part| self.read(part));
                self
            });
            match reading.await {
                Ok(done) => self = done,
                Err(error) => {
                    tracing::error!(%error, "files are not read again any more; start the redirector again");
                    return;
                }
            }
        }
    }

    fn read(&self, part: Part) {
        match part {
            Part::Keys => self.read_keys(),
            Part::ClientTls => {
                say("the clients' certificate", self.tls.as_ref().map(|tls| tls.reload()));
            }
            Part::GeoIp => {
                say("the places of addresses", self.geoip_file.as_ref().map(GeoIpFile::reload));
            }
            Part::Tokens => say("the admin API's tokens", Some(self.admin.reload_tokens())),
            Part::AdminTls => {
                say("the admin API's certificates", Some(self.admin.reload_certificates()));
            }
        }
    }

    fn read_keys(&self) {
        match self.keys_file.read() {
            Ok(ring) => {
                tracing::info!(keys = ?ring.ids().collect::<Vec<_>>(), "keys read again");
                let _ = self.gate.blocking_send(ring);
            }
            Err(error) => tracing::error!(%error, "keys not read again; the old ones stay"),
        }
    }
}

fn say(what: &str, outcome: Option<Result<(), String>>) {
    match outcome {
        Some(Ok(())) => tracing::info!("{what} read again"),
        Some(Err(error)) => tracing::error!(%error, "{what} not read again; the old ones stay"),
        None => {}
    }
}
