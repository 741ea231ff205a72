//! A gRPC client for tests that give many orders; those that check the protocol use grpcurl.

use std::{net::SocketAddr, time::Duration};

use tidegate_proto::admin::{
    DrainEdgeRequest, Edge, GetEdgeRequest, UndrainEdgeRequest,
    fleet_service_client::FleetServiceClient,
};
use tokio::runtime::Runtime;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

const DEADLINE: Duration = Duration::from_secs(10);

/// The asynchronous client itself.
pub async fn connect(address: SocketAddr) -> Result<FleetServiceClient<Channel>, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|e| e.to_string())?;
    let channel = endpoint.timeout(DEADLINE).connect_timeout(DEADLINE).connect().await;
    channel.map(FleetServiceClient::new).map_err(|error| error.to_string())
}

/// A client that blocks.
#[derive(Debug)]
pub struct Rpc {
    client: FleetServiceClient<Channel>,
    runtime: Runtime,
}

impl Rpc {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let client = runtime.block_on(connect(address))?;
        Ok(Self { client, runtime })
    }

    /// Drains or undrains an edge; OK is the redirector's promise.
    pub fn order(&mut self, edge: &str, drain: bool) -> Result<Edge, Status> {
        let edge = edge.to_owned();
        self.runtime.block_on(async {
            let answered = if drain {
                let request = DrainEdgeRequest { edge, ..Default::default() };
                self.client.drain_edge(request).await?.into_inner().edge
            } else {
                let request = UndrainEdgeRequest { edge, ..Default::default() };
                self.client.undrain_edge(request).await?.into_inner().edge
            };
            answered.ok_or_else(|| Status::internal("an answer without an edge"))
        })
    }

    /// One edge.
    pub fn get(&mut self, edge: &str) -> Result<Edge, Status> {
        let request = GetEdgeRequest { edge: edge.to_owned() };
        let answered = self.runtime.block_on(self.client.get_edge(request))?.into_inner().edge;
        answered.ok_or_else(|| Status::internal("an answer without an edge"))
    }
}
