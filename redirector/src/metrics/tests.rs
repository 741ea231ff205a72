//! The table, the document and what is rendered are the same set of metrics.

use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed};

use tidegate_control::{clock::Clock, snapshot::Mode};
use tidegate_proto::{key::KeyRing, seal::FleetKey};

use super::*;
use crate::{
    answer::connect::ConnectKind,
    clients::{
        RtmpLimits,
        figures::{Lapse, SpliceFault},
    },
    figures::Label,
    gate::Reject,
    rtmp::RtmpReject,
    telemetry::tests::{collector, hear_http2},
};

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

#[derive(Default)]
struct Fixture {
    view: Arc<FleetView>,
    figures: Figures,
}

impl Observed for Fixture {
    fn snapshot(&self) -> Snapshot {
        Snapshot::of(Arc::clone(&self.view), Arc::default(), Duration::ZERO)
    }

    fn figures(&self) -> &Figures {
        &self.figures
    }
}

fn sources() -> Sources {
    let ingest = IngestFigures::default();
    let mut ring = KeyRing::default();
    ring.insert(FleetKey::from_bytes([7; 32])).expect("no collision");
    ingest.set_keys(&ring);
    ingest.received.store(5, Relaxed);
    ingest.rejected.count(Reject::Forged);
    let fixture = Fixture::default();
    let view = FleetView { mode: Mode::Panic, order_revision: 42, ..FleetView::default() };
    fixture.figures.plan_us.store(2_500_000, Relaxed);
    fixture.figures.store_commit_us.store(1_500_000, Relaxed);
    Sources {
        ingest: Arc::new(ingest),
        fleet: Arc::new(Fixture { view: Arc::new(view), ..fixture }),
        clients: Clients::new(
            Arc::default(),
            Arc::default(),
            Clock::start(),
            RtmpLimits::default(),
        ),
        front: Arc::default(),
    }
}

fn rendered() -> String {
    Metrics::new(&sources(), None).expect("the table is sound").render()
}

#[test]
fn every_metric_of_the_table_is_rendered_and_no_other() {
    let text = rendered();
    let rendered: BTreeSet<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect();
    let table: BTreeSet<_> =
        METRICS.iter().map(|metric| format!("{} {}", metric.name, metric.kind.as_str())).collect();
    assert_eq!(rendered, table);
    assert_eq!(table.len(), METRICS.len(), "a name is used twice");
    assert!(METRICS.iter().all(|m| m.name.ends_with("_total") == (m.kind == Kind::Counter)));
}

#[test]
fn values_and_labels_are_rendered_as_they_are() {
    let text = rendered();
    for line in [
        "tidegate_datagrams_received_total 5",
        "tidegate_datagrams_rejected_total{reason=\"forged\"} 1",
        "tidegate_datagrams_rejected_total{reason=\"queue_full\"} 0",
        "tidegate_edges{liveness=\"UP\"} 0",
        "tidegate_fleet_mode{mode=\"panic\"} 1",
        "tidegate_fleet_mode{mode=\"normal\"} 0",
        "tidegate_order_revision 42",
        "tidegate_selection_policy{policy=\"fill\"} 1",
        "tidegate_selection_policy{policy=\"least\"} 0",
        "tidegate_load{of=\"highest\"} 0",
        "tidegate_load_imbalance 0",
        "tidegate_edges_held_back{reason=\"late\"} 0",
        "tidegate_redirectors_assumed 1",
        "tidegate_plan_seconds_total 2.5",
        "tidegate_store_commit_seconds_total 1.5",
    ] {
        assert!(text.lines().any(|rendered| rendered == line), "{line} is not in\n{text}");
    }
    let labelled = METRICS.iter().filter(|metric| !metric.label.is_empty());
    for metric in labelled {
        assert!(text.contains(&format!("{}{{{}=", metric.name, metric.label)), "{}", metric.name);
    }
}

#[test]
fn figures_are_read_anew_each_time() {
    let sources = sources();
    let metrics = Metrics::new(&sources, None).expect("the table is sound");
    let _ = metrics.render();
    sources.ingest.received.store(6, Relaxed);
    assert!(metrics.render().contains("tidegate_datagrams_received_total 6"));
}

#[test]
fn the_document_and_the_table_agree() {
    let row = |line: &str| -> Option<[String; 4]> {
        let mut cells = line.strip_prefix('|')?.split('|').map(|cell| cell.trim().to_owned());
        let name = cells.next()?.strip_prefix("`tidegate_")?.strip_suffix('`')?.to_owned();
        Some([format!("tidegate_{name}"), cells.next()?, cells.next()?, cells.next()?])
    };
    let documented: BTreeSet<_> = DOCUMENT.lines().filter_map(row).collect();
    let label = |label: &str| if label.is_empty() { String::new() } else { format!("`{label}`") };
    let table: BTreeSet<_> = METRICS
        .iter()
        .map(|m| [m.name.into(), m.kind.as_str().into(), label(m.label), m.help.into()])
        .collect();
    assert_eq!(documented, table);
}

#[test]
fn every_reason_has_its_row_in_the_document() {
    fn check<K: Label>() {
        for reason in K::ALL {
            let name = reason.as_str();
            assert!(DOCUMENT.contains(&format!("| `{name}` |")), "{name} is not documented");
        }
    }
    check::<Reject>();
    check::<RtmpReject>();
    check::<Lapse>();
    check::<SpliceFault>();
    check::<ConnectKind>();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_reach_the_collector_before_the_end() {
    let (listener, collector) = collector().await;
    let end = Metrics::new(&sources(), Some(&collector)).expect("a good address").shutdown();
    tokio::join!(hear_http2(&listener), end);
}
