//! The service itself: arguments are checked, the fleet is asked, its answer is put into words.

use std::sync::Arc;

use tidegate_proto::admin::{
    DrainEdgeRequest, DrainEdgeResponse, Edge, ExplainRequest, ExplainResponse, ForgetEdgeRequest,
    ForgetEdgeResponse, GetEdgeRequest, GetEdgeResponse, ListEdgesRequest, ListEdgesResponse,
    SetWeightRequest, SetWeightResponse, UndrainEdgeRequest, UndrainEdgeResponse,
    WatchFleetRequest, fleet_service_server::FleetService,
};
use tokio::sync::{Semaphore, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use super::{
    audit::Audit,
    explain::{Entrance, Question},
    filter::Filter,
    page,
    refusal::{self, invalid},
    watch as watcher,
};
use crate::{
    fleet::Fleet,
    message::edge_message_at,
    order::{self, Principal, Verb, Weight},
    resolve::resolve,
};

const WATCHERS_MAX: usize = 100;
/// Explanations under way; others wait. Each looks at the whole fleet.
const EXPLAINING_MAX: usize = 1;
const EDGE_LEN_MAX: usize = tidegate_proto::edge::NAME_LEN_MAX;
const REASON_LEN_MAX: usize = 512;
const REQUEST_ID_LEN_MAX: usize = 128;
const ETAG_LEN_MAX: usize = 64;

/// `tidegate.admin.v1.FleetService` over the fleet's handle.
pub(crate) struct Service {
    fleet: Fleet,
    audit: Audit,
    watchers: Arc<Semaphore>,
    explaining: Arc<Semaphore>,
    entrance: Arc<Entrance>,
    stopping: watch::Receiver<bool>,
}

impl Service {
    pub(crate) fn new(
        fleet: Fleet,
        audit: Audit,
        entrance: Arc<Entrance>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
        let explaining = Arc::new(Semaphore::new(EXPLAINING_MAX));
        Self { fleet, audit, watchers, explaining, entrance, stopping }
    }

    /// Gives an order. It goes on in a task of its own, so that a caller who hangs up leaves
    /// neither a half-given order nor one without a line in the log.
    async fn order(&self, request: order::Request) -> Result<Edge, Status> {
        if let Err(status) = check(&request) {
            self.audit.invalid(&request, &status);
            return Err(status);
        }
        let (fleet, audit) = (self.fleet.clone(), self.audit.clone());
        let judging = async move {
            let outcome = fleet.order(request.clone()).await.map_err(|why| refusal::status(&why));
            audit.judged(&request, &outcome);
            outcome
        };
        tokio::spawn(judging.in_current_span())
            .await
            .unwrap_or_else(|_| Err(Status::internal("the order's task failed; see the log")))
    }
}

#[tonic::async_trait]
impl FleetService for Service {
    async fn list_edges(
        &self,
        request: Request<ListEdgesRequest>,
    ) -> Result<Response<ListEdgesResponse>, Status> {
        let ListEdgesRequest { page_size, page_token, filter } = request.into_inner();
        let size = page::size(page_size)?;
        let filter = Filter::parse(&filter)?;
        let snapshot = self.fleet.published().copy();
        let after = page::edges_after(&snapshot.fleet, &page_token)?;
        let first = snapshot.fleet.edges.len() - after.len();
        let mut found = (first..).zip(after).filter(|(_, edge)| filter.admits(edge));
        let on_page: Vec<_> = found.by_ref().take(size).collect();
        let more = found.next().is_some();
        let last = on_page.last().filter(|_| more);
        Ok(Response::new(ListEdgesResponse {
            next_page_token: last.map(|(_, edge)| page::token_after(edge)).unwrap_or_default(),
            edges: on_page.iter().filter_map(|(at, _)| edge_message_at(&snapshot, *at)).collect(),
        }))
    }

    async fn get_edge(
        &self,
        request: Request<GetEdgeRequest>,
    ) -> Result<Response<GetEdgeResponse>, Status> {
        let name = request.into_inner().edge;
        check_edge(&name)?;
        let snapshot = self.fleet.published().copy();
        let edge = resolve(&snapshot.fleet, &name).map_err(|why| refusal::status(&why))?;
        let place = snapshot.fleet.by_id.get(&edge.id);
        let edge = place.and_then(|place| edge_message_at(&snapshot, *place));
        Ok(Response::new(GetEdgeResponse { edge }))
    }

    type WatchFleetStream = ReceiverStream<watcher::Item>;

    async fn watch_fleet(
        &self,
        _request: Request<WatchFleetRequest>,
    ) -> Result<Response<Self::WatchFleetStream>, Status> {
        let permit = Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{WATCHERS_MAX} watchers are here already; end one or use ListEdges"
            ))
        })?;
        let (fleet, stopping) = (self.fleet.clone(), self.stopping.clone());
        let items = watcher::start(fleet, stopping, permit, watcher::Tempo::default());
        Ok(Response::new(ReceiverStream::new(items)))
    }

    async fn drain_edge(
        &self,
        request: Request<DrainEdgeRequest>,
    ) -> Result<Response<DrainEdgeResponse>, Status> {
        let principal = principal(&request)?;
        let DrainEdgeRequest { edge, reason, request_id, etag } = request.into_inner();
        let verb = Verb::Drain;
        let order = order::Request { verb, edge, reason, request_id, etag, principal };
        Ok(Response::new(DrainEdgeResponse { edge: Some(self.order(order).await?) }))
    }

    async fn undrain_edge(
        &self,
        request: Request<UndrainEdgeRequest>,
    ) -> Result<Response<UndrainEdgeResponse>, Status> {
        let principal = principal(&request)?;
        let UndrainEdgeRequest { edge, reason, request_id, etag } = request.into_inner();
        let verb = Verb::Undrain;
        let order = order::Request { verb, edge, reason, request_id, etag, principal };
        Ok(Response::new(UndrainEdgeResponse { edge: Some(self.order(order).await?) }))
    }

    async fn forget_edge(
        &self,
        request: Request<ForgetEdgeRequest>,
    ) -> Result<Response<ForgetEdgeResponse>, Status> {
        let principal = principal(&request)?;
        let order = order::Request {
            verb: Verb::Forget,
            edge: request.into_inner().edge,
            reason: String::new(),
            request_id: String::new(),
            etag: String::new(),
            principal,
        };
        self.order(order).await?;
        Ok(Response::new(ForgetEdgeResponse {}))
    }

    async fn set_weight(
        &self,
        request: Request<SetWeightRequest>,
    ) -> Result<Response<SetWeightResponse>, Status> {
        let principal = principal(&request)?;
        let SetWeightRequest { edge, weight, request_id, etag, reason } = request.into_inner();
        let weight = Weight::try_from(weight);
        let verb = Verb::SetWeight(weight.unwrap_or_default());
        let order = order::Request { verb, edge, reason, request_id, etag, principal };
        if let Err(fault) = weight {
            let status = invalid("weight", fault);
            self.audit.invalid(&order, &status);
            return Err(status);
        }
        Ok(Response::new(SetWeightResponse { edge: Some(self.order(order).await?) }))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        let question = Question::read(request.into_inner())?;
        let failed = || Status::internal("the explanation failed; see the log");
        let turn = Arc::clone(&self.explaining).acquire_owned().await.map_err(|_| failed())?;
        let (snapshot, now) = (self.fleet.published().copy(), self.fleet.now());
        let entrance = Arc::clone(&self.entrance);
        let explaining = tokio::task::spawn_blocking(move || {
            let answer = question.answer(&snapshot, &entrance, now);
            drop(turn);
            answer
        });
        explaining.await.map_err(|_| failed())?.map(Response::new)
    }
}

/// Whom the gate let in. A call that did not come through it is nobody's.
fn principal<T>(request: &Request<T>) -> Result<Principal, Status> {
    request
        .extensions()
        .get::<Principal>()
        .cloned()
        .ok_or_else(|| Status::unauthenticated("nobody has established who calls"))
}

fn check(request: &order::Request) -> Result<(), Status> {
    check_edge(&request.edge)?;
    check_len("reason", &request.reason, REASON_LEN_MAX)?;
    check_len("request_id", &request.request_id, REQUEST_ID_LEN_MAX)?;
    check_len("etag", &request.etag, ETAG_LEN_MAX)
}

fn check_edge(edge: &str) -> Result<(), Status> {
    if edge.is_empty() {
        return Err(invalid(
            "edge",
            "must not be empty; give a name or a UUID that ListEdges shows",
        ));
    }
    check_len("edge", edge, EDGE_LEN_MAX)
}

fn check_len(field: &str, text: &str, max: usize) -> Result<(), Status> {
    let count = text.chars().count();
    if count > max {
        return Err(invalid(field, format_args!("has {count} characters, at most {max} are kept")));
    }
    Ok(())
}
