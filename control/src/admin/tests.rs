//! The API as a client meets it: a real listener on loopback, a real client, a hand-made fleet.

mod encrypted;

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tidegate_proto::admin::{
    AdminState, DrainEdgeRequest, ExplainRequest, ForgetEdgeRequest, GetEdgeRequest,
    ListEdgesRequest, SetWeightRequest, UndrainEdgeRequest, WatchFleetRequest, WatchFleetResponse,
    fleet_service_client::FleetServiceClient, watch_fleet_response::Kind,
};
use tokio::{io::AsyncReadExt, net::TcpStream, sync::oneshot, task::JoinHandle, time::timeout};
use tokio_stream::StreamExt;
use tonic::{
    Code, Request, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1alpha::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::{
    Health, Reload, Settings, bind,
    sample::{Obedient, edge, settings},
    tokens::{NewToken, Role},
};
use crate::snapshot::EdgeView;

const SOON: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    fleet: Obedient,
    health: Health,
    reload: Reload,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    async fn start(settings: Settings, edges: Vec<EdgeView>) -> Self {
        let fleet = Obedient::start(edges);
        let bound = bind(settings, fleet.handle.clone()).await.expect("the settings are fine");
        let (stop, stopped) = oneshot::channel();
        let (address, health, reload) = (bound.local_addr(), bound.health(), bound.reload());
        let served = tokio::spawn(bound.run(async move {
            let _ = stopped.await;
        }));
        Self { address, fleet, health, reload, stop, served }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address));
        endpoint.expect("an address").connect().await.expect("it listens")
    }

    async fn client(&self) -> FleetServiceClient<Channel> {
        FleetServiceClient::new(self.channel().await)
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        timeout(SOON, self.served).await.expect("it stops within bounds").expect("no panic");
    }
}

fn edges(count: u8) -> Vec<EdgeView> {
    (1..=count).map(|seed| edge(seed, &format!("edge-{seed:03}"))).collect()
}

fn list(page_size: i32, page_token: &str, filter: &str) -> ListEdgesRequest {
    ListEdgesRequest { page_size, page_token: page_token.into(), filter: filter.into() }
}

fn drain(edge: &str) -> DrainEdgeRequest {
    DrainEdgeRequest { edge: edge.into(), ..DrainEdgeRequest::default() }
}

fn bearing<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let header = format!("Bearer {token}").parse().expect("a header");
    request.metadata_mut().insert("authorization", header);
    request
}

fn write_secret(path: &Path, text: &str) -> String {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("mode set");
    path.display().to_string()
}

#[tokio::test]
async fn pages_together_are_the_whole_list_in_order() {
    let running = Running::start(settings(), edges(25)).await;
    let mut client = running.client().await;
    let (mut names, mut token) = (Vec::new(), String::new());
    for _page in 0..10 {
        let page = client.list_edges(list(10, &token, "")).await.expect("listed").into_inner();
        names.extend(page.edges.into_iter().map(|edge| edge.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let wanted: Vec<_> = (1..=25).map(|seed| format!("edge-{seed:03}")).collect();
    assert_eq!(names, wanted);
    let two = client.list_edges(list(0, "", "name=edge-02* liveness=UP")).await;
    assert_eq!(two.expect("listed").into_inner().edges.len(), 6);
    running.stop().await;
}

#[tokio::test]
async fn bad_arguments_are_named() {
    let mut running = Running::start(settings(), edges(1)).await;
    let mut client = running.client().await;
    for (request, field) in [
        (list(-1, "", ""), "page_size"),
        (list(0, "x", ""), "page_token"),
        (list(0, "", "zone=a"), "filter"),
    ] {
        let status = client.list_edges(request).await.expect_err("a bad argument");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(&format!("{field}: ")), "{}", status.message());
    }
    let long = "x".repeat(600);
    for (request, field) in [
        (drain(""), "edge"),
        (DrainEdgeRequest { reason: long.clone(), ..drain("edge-001") }, "reason"),
        (DrainEdgeRequest { request_id: long.clone(), ..drain("edge-001") }, "request_id"),
        (DrainEdgeRequest { etag: long.clone(), ..drain("edge-001") }, "etag"),
    ] {
        let status = client.drain_edge(request).await.expect_err("a bad argument");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(&format!("{field}: ")), "{}", status.message());
        let row = running.fleet.audits.recv().await.expect("the attempt is recorded");
        assert_eq!((row.method.as_str(), row.result.as_str()), ("DrainEdge", "INVALID_ARGUMENT"));
        assert_eq!((row.principal.as_str(), row.role.as_str()), ("local", "operator"));
        assert_eq!(row.redirector, "redirector-1");
    }
    let status = client.get_edge(GetEdgeRequest { edge: "nobody".into() }).await;
    assert_eq!(status.expect_err("unknown").code(), Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn orders_reach_the_fleet_and_its_refusals_the_caller() {
    let running = Running::start(settings(), edges(2)).await;
    let mut client = running.client().await;
    let request = DrainEdgeRequest { reason: "kernel\nupdate".into(), ..drain("EDGE-001") };
    let drained = client.drain_edge(request).await.expect("drained").into_inner().edge;
    let drained = drained.expect("the edge as it is now");
    assert_eq!(drained.admin_state(), AdminState::Draining);
    let order = drained.drain.expect("a standing order");
    assert_eq!((order.author.as_str(), order.reason.as_str()), ("local", "kernel\nupdate"));
    let stale = DrainEdgeRequest { etag: "7".into(), ..drain("edge-001") };
    assert_eq!(client.drain_edge(stale).await.expect_err("stale").code(), Code::Aborted);
    let undrain = UndrainEdgeRequest { edge: drained.edge_id, ..UndrainEdgeRequest::default() };
    let active = client.undrain_edge(undrain).await.expect("undrained").into_inner().edge;
    assert_eq!(active.expect("the edge").admin_state(), AdminState::Active);
    running.stop().await;
}

fn weight(edge: &str, weight: f64) -> SetWeightRequest {
    SetWeightRequest { edge: edge.into(), weight, ..SetWeightRequest::default() }
}

#[tokio::test]
async fn weights_reach_the_fleet_and_those_out_of_bounds_are_refused_with_the_way_out() {
    let mut running = Running::start(settings(), edges(1)).await;
    let mut client = running.client().await;
    let request = SetWeightRequest { reason: "new disk".into(), ..weight("edge-001", 2.5) };
    let edge = client.set_weight(request).await.expect("weighted").into_inner().edge;
    let edge = edge.expect("the edge as it is now");
    let by = edge.weighting.expect("who gave it");
    assert_eq!((edge.weight, by.author.as_str(), by.reason.as_str()), (2.5, "local", "new disk"));
    for (figure, wanted) in
        [(0.0, "drain"), (-1.0, "0.01 to 100"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")]
    {
        let status = client.set_weight(weight("edge-001", figure)).await.expect_err("no weight");
        assert_eq!(status.code(), Code::InvalidArgument);
        let said = status.message();
        assert!(said.starts_with("weight: ") && said.contains(wanted), "{said}");
        let row = running.fleet.audits.recv().await.expect("the attempt is recorded");
        assert_eq!((row.method.as_str(), row.result.as_str()), ("SetWeight", "INVALID_ARGUMENT"));
    }
    let stale = SetWeightRequest { etag: "7".into(), ..weight("edge-001", 1.0) };
    assert_eq!(client.set_weight(stale).await.expect_err("stale").code(), Code::Aborted);
    let status = client.set_weight(weight("nobody", 2.0)).await.expect_err("unknown");
    assert_eq!(status.code(), Code::NotFound);
    running.stop().await;
}

#[tokio::test]
async fn a_pick_is_explained_for_every_edge_and_counts_no_redirect() {
    let running = Running::start(settings(), edges(3)).await;
    let mut client = running.client().await;
    client.drain_edge(drain("edge-002")).await.expect("drained");
    let explain = |edge: &str, edges_max| ExplainRequest {
        path: "rtmp://lb.example/live/cam".into(),
        client: "192.0.2.7".into(),
        edge: edge.into(),
        edges_max,
        ..ExplainRequest::default()
    };
    let answer = client.explain(explain("", 0)).await.expect("explained").into_inner();
    assert_eq!((answer.policy.as_str(), answer.mode.as_str()), ("fill", "normal"));
    assert_eq!((answer.scheme.as_str(), answer.stream.len()), ("rtmp", 8));
    assert_eq!(answer.edges.len(), 3);
    let two = client.explain(explain("", 2)).await.expect("explained").into_inner();
    assert_eq!((two.edges.len(), &two.reasons), (2, &answer.reasons));
    assert_eq!(answer.reasons.iter().map(|count| count.edges).sum::<u32>(), 3);
    let one = client.explain(explain("EDGE-002", 0)).await.expect("explained").into_inner().edges;
    assert_eq!((one.len(), one[0].code.as_str(), one[0].chosen), (1, "drained", false));
    assert!(one[0].text.contains("local"), "{}", one[0].text);
    assert!(answer.edges.iter().all(|edge| edge.pending == 0));
    let unknown = client.explain(explain("nobody", 0)).await.expect_err("unknown");
    assert_eq!(unknown.code(), Code::NotFound);
    let request = ExplainRequest { client: "nobody".into(), ..ExplainRequest::default() };
    let status = client.explain(request).await.expect_err("a bad argument");
    assert_eq!(status.code(), Code::InvalidArgument);
    running.stop().await;
}

async fn next(stream: &mut Streaming<WatchFleetResponse>) -> (Kind, String) {
    let message = timeout(SOON, stream.message()).await.expect("soon").expect("no error");
    let message = message.expect("the stream goes on");
    (message.kind(), message.edge.map(|edge| edge.name).unwrap_or_default())
}

#[tokio::test]
async fn a_watch_shows_everything_once_and_then_only_what_changes() {
    let running = Running::start(settings(), edges(2)).await;
    let mut client = running.client().await;
    let mut stream =
        client.watch_fleet(WatchFleetRequest {}).await.expect("it begins").into_inner();
    assert_eq!(next(&mut stream).await, (Kind::Snapshot, "edge-001".into()));
    assert_eq!(next(&mut stream).await, (Kind::Snapshot, "edge-002".into()));
    assert_eq!(next(&mut stream).await, (Kind::Synced, String::new()));
    client.drain_edge(drain("edge-002")).await.expect("drained");
    assert_eq!(next(&mut stream).await, (Kind::Updated, "edge-002".into()));
    running.fleet.put(edge(3, "edge-003"));
    assert_eq!(next(&mut stream).await, (Kind::Updated, "edge-003".into()));
    running.fleet.remove(edge(1, "x").id);
    assert_eq!(next(&mut stream).await, (Kind::Removed, "edge-001".into()));
    let _ = running.stop.send(());
    let end = timeout(SOON, stream.message()).await.expect("soon").expect_err("it stops");
    assert_eq!(end.code(), Code::Unavailable);
    drop((stream, client));
    timeout(SOON, running.served).await.expect("within bounds").expect("no panic");
}

#[tokio::test]
async fn the_hundred_and_first_watcher_is_refused_until_one_leaves() {
    let running = Running::start(settings(), edges(1)).await;
    let (mut streams, mut channels) = (Vec::new(), Vec::new());
    for at in 0..100 {
        if at % 50 == 0 {
            channels.push(running.client().await);
        }
        let client = channels.last_mut().expect("one was made");
        streams.push(client.watch_fleet(WatchFleetRequest {}).await.expect("there is room"));
    }
    let mut client = running.client().await;
    let refused = client.watch_fleet(WatchFleetRequest {}).await.expect_err("no room");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop(streams);
    let mut entered = false;
    for _try in 0..200 {
        entered = client.watch_fleet(WatchFleetRequest {}).await.is_ok();
        if entered {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(entered, "a place that was left is free again");
    running.stop().await;
}

#[tokio::test]
async fn each_role_may_do_what_its_rule_says() {
    let dir = TempDir::new().expect("a temporary folder");
    let viewer = NewToken::generate(Role::Viewer, "vera").expect("a name");
    let operator = NewToken::generate(Role::Operator, "olaf").expect("a name");
    let file =
        write_secret(&dir.path().join("tokens"), &format!("{}\n{}", viewer.line, operator.line));
    let settings = Settings { tokens_file: file, ..settings() };
    let mut running = Running::start(settings, edges(1)).await;
    let mut client = running.client().await;
    for (token, listed, drained) in [
        ("", Code::Unauthenticated, Code::Unauthenticated),
        ("tgt1_wrong", Code::Unauthenticated, Code::Unauthenticated),
        (&viewer.token, Code::Ok, Code::PermissionDenied),
        (&operator.token, Code::Ok, Code::Ok),
    ] {
        let code = client.list_edges(bearing(token, list(0, "", ""))).await;
        assert_eq!(code.err().map_or(Code::Ok, |status| status.code()), listed, "{token}");
        let code = client.explain(bearing(token, ExplainRequest::default())).await;
        assert_eq!(code.err().map_or(Code::Ok, |status| status.code()), listed, "{token}");
        let code = client.drain_edge(bearing(token, drain("edge-001"))).await;
        assert_eq!(code.err().map_or(Code::Ok, |status| status.code()), drained, "{token}");
        let code = client.set_weight(bearing(token, weight("edge-001", 2.0))).await;
        assert_eq!(code.err().map_or(Code::Ok, |status| status.code()), drained, "{token}");
    }
    let bare = client.forget_edge(ForgetEdgeRequest { edge: "edge-001".into() }).await;
    assert_eq!(bare.expect_err("no token").code(), Code::Unauthenticated);
    let mut seen = Vec::new();
    while let Ok(row) = running.fleet.audits.try_recv() {
        assert!(!format!("{row:?}").contains("tgt1_"), "a token is in the record: {row:?}");
        seen.push((row.principal, row.method, row.result));
    }
    let vera = ("vera".to_owned(), "DrainEdge".to_owned(), "PERMISSION_DENIED".to_owned());
    assert!(seen.contains(&vera), "{seen:?}");
    assert_eq!(seen.len(), 11, "each denied call once: {seen:?}");
    let mut health = HealthClient::new(running.channel().await);
    health.check(HealthCheckRequest::default()).await.expect("health is open");
    assert_eq!(reflected(&running, "").await.err(), Some(Code::Unauthenticated));
    assert!(reflected(&running, &viewer.token).await.is_ok());
    running.stop().await;
}

#[tokio::test]
async fn a_replaced_tokens_file_counts_from_the_reload_on() {
    let dir = TempDir::new().expect("a temporary folder");
    let path = dir.path().join("tokens");
    let old = NewToken::generate(Role::Viewer, "old").expect("a name");
    let new = NewToken::generate(Role::Viewer, "new").expect("a name");
    let file = write_secret(&path, &old.line);
    let running = Running::start(Settings { tokens_file: file, ..settings() }, edges(1)).await;
    let mut client = running.client().await;
    fs::write(&path, "viewer broken").expect("written");
    let said = running.reload.reload_tokens().expect_err("the file is broken");
    assert!(said.contains("line 1") && said.contains("admin.tokens_file"), "{said}");
    client.list_edges(bearing(&old.token, list(0, "", ""))).await.expect("the old one holds");
    fs::write(&path, &new.line).expect("written");
    running.reload.reload_tokens().expect("the file is fine");
    client.list_edges(bearing(&new.token, list(0, "", ""))).await.expect("the new one holds");
    assert!(client.list_edges(bearing(&old.token, list(0, "", ""))).await.is_err());
    running.stop().await;
}

#[tokio::test]
async fn a_caller_who_floods_is_held_back_and_others_are_not() {
    let dir = TempDir::new().expect("a temporary folder");
    let [greedy, modest] =
        ["greedy", "modest"].map(|name| NewToken::generate(Role::Viewer, name).expect("a name"));
    let file = write_secret(&dir.path().join("t"), &format!("{}\n{}", greedy.line, modest.line));
    let running = Running::start(Settings { tokens_file: file, ..settings() }, Vec::new()).await;
    let mut client = running.client().await;
    let mut held_back = false;
    for _call in 0..5_000 {
        let answer = client.list_edges(bearing(&greedy.token, list(0, "", ""))).await;
        if let Err(status) = answer {
            assert_eq!(status.code(), Code::ResourceExhausted);
            held_back = true;
            break;
        }
    }
    assert!(held_back);
    client.list_edges(bearing(&modest.token, list(0, "", ""))).await.expect("not held back");
    running.stop().await;
}

async fn reflected(running: &Running, token: &str) -> Result<Vec<String>, Code> {
    let mut client = ServerReflectionClient::new(running.channel().await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asks = tokio_stream::once(ask);
    let mut answers = client
        .server_reflection_info(bearing(token, asks))
        .await
        .map_err(|status| status.code())?
        .into_inner();
    let answer = answers.next().await.expect("an answer").map_err(|status| status.code())?;
    match answer.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("not a list: {other:?}"),
    }
}

#[tokio::test]
async fn older_clients_find_the_service_by_reflection() {
    let running = Running::start(settings(), Vec::new()).await;
    let services = reflected(&running, "").await.expect("reflection is on");
    assert!(services.contains(&"tidegate.admin.v1.FleetService".to_owned()), "{services:?}");
    running.stop().await;
    let off = Running::start(Settings { reflection: false, ..settings() }, Vec::new()).await;
    assert_eq!(reflected(&off, "").await.err(), Some(Code::Unimplemented));
    off.stop().await;
}

#[tokio::test]
async fn health_speaks_of_the_server_and_the_service_alone() {
    let running = Running::start(settings(), Vec::new()).await;
    let mut client = HealthClient::new(running.channel().await);
    let mut ask = async |service: &str| {
        let request = HealthCheckRequest { service: service.into() };
        let answer = client.check(request).await.map(|answer| answer.into_inner().status);
        answer.map_err(|status| status.code())
    };
    assert_eq!(ask("").await, Ok(1));
    assert_eq!(ask("tidegate.admin.v1.FleetService").await, Ok(1));
    assert_eq!(ask("else").await, Err(Code::NotFound));
    running.health.stop_serving().await;
    assert_eq!(ask("").await, Ok(2));
    assert_eq!(ask("tidegate.admin.v1.FleetService").await, Ok(2));
    running.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_cut() {
    let running = Running::start(settings(), Vec::new()).await;
    let mut silent = TcpStream::connect(running.address).await.expect("it listens");
    let mut bytes = Vec::new();
    let ended = timeout(SOON, silent.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok(), "whoever says nothing holds a connection");
    running.stop().await;
}

#[tokio::test]
async fn a_stream_that_never_ends_is_cut_when_time_is_up() {
    let running = Running::start(settings(), Vec::new()).await;
    let mut client = HealthClient::new(running.channel().await);
    let watch = client.watch(HealthCheckRequest::default()).await.expect("it begins");
    let mut watch = watch.into_inner();
    assert_eq!(watch.message().await.expect("a first word").map(|word| word.status), Some(1));
    running.stop().await;
    let last = watch.message().await.expect("the change that was told before");
    assert_eq!(last.map(|word| word.status), Some(2));
    let end = timeout(SOON, watch.message()).await.expect("the stream outlives the server");
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test]
async fn an_exposed_listener_is_refused_before_it_binds() {
    let open = Settings { listen: ([0, 0, 0, 0], 0).into(), ..settings() };
    let fault = bind(open, Obedient::start(Vec::new()).handle).await.expect_err("exposed");
    assert!(fault.to_string().contains("admin.insecure"), "{fault}");
}
