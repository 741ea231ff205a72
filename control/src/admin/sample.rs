//! Hand-made views and a fleet that obeys, for tests.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tidegate_proto::{
    edge::{Capacity, EdgeId, Host, Labels},
    heartbeat::Load,
};
use tokio::sync::{mpsc, watch};

use super::settings::Settings;
use crate::{
    cell::Cell,
    clock::Clock,
    fleet::{Call, Figures, Fleet},
    message::edge_message,
    order::{Order, Refused, Verb},
    publish::{Published, Retired, Snapshot},
    resolve::resolve,
    snapshot::{AdminState, EdgeView, FleetView, Liveness},
    store::AuditRow,
};

/// An UP edge whose UUID begins with `seed`.
pub(crate) fn edge(seed: u8, name: &str) -> EdgeView {
    EdgeView {
        id: EdgeId([seed; 16]),
        name: name.parse().expect("a sample's name is valid"),
        redirect_address: Host::Address(IpAddr::from([10, 0, 0, seed])),
        endpoints: Vec::new(),
        labels: Labels::new(),
        capacity: Capacity::default(),
        weight: 1.0,
        weighting: None,
        admin_state: AdminState::Active,
        liveness: Liveness::Up,
        reason: None,
        paused: false,
        eligible: true,
        load: Load::default(),
        handed_at_report: 0,
        last_heartbeat_unix_ms: 0,
        heard: Duration::ZERO,
        session_reports: 10,
        redirectors: 1,
        streams: None,
        first_heard_unix_ms: 0,
        fresh_until: Duration::MAX,
        interval: Duration::from_millis(2_500),
        lease: Duration::from_secs(8),
        order: None,
        order_revision: 0,
        agent_version: String::new(),
        server_version: String::new(),
        cell: Arc::new(Cell::default()),
    }
}

/// A view of these edges, in the order of their names.
pub(crate) fn fleet(mut edges: Vec<EdgeView>) -> FleetView {
    edges.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    from_shared(edges.into_iter().map(Arc::new).collect())
}

fn from_shared(edges: Vec<Arc<EdgeView>>) -> FleetView {
    let by_id: std::collections::HashMap<_, _> =
        edges.iter().enumerate().map(|(place, edge)| (edge.id, place)).collect();
    FleetView { edges, by_id: Arc::new(by_id), ..FleetView::default() }
}

/// An open listener on loopback.
pub(crate) fn settings() -> Settings {
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        reflection: true,
        insecure: false,
        tls_cert: String::new(),
        tls_key: String::new(),
        client_ca: String::new(),
        tokens_file: String::new(),
        redirector: "redirector-1".into(),
    }
}

/// A fleet whose writer drains and undrains without a store.
pub(crate) struct Obedient {
    pub(crate) handle: Fleet,
    pub(crate) audits: mpsc::Receiver<AuditRow>,
    writer: Arc<Writer>,
}

struct Writer {
    published: Arc<Published>,
    changes: watch::Sender<u64>,
}

impl Obedient {
    pub(crate) fn start(edges: Vec<EdgeView>) -> Self {
        let (calls, taken) = mpsc::channel(8);
        let (audits_in, audits) = mpsc::channel(64);
        let (changes, changed) = watch::channel(0);
        let published = Arc::new(Published::new());
        let writer = Arc::new(Writer { published: Arc::clone(&published), changes });
        writer.publish(fleet(edges));
        tokio::spawn(obey(Arc::clone(&writer), taken));
        let handle = Fleet {
            published,
            figures: Arc::new(Figures::default()),
            calls,
            reports: mpsc::channel(1).0,
            audits: audits_in,
            changes: changed,
            clock: Clock::start(),
        };
        Self { handle, audits, writer }
    }

    /// Publishes these edges in place of those with the same id.
    pub(crate) fn put(&self, edge: EdgeView) {
        self.writer.put(edge);
    }

    /// Publishes the fleet without an edge.
    pub(crate) fn remove(&self, id: EdgeId) {
        let old = self.writer.published.fleet();
        let rest = old.edges.iter().filter(|edge| edge.id != id).cloned().collect();
        self.writer.publish(from_shared(rest));
    }
}

impl Writer {
    fn publish(&self, fleet: FleetView) {
        let snapshot = Snapshot::of(Arc::new(fleet), Arc::default(), Duration::ZERO);
        self.published.publish(snapshot);
        self.changes.send_modify(|publication| *publication += 1);
    }

    fn put(&self, edge: EdgeView) {
        let old = self.published.fleet();
        let mut edges: Vec<_> = old.edges.iter().filter(|old| old.id != edge.id).cloned().collect();
        edges.push(Arc::new(edge));
        edges.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        self.publish(from_shared(edges));
    }
}

async fn obey(writer: Arc<Writer>, mut calls: mpsc::Receiver<Call>) {
    while let Some(Call { request, answer }) = calls.recv().await {
        let fleet = writer.published.fleet();
        let outcome = resolve(&fleet, &request.edge).and_then(|edge| {
            if !request.etag.is_empty() && request.etag != edge.etag() {
                let (given, current) = (request.etag.clone(), edge.etag());
                return Err(Refused::StaleEtag { given, current });
            }
            let mut edge = EdgeView::clone(edge);
            let given = || Order {
                reason: request.reason.clone(),
                author: request.principal.name.clone(),
                created_unix_ms: 1,
            };
            match request.verb {
                Verb::SetWeight(weight) => {
                    edge.weight = weight.get();
                    edge.weighting = (!weight.is_usual()).then(given);
                }
                verb => edge.order = (verb == Verb::Drain).then(given),
            }
            edge.admin_state = match edge.order {
                Some(_) => AdminState::Draining,
                None => AdminState::Active,
            };
            edge.order_revision += 1;
            writer.put(edge.clone());
            Ok((edge_message(&edge), Retired::default()))
        });
        let _ = answer.send(outcome);
    }
}
