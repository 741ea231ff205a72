//! Commands against redirectors that say what a test wants them to.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tidegate_proto::admin::{
    DrainEdgeRequest, DrainEdgeResponse, Edge, ExplainRequest, ExplainResponse, ForgetEdgeRequest,
    ForgetEdgeResponse, GetEdgeRequest, GetEdgeResponse, ListEdgesRequest, ListEdgesResponse,
    SetWeightRequest, SetWeightResponse, UndrainEdgeRequest, UndrainEdgeResponse,
    WatchFleetRequest, WatchFleetResponse,
    fleet_service_server::{FleetService, FleetServiceServer},
    watch_fleet_response::Kind,
};
use tokio::net::TcpListener;
use tokio_stream::{Iter, wrappers::TcpListenerStream};
use tonic::{Code, Request, Response, Status, transport::Server};

use crate::{
    args::{Explain, Order, Output, Reach},
    explain,
    failure::Failure,
    follow, orders, reads,
    target::{Target, targets},
};

/// A redirector that answers every call with a code, and remembers the request ids it saw.
#[derive(Clone)]
struct Puppet {
    code: Code,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Puppet {
    fn say<T>(&self, id: &str, answer: T) -> Result<Response<T>, Status> {
        self.seen.lock().expect("no test panics with it").push(id.to_owned());
        match self.code {
            Code::Ok => Ok(Response::new(answer)),
            code => Err(Status::new(code, "as the test\u{1b}[2J wants")),
        }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no test panics with it").clone()
    }
}

fn edge() -> Edge {
    Edge { name: "edge-1".into(), ..Edge::default() }
}

#[tonic::async_trait]
impl FleetService for Puppet {
    async fn list_edges(
        &self,
        _: Request<ListEdgesRequest>,
    ) -> Result<Response<ListEdgesResponse>, Status> {
        self.say("", ListEdgesResponse { edges: vec![edge()], ..ListEdgesResponse::default() })
    }

    async fn get_edge(
        &self,
        _: Request<GetEdgeRequest>,
    ) -> Result<Response<GetEdgeResponse>, Status> {
        self.say("", GetEdgeResponse { edge: Some(edge()) })
    }

    type WatchFleetStream = Iter<std::vec::IntoIter<Result<WatchFleetResponse, Status>>>;

    async fn watch_fleet(
        &self,
        _: Request<WatchFleetRequest>,
    ) -> Result<Response<Self::WatchFleetStream>, Status> {
        let message =
            |kind: Kind, edge| WatchFleetResponse { kind: kind.into(), edge, revision: 0 };
        let items = vec![
            Ok(message(Kind::Snapshot, Some(edge()))),
            Ok(message(Kind::Synced, None)),
            Err(Status::permission_denied("enough")),
        ];
        self.say("", tokio_stream::iter(items))
    }

    async fn drain_edge(
        &self,
        request: Request<DrainEdgeRequest>,
    ) -> Result<Response<DrainEdgeResponse>, Status> {
        self.say(&request.get_ref().request_id, DrainEdgeResponse { edge: Some(edge()) })
    }

    async fn undrain_edge(
        &self,
        request: Request<UndrainEdgeRequest>,
    ) -> Result<Response<UndrainEdgeResponse>, Status> {
        self.say(&request.get_ref().request_id, UndrainEdgeResponse { edge: Some(edge()) })
    }

    async fn set_weight(
        &self,
        request: Request<SetWeightRequest>,
    ) -> Result<Response<SetWeightResponse>, Status> {
        let SetWeightRequest { request_id, weight, .. } = request.into_inner();
        self.say(&request_id, SetWeightResponse { edge: Some(Edge { weight, ..edge() }) })
    }

    async fn explain(
        &self,
        _: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        self.say("", ExplainResponse::default())
    }

    async fn forget_edge(
        &self,
        _: Request<ForgetEdgeRequest>,
    ) -> Result<Response<ForgetEdgeResponse>, Status> {
        self.say("", ForgetEdgeResponse {})
    }
}

async fn puppet(code: Code) -> (SocketAddr, Puppet) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let puppet = Puppet { code, seen: Arc::default() };
    let service = FleetServiceServer::new(puppet.clone());
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    (address, puppet)
}

/// A port that nobody listens on.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("it was bound")
}

fn reach(addresses: &[SocketAddr]) -> Vec<Target> {
    let admin = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    targets(&Reach { admin, ..Reach::default() }).expect("addresses are fine")
}

fn order() -> Order {
    Order { name: "edge-1".into(), reason: String::new(), etag: String::new(), request_id: None }
}

fn said(outcome: Result<(), Failure>) -> String {
    let failure = outcome.expect_err("it fails");
    assert_eq!(failure.exit_code(), 1);
    failure.to_string()
}

#[tokio::test]
async fn an_order_goes_to_all_under_one_id_and_the_failed_are_named() {
    let (good_at, good) = puppet(Code::Ok).await;
    let (bad_at, bad) = puppet(Code::PermissionDenied).await;
    let gone = nobody().await;
    let all = reach(&[bad_at, gone, good_at]);
    let said = said(orders::drain(&all, order(), Output::Table).await);
    assert!(said.starts_with("drain edge-1 failed at 2 of 3 redirectors:\n"), "{said}");
    assert!(said.contains(&format!("{bad_at}: as the test\\u{{1b}}[2J wants")), "{said}");
    assert!(said.contains(&format!("{gone}: cannot be reached: ")), "{said}");
    assert!(said.contains("--admin") && !said.contains(&good_at.to_string()), "{said}");
    assert_eq!(good.seen(), bad.seen());
    assert!(!good.seen()[0].is_empty());
    let fine = reach(&[good_at]);
    assert!(orders::undrain(&fine, order(), Output::Json).await.is_ok());
    assert!(orders::weight(&fine, order(), 2.0, Output::Table).await.is_ok());
    assert!(orders::forget(&fine, "edge-1", Output::Table).await.is_ok());
}

#[tokio::test]
async fn an_etag_is_for_one_redirector() {
    let two = reach(&[nobody().await, nobody().await]);
    let order = Order { etag: "7".into(), ..order() };
    let failure = orders::drain(&two, order, Output::Table).await.expect_err("two redirectors");
    assert_eq!(failure.exit_code(), 64);
}

#[tokio::test]
async fn a_question_goes_on_to_the_next_that_can_answer() {
    let (good_at, good) = puppet(Code::Ok).await;
    let (stopping, _) = puppet(Code::Unavailable).await;
    let all = reach(&[nobody().await, stopping, good_at]);
    assert!(reads::edges(&all, "", true, Output::Table).await.is_ok());
    assert!(reads::edge(&all, "edge-1", Output::Json).await.is_ok());
    for output in [Output::Table, Output::Json] {
        assert!(explain::explain(&all, Explain::default(), output).await.is_ok());
    }
    assert_eq!(good.seen().len(), 4);
}

#[tokio::test]
async fn an_answer_is_not_asked_for_twice() {
    let (unknown_at, _) = puppet(Code::NotFound).await;
    let (other_at, other) = puppet(Code::Ok).await;
    let both = reach(&[unknown_at, other_at]);
    said(reads::edge(&both, "edge-9", Output::Table).await);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn a_watch_shows_what_it_hears_and_ends_with_the_last_word() {
    let (at, _) = puppet(Code::Ok).await;
    for output in [Output::Table, Output::Json] {
        let said = said(follow::watch(&reach(&[at]), output).await);
        assert!(said.ends_with(": enough"), "{said}");
    }
    let said = said(follow::watch(&reach(&[nobody().await]), Output::Table).await);
    assert!(said.contains("cannot be reached"), "{said}");
}
