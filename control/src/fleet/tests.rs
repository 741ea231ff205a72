use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::AtomicBool,
    time::Duration,
};

use rand::{SeedableRng, rngs::SmallRng};
use tidegate_proto::{
    datagram::SessionId,
    edge::{EdgeId, Scheme},
    heartbeat::Heartbeat,
};

use super::*;
use crate::{
    order::{Principal, Verb},
    pick::{Wanted, pick},
    store::{BeatRow, Commit, EdgeRow, MemoryStore, OrderRow, Seen, StoreError},
};

/// Keeps nothing and does this at each commit.
struct OnCommit<F>(F);

impl<F: FnMut() -> Result<(), StoreError> + Send> Store for OnCommit<F> {
    fn commit(&mut self, _: &Commit) -> Result<(), StoreError> {
        self.0()
    }
    fn write_rows(&mut self, _: &[EdgeRow], _: &[BeatRow]) -> Result<(), StoreError> {
        Ok(())
    }
    fn write_audit(&mut self, _: &[AuditRow]) -> Result<(), StoreError> {
        Ok(())
    }
    fn forget(&mut self, _: &[EdgeId]) -> Result<(), StoreError> {
        Ok(())
    }
    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn start(store: impl Store + 'static) -> (Fleet, Running) {
    let memory = Memory::default();
    Fleet::start(
        Patience::default(),
        Selection::default(),
        &memory,
        Box::new(store),
        Clock::start(),
        "test",
    )
}

fn report(n: u8, sequence: u64) -> Report {
    Report {
        edge: EdgeId([n; 16]),
        session: SessionId([1; 16]),
        sequence,
        goodbye: false,
        heartbeat: Heartbeat { name: format!("edge-{n}").parse().ok(), ..Heartbeat::default() },
        source: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

async fn bring_up(fleet: &Fleet, edges: u8) {
    for n in 1..=edges {
        fleet.report(report(n, 1)).expect("there is room");
        fleet.report(report(n, 2)).expect("there is room");
    }
    let mut changes = fleet.changes();
    while fleet.published().fleet().eligible.len() < usize::from(edges) {
        changes.changed().await.expect("the writer runs");
    }
}

fn order(verb: Verb, edge: &str, request_id: &str) -> Request {
    Request {
        verb,
        edge: edge.into(),
        reason: "test".into(),
        request_id: request_id.into(),
        etag: String::new(),
        principal: Principal::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_drain_is_answered_no_pick_yields_the_edge() {
    let (fleet, running) = start(MemoryStore::default());
    bring_up(&fleet, 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    // Answered is raised between the drain's answer and the undrain: a pick that begins and ends
    // while it is up and still yields edge-1 breaks the promise.
    let answered = Arc::new(AtomicU64::new(0));
    let broken = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicU64::new(0));
    let pickers: Vec<_> = (0..2)
        .map(|seed| {
            let (fleet, stop) = (fleet.clone(), Arc::clone(&stop));
            let (answered, broken, done) =
                (Arc::clone(&answered), Arc::clone(&broken), Arc::clone(&done));
            std::thread::spawn(move || {
                let own = std::collections::HashSet::new();
                let wanted = Wanted::new(Some(Scheme::Http), 1, &own);
                let mut random = SmallRng::seed_from_u64(seed);
                while !stop.load(Ordering::SeqCst) {
                    let snapshot = fleet.published().load();
                    let picked = pick(&snapshot, &wanted, Duration::ZERO, &mut random);
                    let before = answered.load(Ordering::SeqCst);
                    let is_drained_edge =
                        picked.is_ok_and(|picked| picked.edge.name.as_str() == "edge-1");
                    drop(snapshot);
                    if is_drained_edge && before % 2 == 1 {
                        broken.fetch_add(1, Ordering::SeqCst);
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for _ in 0..100 {
        fleet.order(order(Verb::Drain, "edge-1", "")).await.expect("drained");
        answered.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        answered.fetch_add(1, Ordering::SeqCst);
        fleet.order(order(Verb::Undrain, "edge-1", "")).await.expect("undrained");
    }
    stop.store(true, Ordering::SeqCst);
    pickers.into_iter().for_each(|picker| picker.join().expect("the picker ends"));
    assert!(done.load(Ordering::SeqCst) > 100, "the pickers ran");
    assert_eq!(broken.load(Ordering::SeqCst), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_repeated_request_id_gets_the_first_answer_and_changes_nothing() {
    let store = MemoryStore::default();
    let (fleet, running) = start(store.clone());
    bring_up(&fleet, 2).await;
    let first = fleet.order(order(Verb::Drain, "edge-1", "r1")).await.expect("drained");
    fleet.order(order(Verb::Undrain, "edge-1", "r2")).await.expect("undrained");
    let again = fleet.order(order(Verb::Drain, "edge-1", "r1")).await.expect("answered");
    assert_eq!(first, again);
    assert_eq!((store.memory().revision, store.memory().requests.len()), (2, 2));
    for same in ["EDGE-1", &first.edge_id, &first.edge_id.replace('-', "")] {
        let again = fleet.order(order(Verb::Drain, same, "r1")).await;
        assert_eq!(again.as_ref(), Ok(&first), "{same}");
    }
    let view = fleet.published().fleet();
    assert!(!view.get(EdgeId([1; 16])).expect("known").cell.is_drained());
    let reused = fleet.order(order(Verb::Drain, "edge-2", "r1")).await;
    assert_eq!(reused, Err(Refused::RequestIdReused("r1".into())));
    running.stop().await;
}

#[tokio::test]
async fn when_the_store_fails_a_drain_holds_in_memory_and_an_undrain_is_refused() {
    let store = MemoryStore::default();
    let (fleet, running) = start(store.clone());
    bring_up(&fleet, 2).await;
    fleet.order(order(Verb::Drain, "edge-1", "")).await.expect("drained");
    store.fail("the disk is full");
    for _ in 0..2 {
        let failed = fleet.order(order(Verb::Drain, "edge-2", "r")).await;
        assert!(matches!(failed, Err(Refused::StoreFailed(_))), "a retry is no success");
        let failed = fleet.order(order(Verb::Undrain, "edge-1", "")).await;
        assert!(matches!(failed, Err(Refused::StoreFailed(_))));
    }
    let view = fleet.published().fleet();
    assert!(view.edges.iter().all(|edge| edge.cell.is_drained() && edge.order.is_some()));
    assert!(fleet.figures().store_failed.load(Ordering::SeqCst));
    running.stop().await;
}

#[tokio::test]
async fn every_attempt_at_an_order_is_recorded_with_what_came_of_it() {
    let store = MemoryStore::default();
    let (fleet, running) = start(store.clone());
    bring_up(&fleet, 1).await;
    fleet.order(order(Verb::Drain, "edge-1", "r1")).await.expect("drained");
    running.stop().await;
    let audit = &store.audit()[0];
    assert_eq!((audit.before.as_str(), audit.after.as_str()), ("ACTIVE", "DRAINING"));
    assert_eq!((audit.result.as_str(), audit.method.as_str()), ("ok", "DrainEdge"));
    assert_eq!((store.memory().revision, store.memory().requests.len()), (1, 1));
}

fn weight(figure: f64) -> Verb {
    Verb::SetWeight(crate::order::Weight::try_from(figure).expect("a weight"))
}

#[tokio::test]
async fn a_weight_is_stored_recorded_and_seen_by_the_next_pick() {
    let store = MemoryStore::default();
    let (fleet, running) = start(store.clone());
    bring_up(&fleet, 1).await;
    let first = fleet.order(order(weight(2.0), "edge-1", "r1")).await.expect("weighted");
    assert_eq!((first.weight, first.etag.as_str()), (2.0, "1"));
    assert_eq!(fleet.published().fleet().edges[0].weight, 2.0);
    assert_eq!(store.memory().orders[0].weight().get(), 2.0);
    let again = fleet.order(order(weight(2.0), "edge-1", "r1")).await;
    assert_eq!(again, Ok(first), "a retry gets the same answer");
    let other = fleet.order(order(weight(20.0), "edge-1", "r1")).await;
    assert_eq!(other, Err(Refused::RequestIdReused("r1".into())));
    fleet.order(order(weight(2.0), "edge-1", "")).await.expect("it holds already");
    assert_eq!(store.memory().revision, 1, "what holds already changes nothing");
    running.stop().await;
    let audit = &store.audit()[0];
    assert_eq!((audit.before.as_str(), audit.after.as_str()), ("weight 1", "weight 2"));
    assert_eq!((audit.method.as_str(), audit.reason.as_str()), ("SetWeight", "test"));
}

#[tokio::test]
async fn when_the_store_fails_an_edge_keeps_its_weight() {
    let store = MemoryStore::default();
    let (fleet, running) = start(store.clone());
    bring_up(&fleet, 1).await;
    fleet.order(order(weight(2.0), "edge-1", "")).await.expect("weighted");
    store.fail("the disk is full");
    for _ in 0..2 {
        let failed = fleet.order(order(weight(4.0), "edge-1", "r")).await;
        let Err(Refused::WeightUnsaved(why)) = failed else { panic!("{failed:?}") };
        assert!(why.contains("the disk is full"), "{why}");
        assert_eq!(fleet.published().fleet().edges[0].weight, 2.0);
    }
    running.stop().await;
}

/// A machine was drained, went away, and is back under its name with another UUID.
async fn rebuild(fleet: &Fleet) -> String {
    fleet.order(order(Verb::Drain, "edge-1", "")).await.expect("drained");
    fleet.report(Report { goodbye: true, ..report(1, 3) }).expect("there is room");
    let name = report(1, 1).heartbeat.name;
    let heartbeat = Heartbeat { name, ..Heartbeat::default() };
    fleet.report(Report { heartbeat, ..report(9, 1) }).expect("there is room");
    let (mut changes, heir) = (fleet.changes(), EdgeId([9; 16]));
    while fleet.published().fleet().get(heir).is_none_or(|edge| edge.order.is_none()) {
        changes.changed().await.expect("the writer runs");
    }
    heir.to_string()
}

#[tokio::test]
async fn an_inherited_drain_is_stored_and_recorded() {
    let store = MemoryStore::default();
    let (fleet, running) = start(store.clone());
    bring_up(&fleet, 1).await;
    let heir = rebuild(&fleet).await;
    fleet.order(order(Verb::Drain, &heir, "")).await.expect("it holds already");
    let stored = store.memory().orders;
    let is_stored = |row: &OrderRow| row.id.to_string() == heir && row.order.is_some();
    assert!(stored.iter().any(is_stored), "durable before a drain is found to hold");
    let audit = &store.audit()[1];
    assert_eq!((audit.method.as_str(), audit.reason.as_str()), ("InheritDrain", "test"));
    assert!(audit.edge.contains(&heir));
    running.stop().await;
}

#[tokio::test]
async fn an_inherited_drain_that_could_not_be_stored_is_not_answered_as_durable() {
    let store = MemoryStore::default();
    let (fleet, running) = start(store.clone());
    bring_up(&fleet, 1).await;
    fleet.order(order(Verb::Drain, "edge-1", "")).await.expect("drained");
    store.fail("the disk is full");
    let heir = rebuild(&fleet).await;
    let answer = fleet.order(order(Verb::Drain, &heir, "")).await;
    assert!(matches!(answer, Err(Refused::StoreFailed(_))), "{answer:?}");
    assert!(fleet.published().fleet().edges.iter().all(|edge| edge.cell.is_drained()));
    running.stop().await;
}

#[tokio::test]
async fn a_stop_stores_what_was_reported_and_attempted_until_then() {
    let store = MemoryStore::default();
    let memory = Memory::default();
    let kept = Box::new(store.clone());
    let (fleet, running) = Fleet::start(
        Patience::default(),
        Selection::default(),
        &memory,
        kept,
        Clock::start(),
        "test",
    );
    // The writer's task has no turn before the stop, so all of this waits in its queues.
    fleet.report(report(1, 41)).expect("there is room");
    fleet.report(Report { goodbye: true, ..report(1, 42) }).expect("there is room");
    fleet.record(AuditRow { method: "DrainEdge".into(), ..AuditRow::default() });
    running.stop().await;
    let beats = store.memory().beats;
    assert_eq!(
        beats.iter().map(|row| (row.sequence, row.seen)).collect::<Vec<_>>(),
        [(42, Seen::Gone)]
    );
    assert_eq!(store.audit().len(), 1);
}

#[tokio::test]
async fn when_the_stores_thread_dies_drains_hold_and_the_failure_shows() {
    let (fleet, running) = start(OnCommit(|| panic!("on purpose")));
    bring_up(&fleet, 1).await;
    for _ in 0..2 {
        let answer = fleet.order(order(Verb::Drain, "edge-1", "")).await;
        assert!(matches!(answer, Err(Refused::StoreFailed(_))), "{answer:?}");
    }
    assert!(fleet.published().fleet().edges.iter().all(|edge| edge.cell.is_drained()));
    assert!(fleet.figures().store_failed.load(Ordering::SeqCst));
    running.stop().await;
}

#[tokio::test]
async fn orders_that_wait_for_a_slow_store_are_bounded_and_heartbeats_go_on() {
    let (leave, wanted) = std::sync::mpsc::sync_channel(1);
    let wait = move || wanted.recv().map_err(|_| StoreError("nobody gave leave".into()));
    let (fleet, running) = start(OnCommit(wait));
    bring_up(&fleet, 2).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..4 * CALLS_MAX {
        let fleet = fleet.clone();
        calls.spawn(async move { fleet.order(order(Verb::Drain, "edge-1", "")).await });
        tokio::task::yield_now().await;
    }
    let mut busy = 0;
    while busy < 4 * CALLS_MAX - (2 * CALLS_MAX + 1) {
        let next = tokio::time::timeout(Duration::from_secs(20), calls.join_next()).await;
        let answer = next.expect("the rest is refused").expect("some wait").expect("no panic");
        assert_eq!(answer, Err(Refused::Busy));
        busy += 1;
    }
    fleet.report(report(7, 1)).expect("there is room");
    let mut changes = fleet.changes();
    while fleet.published().fleet().get(EdgeId([7; 16])).is_none() {
        changes.changed().await.expect("the writer runs");
    }
    leave.send(()).expect("the store waits");
    let answer = calls.join_next().await.expect("some wait").expect("no panic");
    assert!(answer.is_ok(), "{answer:?}");
    drop(leave);
    running.stop().await;
}

/// Rows that were on their way when a commit came are written behind it.
struct Behind(MemoryStore, Vec<EdgeRow>);

impl Store for Behind {
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        self.0.commit(commit)?;
        self.0.write_rows(&self.1, &[])
    }
    fn write_rows(&mut self, edges: &[EdgeRow], beats: &[BeatRow]) -> Result<(), StoreError> {
        self.1.extend_from_slice(edges);
        self.0.write_rows(edges, beats)
    }
    fn write_audit(&mut self, audit: &[AuditRow]) -> Result<(), StoreError> {
        self.0.write_audit(audit)
    }
    fn forget(&mut self, edges: &[EdgeId]) -> Result<(), StoreError> {
        self.0.forget(edges)
    }
    fn close(&mut self) -> Result<(), StoreError> {
        self.0.close()
    }
}

#[tokio::test]
async fn a_forgotten_edge_leaves_no_row_behind() {
    let store = MemoryStore::default();
    let (fleet, running) = start(Behind(store.clone(), Vec::new()));
    bring_up(&fleet, 1).await;
    fleet.report(Report { goodbye: true, ..report(1, 3) }).expect("there is room");
    let (mut changes, id) = (fleet.changes(), EdgeId([1; 16]));
    let is_stored = || store.memory().edges.iter().any(|row| row.id == id);
    let is_up = || fleet.published().fleet().get(id).is_some_and(|edge| edge.eligible);
    while is_up() || !is_stored() {
        // Each heartbeat of another edge is published, which is what this waits for.
        fleet.report(report(2, 1)).expect("there is room");
        changes.changed().await.expect("the writer runs");
    }
    fleet.order(order(Verb::Forget, "edge-1", "")).await.expect("forgotten");
    running.stop().await;
    assert!(!is_stored());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_makes_a_new_table_of_the_same_fleet_and_wakes_nobody() {
    let (fleet, running) = start(MemoryStore::default());
    bring_up(&fleet, 1).await;
    let own = std::collections::HashSet::new();
    let wanted = Wanted::new(Some(Scheme::Http), 1, &own);
    let mut changes = fleet.changes();
    changes.mark_unchanged();
    let shown = fleet.published().fleet();
    let mut load = -1.0;
    for _ in 0..3 {
        let mut random = SmallRng::seed_from_u64(1);
        let (before, picked) = {
            let snapshot = fleet.published().load();
            let picked = pick(&snapshot, &wanted, Duration::ZERO, &mut random).expect("an edge");
            (snapshot.table.made(), picked)
        };
        assert!(picked.load > load, "the table before counts the redirects before");
        load = picked.load;
        let made = async {
            while fleet.published().load().table.made() == before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), made).await.expect("a table is due");
    }
    assert!(Arc::ptr_eq(&shown, &fleet.published().fleet()));
    assert!(!changes.has_changed().expect("the writer runs"));
    running.stop().await;
}
