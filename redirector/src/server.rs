//! The server: everything is opened and bound first, then served, then left in good order.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tidegate_control::{
    admin,
    clock::Clock,
    fleet::{Fleet, Running},
    json::to_json,
    message::edge_message,
    store::{self, OnCorrupt},
};
use tidegate_proto::{
    admin::ListEdgesResponse,
    key::{KeyRing, SendKey},
    secret_file::{self, SecretFileError},
};
use tokio::{
    signal::unix::Signal,
    sync::{mpsc, oneshot, watch},
};

pub use crate::tasks::Ended;
use crate::{
    answer::{Rules as AnswerRules, apps::Apps},
    clients::{Clients, http},
    config::{self, Config},
    figures::IngestFigures,
    front::{Front, FrontFigures, Limits as FrontLimits, Services},
    gate::{AllowedHosts, Entropy, Gate, Limits as GateLimits, Rules as GateRules},
    ingest::Ingest,
    metrics::{Metrics, Sources},
    ops::{self, Ops, OpsAccess, Readiness},
    own,
    tasks::Tasks,
    telemetry::{self, Collector},
};

/// A predecessor that is still stopping gets this long to let go of the store.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// Requests under way may finish within this once the listeners stop.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// Why the server did not start. Each message names the place and the way out.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or a file it names, is not acceptable.
    #[error("{0}")]
    Configuration(String),
    /// The system did not give what is needed.
    #[error("{0}")]
    System(String),
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Heartbeats, over UDP.
    pub heartbeat: SocketAddr,
    /// Clients, in the order of the configuration.
    pub clients: Vec<SocketAddr>,
    /// The admin API.
    pub admin: SocketAddr,
    /// Probes and metrics.
    pub ops: SocketAddr,
}

impl Addresses {
    /// The first client address.
    #[must_use]
    pub fn first_client(&self) -> SocketAddr {
        self.clients.first().copied().unwrap_or(self.ops)
    }

    /// The addresses under the names of the ports file.
    #[must_use]
    pub fn by_name(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("heartbeat_udp", self.heartbeat.to_string()),
            ("client_tcp", self.first_client().to_string()),
            ("admin_tcp", self.admin.to_string()),
            ("ops_tcp", self.ops.to_string()),
        ])
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "heartbeats  udp {}", self.heartbeat)?;
        for client in &self.clients {
            writeln!(f, "clients     tcp {client}")?;
        }
        writeln!(f, "admin API   tcp {}", self.admin)?;
        write!(f, "operations  tcp {}", self.ops)
    }
}

/// Files whose content SIGHUP reads again.
#[derive(Debug, Clone)]
struct KeysFile {
    path: PathBuf,
    allow_weak: bool,
}

impl KeysFile {
    fn of(config: &Config) -> Self {
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
}

/// What the configuration and its files come to. Read once, since text keys take long to stretch.
struct Checked {
    ring: KeyRing,
    rules: GateRules,
    /// What could be better.
    notes: Vec<String>,
}

impl Checked {
    fn read(config: &Config) -> Result<Self, StartError> {
        let ring = KeysFile::of(config).read().map_err(StartError::Configuration)?;
        let rules = gate_rules(config)?;
        admin::check(&admin_settings(config)?).map_err(StartError::Configuration)?;
        telemetry::check(&config.telemetry.log, &config.telemetry.otlp_endpoint).map_err(bad)?;
        let mut notes = Vec::new();
        if ring.is_weak() {
            notes.push("a text key can be guessed from one captured datagram; replace it".into());
        }
        Ok(Self { ring, rules, notes })
    }
}

/// A server whose listeners are all bound.
pub struct Server {
    stop_delay: Duration,
    client_limits: FrontLimits,
    keys_file: KeysFile,
    clock: Clock,
    fleet: Fleet,
    writer: Running,
    gate: Gate,
    ingest: Ingest,
    ingest_figures: Arc<IngestFigures>,
    clients_front: Front,
    front_figures: Arc<FrontFigures>,
    clients: Clients,
    ops_front: Front,
    ops: Ops,
    metrics: Metrics,
    admin: admin::Bound,
}

impl Server {
    /// Checks every file that the configuration names. Returns what could be better.
    pub fn check(config: &Config) -> Result<Vec<String>, StartError> {
        Checked::read(config).map(|checked| checked.notes)
    }

    /// Opens the store and binds every listener, heartbeats before clients.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let Checked { ring, rules, notes } = Checked::read(&config)?;
        for note in notes {
            tracing::warn!("{note}");
        }
        let clock = Clock::start();
        let readiness = Arc::new(Readiness::default());
        let keys_file = KeysFile::of(&config);
        let ingest = Ingest::bind(config.heartbeat_address().map_err(bad)?).map_err(failed)?;
        let clients_front =
            Front::bind(&config.client_addresses().map_err(bad)?).map_err(failed)?;
        let ops_front = Front::bind(&[config.ops_address().map_err(bad)?]).map_err(failed)?;

        let (fleet, writer, gate) =
            open_fleet(&config, clock, Gate::new(ring, rules, Entropy::random())).await?;
        readiness.set_store_open(true);
        readiness.set_snapshot_loaded(true);

        let admin = bind_admin(&config, fleet.clone()).await?;
        let clients = Clients {
            published: Arc::clone(fleet.published()),
            rules: Arc::new(answer_rules(&config, &clients_front.local_addrs())?),
            clock,
            figures: Arc::default(),
        };
        let ingest_figures = Arc::new(IngestFigures::default());
        let front_figures = Arc::new(FrontFigures::default());
        let sources = Sources {
            ingest: Arc::clone(&ingest_figures),
            fleet: Arc::new(fleet.clone()),
            answers: Arc::clone(&clients.figures),
            front: Arc::clone(&front_figures),
        };
        let collector = Collector::parse(&config.telemetry.otlp_endpoint).map_err(bad)?;
        let metrics = Metrics::new(&sources, collector.as_ref()).map_err(bad)?;
        let ops_address = ops_front.local_addrs()[0];
        let ops = Ops {
            readiness: Arc::clone(&readiness),
            metrics: {
                let metrics = metrics.clone();
                Arc::new(move || metrics.render())
            },
            fleet: fleet_page(fleet.clone()),
            access: ops_access(&config, ops_address, &admin),
        };
        readiness.set_listeners_bound(true);
        Ok(Self {
            stop_delay: config.ops.stop_delay,
            client_limits: client_limits(&config),
            keys_file,
            clock,
            fleet,
            writer,
            gate,
            ingest,
            ingest_figures,
            clients_front,
            front_figures,
            clients,
            ops_front,
            ops,
            metrics,
            admin,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            heartbeat: self.ingest.local_addr(),
            clients: self.clients_front.local_addrs(),
            admin: self.admin.local_addr(),
            ops: self.ops_front.local_addrs()[0],
        }
    }

    /// The key that the demo's edges seal with: the first of the keys file.
    pub fn demo_key(&self) -> Result<SendKey, StartError> {
        let refused = |error: String| StartError::Configuration(error);
        let text = secret_file::read(&self.keys_file.path).map_err(|e| refused(e.to_string()))?;
        text.lines()
            .map(tidegate_proto::key::without_comment)
            .find(|line| !line.is_empty())
            .unwrap_or_default()
            .parse()
            .map_err(|error: tidegate_proto::key::KeyError| refused(error.to_string()))
    }

    /// Serves until `stop` comes, and obeys each of `reloads`. Then it is unready but serves for
    /// the stop delay, finishes what is under way, hears the last heartbeats and stores them.
    ///
    /// # Errors
    /// [`Ended`] if a part of it ended by itself: the rest would only seem to work, so it stops too.
    pub async fn run(self, stop: oneshot::Receiver<()>, mut reloads: Signal) -> Result<(), Ended> {
        let (commands, commands_in) = mpsc::channel(4);
        let (end_front, front_ended) = watch::channel(false);
        let (end_ingest, ingest_ended) = watch::channel(false);
        let (end_ops, ops_ended) = watch::channel(false);
        let (health, reload) = (self.admin.health(), self.admin.reload());
        let readiness = Arc::clone(&self.ops.readiness);
        let (mut front, mut ingest, mut ops) =
            (Tasks::default(), Tasks::default(), Tasks::default());
        let heartbeats = self.ingest.run(
            self.gate,
            self.fleet.clone(),
            self.clock,
            self.ingest_figures,
            commands_in,
            raised(ingest_ended),
        );
        ingest.spawn("the heartbeat port", heartbeats);
        let clients = self.clients_front.run(
            Services::new(http::routes(self.clients)),
            self.client_limits,
            self.front_figures,
            raised(front_ended.clone()),
            FINISH_WITHIN,
        );
        front.spawn("the clients' listener", clients);
        front.spawn("the admin API", self.admin.run(raised(front_ended)));
        let pages = self.ops_front.run(
            Services::new(ops::routes(self.ops)),
            FrontLimits::OPS,
            Arc::default(),
            raised(ops_ended),
            Duration::from_secs(1),
        );
        ops.spawn("the operations listener", pages);
        let reloading = tokio::spawn(async move {
            while reloads.recv().await.is_some() {
                reload_files(&self.keys_file, &reload, &commands).await;
            }
        });

        let went = tokio::select! {
            _ = stop => Ok(()),
            ended = front.first_end() => Err(ended),
            ended = ingest.first_end() => Err(ended),
            ended = ops.first_end() => Err(ended),
            () = self.fleet.ended() => Err(Ended("the fleet's writer")),
        };
        readiness.set_listeners_bound(false);
        health.stop_serving().await;
        if went.is_ok() {
            tokio::time::sleep(self.stop_delay).await;
        }
        end_front.send_replace(true);
        front.join().await;
        end_ingest.send_replace(true);
        ingest.join().await;
        reloading.abort();
        self.writer.stop().await;
        end_ops.send_replace(true);
        ops.join().await;
        self.metrics.shutdown().await;
        went
    }
}

/// Done once the flag is raised or nobody is left to raise it.
async fn raised(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|raised| *raised).await;
}

async fn reload_files(keys: &KeysFile, reload: &admin::Reload, gate: &mpsc::Sender<KeyRing>) {
    match keys.read() {
        Ok(ring) => {
            tracing::info!(keys = ?ring.ids().collect::<Vec<_>>(), "keys read again");
            let _ = gate.send(ring).await;
        }
        Err(error) => tracing::error!(%error, "keys not read again; the old ones stay"),
    }
    match reload.reload() {
        Ok(()) => tracing::info!("tokens and certificates read again"),
        Err(error) => {
            tracing::error!(%error, "tokens and certificates not read again; the old ones stay");
        }
    }
}

async fn bind_admin(config: &Config, fleet: Fleet) -> Result<admin::Bound, StartError> {
    admin::bind(admin_settings(config)?, fleet).await.map_err(|error| match error {
        admin::BindError::Settings(said) => StartError::Configuration(said),
        other => StartError::System(other.to_string()),
    })
}

fn client_limits(config: &Config) -> FrontLimits {
    let connections_max = config.client.connections_max as usize;
    FrontLimits { connections_max, ..FrontLimits::CLIENTS }.within_open_files()
}

async fn open_fleet(
    config: &Config,
    clock: Clock,
    mut gate: Gate,
) -> Result<(Fleet, Running, Gate), StartError> {
    let data_dir = PathBuf::from(&config.data_dir);
    let unix_ms = clock.now().unix_ms;
    let open = move || store::open(&data_dir, OnCorrupt::Restore, LOCK_WAIT, unix_ms);
    let opened = tokio::task::spawn_blocking(open).await.map_err(failed)?.map_err(failed)?;
    for note in &opened.notes {
        tracing::warn!("{note}");
    }
    gate.resume(&opened.memory.beats, clock.now());
    let (fleet, writer) =
        Fleet::start(config.patience(), &opened.memory, opened.store, clock, &redirector_name());
    if let Some(degraded) = &opened.degraded {
        tracing::error!("{degraded}");
        fleet.figures().store_failed.store(true, Relaxed);
    }
    Ok((fleet, writer, gate))
}

fn gate_rules(config: &Config) -> Result<GateRules, StartError> {
    let heartbeat = &config.heartbeat;
    let hosts = AllowedHosts::parse(&heartbeat.allowed_redirect_hosts).map_err(bad)?;
    let parse = |text: &String| {
        text.parse().map_err(|error| {
            StartError::Configuration(format!("heartbeat.allowed_edges: {text:?}: {error}"))
        })
    };
    let edges = match heartbeat.allowed_edges.as_slice() {
        [] => None,
        listed => Some(listed.iter().map(parse).collect::<Result<_, _>>()?),
    };
    let limits = GateLimits { edges_max: heartbeat.edges_max as usize, ..GateLimits::default() };
    Ok(GateRules { hosts, edges, limits })
}

fn answer_rules(config: &Config, bound: &[SocketAddr]) -> Result<AnswerRules, StartError> {
    let interfaces = own::interface_addresses().unwrap_or_else(|error| {
        tracing::warn!(%error, "the interfaces' addresses are unknown; only the bound ones count as own");
        Vec::new()
    });
    let client = &config.client;
    Ok(AnswerRules {
        redirect_scheme: config.redirect_scheme().map_err(bad)?,
        redirect_port: (client.redirect_port != 0).then_some(client.redirect_port),
        server_info_xml: client.server_info_xml,
        ignore_clients: networks("client.ignore_clients", &client.ignore_clients)?,
        trusted_proxies: networks("client.trusted_proxies", &client.trusted_proxies)?,
        own: own::own_addresses(bound, &interfaces),
        apps: Apps::new(config.rtmp_apps().map_err(bad)?),
    })
}

fn networks(key: &str, texts: &[String]) -> Result<Vec<ipnet::IpNet>, StartError> {
    config::networks(key, texts).map_err(bad)
}

fn admin_settings(config: &Config) -> Result<admin::Settings, StartError> {
    let admin = &config.admin;
    Ok(admin::Settings {
        listen: config.admin_address().map_err(bad)?,
        reflection: admin.reflection,
        insecure: admin.insecure,
        tls_cert: admin.tls_cert.clone(),
        tls_key: admin.tls_key.clone(),
        client_ca: admin.client_ca.clone(),
        tokens_file: admin.tokens_file.clone(),
        redirector: redirector_name(),
    })
}

/// What audit records call this process.
fn redirector_name() -> String {
    sysinfo::System::host_name().unwrap_or_else(|_| "redirector".into())
}

fn ops_access(config: &Config, bound: SocketAddr, admin: &admin::Bound) -> OpsAccess {
    if config.ops.open || bound.ip().is_loopback() {
        return OpsAccess::Open;
    }
    let credentials = admin.credentials();
    OpsAccess::Token(Arc::new(move |token| {
        let header = token.map(|token| format!("Bearer {token}"));
        credentials.check_viewer(header.as_deref().map(str::as_bytes)).is_ok()
    }))
}

/// The fleet as `ListEdgesResponse`, all of it.
fn fleet_page(fleet: Fleet) -> ops::Page {
    Arc::new(move || {
        let view = fleet.published().fleet();
        let edges = view.edges.iter().map(|edge| edge_message(edge)).collect();
        let all = ListEdgesResponse { edges, next_page_token: String::new() };
        match to_json("ListEdgesResponse", &all) {
            Ok(json) => json.to_string(),
            Err(error) => serde_json::json!({ "error": error.to_string() }).to_string(),
        }
    })
}

fn bad(error: impl fmt::Display) -> StartError {
    StartError::Configuration(error.to_string())
}

fn failed(error: impl fmt::Display) -> StartError {
    StartError::System(error.to_string())
}

#[cfg(test)]
mod tests;
