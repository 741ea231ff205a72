//! The admin API as a listener: bound first, served until told to stop, stopped within bounds.

use std::{fmt, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tidegate_proto::admin::{self, fleet_service_server::FleetServiceServer};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    server::NamedService,
    service::Routes,
    transport::{Server, server::Router},
};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::Builder as Reflection;
use tower::{
    layer::util::{Identity, Stack},
    limit::GlobalConcurrencyLimitLayer,
    load_shed::LoadShedLayer,
};

use super::{
    audit::Audit, auth::Credentials, connection, explain::Entrance, gate::GateLayer,
    service::Service, settings::Settings, tls::Tls, trace::TraceLayer, watch::stopped,
};
use crate::fleet::Fleet;

/// Calls under way at the same time over all connections; more are refused at once.
const CALLS_MAX: usize = 256;
const STREAMS_MAX: u32 = 64;
const MESSAGE_LEN_MAX: usize = 1 << 20;
const HEADERS_LEN_MAX: u32 = 16 << 10;
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Connections are asked to go after this, so that they spread over redirectors again.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(30 * 60);
/// Calls under way may finish within this once the listener stops; then connections are cut.
const STOP_WITHIN: Duration = Duration::from_secs(10);
const FLEET_SERVICE: &str = <FleetServiceServer<Service> as NamedService>::NAME;

type Layers = Stack<
    GateLayer,
    Stack<GlobalConcurrencyLimitLayer, Stack<LoadShedLayer, Stack<TraceLayer, Identity>>>,
>;

/// Why the admin API did not start. The message names the place and the way out.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The configuration, or a file it names, is not acceptable.
    #[error("{0}")]
    Settings(String),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address} for the admin API: {source}; free the port or set admin.listen"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Checks the settings and every file they name. The message names the key and the file.
pub fn check(settings: &Settings) -> Result<(), String> {
    load(settings).map(drop)
}

fn load(settings: &Settings) -> Result<(Credentials, Option<Arc<Tls>>), String> {
    settings.check()?;
    Ok((Credentials::load(settings)?, Tls::load(settings)?))
}

/// Checks the settings, reads every file they name and binds the listener.
pub async fn bind(settings: Settings, fleet: Fleet) -> Result<Bound, BindError> {
    let (credentials, tls) = load(&settings).map_err(BindError::Settings)?;
    let address = settings.listen;
    let refused = |source| BindError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let local_addr = listener.local_addr().map_err(refused)?;
    let health = Health(HealthReporter::new());
    health.set(ServingStatus::Serving).await;
    Ok(Bound {
        settings,
        fleet,
        credentials,
        tls,
        listener,
        local_addr,
        health,
        entrance: Arc::default(),
    })
}

/// The admin API, listening and not yet serving.
pub struct Bound {
    settings: Settings,
    fleet: Fleet,
    credentials: Credentials,
    tls: Option<Arc<Tls>>,
    listener: TcpListener,
    local_addr: SocketAddr,
    health: Health,
    entrance: Arc<Entrance>,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl Bound {
    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Says where clients come in, which explanations go by.
    #[must_use]
    pub fn entered_at(self, entrance: Entrance) -> Self {
        Self { entrance: Arc::new(entrance), ..self }
    }

    /// What `grpc.health.v1` answers; flip it as soon as the process begins to stop.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// What callers are recognised by, for the HTTP pages that ask for a viewer.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    /// Replaces certificates and tokens while it serves.
    #[must_use]
    pub fn reload(&self) -> Reload {
        Reload { credentials: self.credentials.clone(), tls: self.tls.clone() }
    }

    /// Serves until `shutdown` completes. Then health says so, watches end, calls under way get
    /// 10 s, and whatever connection is left is cut.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopping) = watch::channel(false);
        let (kill, killed) = watch::channel(false);
        let (out, incoming) = mpsc::channel(16);
        let health = self.health.clone();
        let router = self.router(stopping.clone());
        tokio::spawn(connection::accept(self.listener, self.tls, killed, out));
        let mut stop_seen = stopping;
        let signal = async move { stopped(&mut stop_seen).await };
        let mut serving =
            pin!(router.serve_with_incoming_shutdown(ReceiverStream::new(incoming), signal));
        tokio::select! {
            ended = &mut serving => {
                tracing::error!(?ended, "the admin API has ended by itself");
                return;
            }
            () = shutdown => {}
        }
        health.stop_serving().await;
        stop.send_replace(true);
        if timeout(STOP_WITHIN, serving).await.is_err() {
            // Graceful shutdown waits for idle half-open connections without end
            // (<https://github.com/hyperium/hyper/issues/4170>).
            kill.send_replace(true);
        }
    }

    fn router(&self, stopping: watch::Receiver<bool>) -> Router<Layers> {
        let audit = Audit::new(self.fleet.clone(), self.settings.redirector.clone());
        let service =
            Service::new(self.fleet.clone(), audit.clone(), Arc::clone(&self.entrance), stopping);
        Server::builder()
            .max_concurrent_streams(STREAMS_MAX)
            .http2_keepalive_interval(Some(PING_EVERY))
            .http2_keepalive_timeout(Some(PONG_WITHIN))
            .http2_max_header_list_size(HEADERS_LEN_MAX)
            .max_connection_age(CONNECTION_AGE_MAX)
            .layer(TraceLayer)
            .layer(LoadShedLayer::new())
            .layer(GlobalConcurrencyLimitLayer::new(CALLS_MAX))
            .layer(GateLayer::new(self.credentials.clone(), audit))
            .add_routes(self.routes(service))
    }

    fn routes(&self, service: Service) -> Routes {
        let service = FleetServiceServer::new(service).max_decoding_message_size(MESSAGE_LEN_MAX);
        let health = HealthServer::new(HealthService::from_health_reporter(self.health.0.clone()))
            .max_decoding_message_size(MESSAGE_LEN_MAX);
        let routes = Routes::new(service).add_service(health);
        if !self.settings.reflection {
            return routes;
        }
        let v1 = reflection().build_v1().expect("the descriptor sets were compiled");
        let v1alpha = reflection().build_v1alpha().expect("the descriptor sets were compiled");
        routes
            .add_service(v1.max_decoding_message_size(MESSAGE_LEN_MAX))
            .add_service(v1alpha.max_decoding_message_size(MESSAGE_LEN_MAX))
    }
}

fn reflection() -> Reflection<'static> {
    Reflection::configure()
        .register_encoded_file_descriptor_set(admin::DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// What `grpc.health.v1` answers for the server and for the service.
#[derive(Debug, Clone)]
pub struct Health(HealthReporter);

impl Health {
    /// From now on both are NOT_SERVING. Calls are still answered.
    pub async fn stop_serving(&self) {
        self.set(ServingStatus::NotServing).await;
    }

    async fn set(&self, status: ServingStatus) {
        for service in ["", FLEET_SERVICE] {
            self.0.set_service_status(service, status).await;
        }
    }
}

/// Replaces certificates and tokens while the API serves.
#[derive(Clone)]
pub struct Reload {
    credentials: Credentials,
    tls: Option<Arc<Tls>>,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}

impl Reload {
    /// Reads the tokens again and uses them for new calls. On an error, which names the file, the old
    /// ones stay. It reads a file: call it where blocking is fine.
    pub fn reload_tokens(&self) -> Result<(), String> {
        self.credentials.reload()
    }

    /// The same for the certificates and new handshakes. A broken tokens file is not in their way.
    pub fn reload_certificates(&self) -> Result<(), String> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
    }
}
