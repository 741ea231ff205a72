//! The server: everything is opened and bound first, then served, then left in good order.

mod addresses;
mod assemble;
mod first_edge;
mod followed;
pub(crate) mod open_files;
mod reload;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tidegate_control::{
    admin,
    clock::Clock,
    fleet::{Fleet, Running},
    selection::Selection,
    store::{self, OnCorrupt},
};
use tidegate_proto::key::SendKey;
use tokio::{
    signal::unix::Signal,
    sync::{mpsc, oneshot, watch},
};

pub use self::addresses::Addresses;
use self::{
    assemble::{
        answer_rules, bind_admin, client_limits, client_services, entrance, fleet_page, ops_access,
        redirector_name, rtmp_limits,
    },
    followed::Followed,
    open_files::Room,
    reload::{Checked, GeoIpFile, KeysFile, Reloads},
};
pub use crate::tasks::Ended;
use crate::{
    clients::Clients,
    config::Config,
    figures::IngestFigures,
    front::{Front, FrontFigures, Limits as FrontLimits, Services, Tls},
    gate::{Entropy, Gate},
    ingest::Ingest,
    metrics::{Metrics, Sources},
    ops::{self, Ops, Readiness},
    tasks::Tasks,
    telemetry::Collector,
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

/// A server whose listeners are all bound.
pub struct Server {
    stop_delay: Duration,
    client_limits: FrontLimits,
    followed: Followed,
    keys_file: KeysFile,
    tls: Option<Arc<Tls>>,
    geoip_file: Option<GeoIpFile>,
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
        let Checked { followed, ring, rules, selection, geoip_file, tls, notes } =
            Checked::read(&config)?;
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
            open_fleet(&config, selection, clock, Gate::new(ring, rules, Entropy::random()))
                .await?;
        readiness.set_store_open(true);
        readiness.set_snapshot_loaded(true);
        let first_edge_wait = config.ops.first_edge_wait;
        first_edge::begin(first_edge_wait, fleet.clone(), clock, Arc::clone(&readiness));

        let rules = answer_rules(&config, &clients_front.local_addrs())?;
        let admin = bind_admin(&config, fleet.clone()).await?;
        let admin = admin.entered_at(entrance(&rules, &clients_front.local_addrs()));
        let room = Room::of(&config);
        let clients = Clients::new(
            Arc::clone(fleet.published()),
            Arc::new(rules),
            clock,
            rtmp_limits(&config, room),
        );
        let ingest_figures = Arc::new(IngestFigures::default());
        let front_figures = Arc::new(FrontFigures::default());
        let sources = Sources {
            ingest: Arc::clone(&ingest_figures),
            fleet: Arc::new(fleet.clone()),
            clients: clients.clone(),
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
            client_limits: client_limits(&config, room),
            followed,
            keys_file,
            tls,
            geoip_file,
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
            client_tls: self.tls.is_some(),
            admin: self.admin.local_addr(),
            ops: self.ops_front.local_addrs()[0],
        }
    }

    /// The key that the demo's edges seal with: the first of the keys file.
    pub fn demo_key(&self) -> Result<SendKey, StartError> {
        self.keys_file.first_key()
    }

    /// Serves until `stop` comes, reads files that change, and all at each of `reloads`. Then it is
    /// unready but serves for the stop delay, while clients are asked to leave; then it finishes what
    /// is under way, hears the last heartbeats and stores them.
    ///
    /// # Errors
    /// [`Ended`] if a part of it ended by itself: the rest would only seem to work, so it stops too.
    pub async fn run(self, stop: oneshot::Receiver<()>, reloads: Signal) -> Result<(), Ended> {
        let (commands, commands_in) = mpsc::channel(4);
        let (end_front, front_ended) = watch::channel(false);
        let (end_ingest, ingest_ended) = watch::channel(false);
        let (end_ops, ops_ended) = watch::channel(false);
        let health = self.admin.health();
        let reloading = Reloads {
            followed: self.followed,
            keys_file: self.keys_file,
            gate: commands,
            tls: self.tls.clone(),
            geoip_file: self.geoip_file,
            admin: self.admin.reload(),
        };
        let reloading = tokio::spawn(reloading.obey(reloads));
        let readiness = Arc::clone(&self.ops.readiness);
        let leaving = self.clients_front.leaving();
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
            client_services(self.clients, self.tls),
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

        let went = tokio::select! {
            _ = stop => Ok(()),
            ended = front.first_end() => Err(ended),
            ended = ingest.first_end() => Err(ended),
            ended = ops.first_end() => Err(ended),
            () = self.fleet.ended() => Err(Ended("the fleet's writer")),
        };
        readiness.set_listeners_bound(false);
        leaving.begin();
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

async fn open_fleet(
    config: &Config,
    selection: Selection,
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
    let (fleet, writer) = Fleet::start(
        config.patience(),
        selection,
        &opened.memory,
        opened.store,
        clock,
        &redirector_name(),
    );
    if let Some(degraded) = &opened.degraded {
        tracing::error!("{degraded}");
        fleet.figures().store_failed.store(true, Relaxed);
    }
    Ok((fleet, writer, gate))
}

fn bad(error: impl fmt::Display) -> StartError {
    StartError::Configuration(error.to_string())
}

fn failed(error: impl fmt::Display) -> StartError {
    StartError::System(error.to_string())
}

#[cfg(test)]
mod tests;
