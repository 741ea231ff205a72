use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::*;
use crate::order::Weight;

mod damage;

const NOW: u64 = 1_800_000_000_000;
const LOCK_WAIT: Duration = Duration::from_secs(5);

pub(super) fn id(n: u8) -> EdgeId {
    EdgeId([n; 16])
}

pub(super) fn drain(n: u8, revision: u64) -> OrderRow {
    let order = Order { reason: "kernel".into(), author: "ann".into(), created_unix_ms: 1_700 };
    OrderRow { order: Some(order), ..undrained(n, revision) }
}

/// An edge that gets twice the viewers, and was never drained.
pub(super) fn weighted(n: u8, revision: u64) -> OrderRow {
    let order = Order { reason: "big".into(), author: "ann".into(), created_unix_ms: 1_700 };
    let weight = Weight::try_from(2.0).expect("a weight");
    OrderRow {
        weighting: Some(Weighting { weight, order }),
        drain_revision: 0,
        weight_revision: revision,
        ..undrained(n, revision)
    }
}

pub(super) fn undrained(n: u8, revision: u64) -> OrderRow {
    let name = format!("edge-{n}").parse().expect("a name");
    let drain_revision = revision;
    let (order, weighting, weight_revision) = (None, None, 0);
    OrderRow { id: id(n), name, order, weighting, revision, drain_revision, weight_revision }
}

fn edge(id: EdgeId) -> EdgeRow {
    EdgeRow {
        id,
        name: EdgeName::unnamed(id),
        redirect_address: "10.0.0.7".parse().expect("a host"),
        endpoints: vec![],
        labels: Labels::from([("zone".to_owned(), "a".to_owned())]),
        capacity: Capacity { viewers: Some(4_000), bandwidth_bps: None },
        interval_ms: 2_500,
        first_heard_unix_ms: NOW,
    }
}

fn beat(id: EdgeId) -> BeatRow {
    let session = SessionId([3; 16]);
    let seen = Seen::Alive;
    BeatRow { id, last_heard_unix_ms: NOW, session, sequence: 9, seen, empty_reports: 1 }
}

fn attempt(time_unix_ms: u64) -> AuditRow {
    AuditRow { time_unix_ms, method: "DrainEdge".into(), ..AuditRow::default() }
}

fn request(time_unix_ms: u64) -> RequestRow {
    let request_id = time_unix_ms.to_string();
    RequestRow { request_id, order: "DrainEdge".into(), answer: vec![1, 2], time_unix_ms }
}

fn commit(revision: u64, orders: &[OrderRow]) -> Commit {
    Commit { revision, orders: orders.to_vec(), ..Commit::default() }
}

fn try_open(dir: &Path) -> Result<Opened, OpenError> {
    open(dir, OnCorrupt::Restore, LOCK_WAIT, NOW)
}

fn reopen(dir: &Path) -> Opened {
    try_open(dir).map_err(|error| error.to_string()).expect("the store opens")
}

fn open_trees(dir: &Path) -> trees::Trees {
    trees::Trees::open(dir, Instant::now() + LOCK_WAIT).expect("the trees open")
}

fn dir() -> TempDir {
    let mode = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(mode).tempdir().expect("a temporary directory")
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let dir = dir();
    let mut opened = reopen(dir.path());
    assert_eq!(opened.memory, Memory::default());
    assert_eq!((opened.notes.len(), opened.degraded.is_none()), (0, true));
    let rows = [edge(id(1)), edge(id(2))];
    opened.store.write_rows(&rows, &[beat(id(1))]).expect("rows are written");
    let mut first = commit(1, &[drain(1, 1)]);
    first.audit.push(attempt(NOW));
    first.requests.push(request(NOW));
    opened.store.commit(&first).expect("an order is committed");
    opened.store.commit(&commit(2, &[drain(2, 2)])).expect("an order is committed");
    opened.store.commit(&commit(3, &[undrained(2, 3)])).expect("an order is committed");
    opened.store.close().expect("the store closes");
    drop(opened);

    let opened = reopen(dir.path());
    let expected = Memory {
        revision: 3,
        edges: rows.to_vec(),
        beats: vec![beat(id(1))],
        orders: vec![drain(1, 1), undrained(2, 3)],
        requests: vec![request(NOW)],
    };
    assert_eq!(opened.memory, expected);
    assert_eq!(opened.notes, Vec::<String>::new());
}

#[test]
fn a_commit_without_a_close_is_there_all_the_same() {
    let dir = dir();
    let mut opened = reopen(dir.path());
    opened.store.commit(&commit(1, &[drain(1, 1)])).expect("an order is committed");
    drop(opened);
    assert_eq!(reopen(dir.path()).memory.orders, [drain(1, 1)]);
}

#[test]
fn a_forgotten_edge_leaves_no_row() {
    let dir = dir();
    let mut opened = reopen(dir.path());
    let ids = [id(1), id(2)];
    opened.store.write_rows(&ids.map(edge), &ids.map(beat)).expect("rows are written");
    opened.store.commit(&commit(2, &[undrained(1, 1), drain(2, 2)])).expect("a commit");
    let forget = Commit { revision: 3, forgotten: vec![id(1)], ..Commit::default() };
    opened.store.commit(&forget).expect("a commit");
    drop(opened);
    let memory = reopen(dir.path()).memory;
    assert_eq!((memory.edges, memory.beats), (vec![edge(id(2))], vec![beat(id(2))]));
    assert_eq!((memory.revision, memory.orders), (3, vec![drain(2, 2)]));
}

#[test]
fn an_edge_that_aged_out_keeps_its_drain() {
    let dir = dir();
    let mut opened = reopen(dir.path());
    let ids = [id(1), id(2)];
    opened.store.write_rows(&ids.map(edge), &ids.map(beat)).expect("rows are written");
    opened.store.commit(&commit(2, &[undrained(1, 1), drain(2, 2)])).expect("a commit");
    opened.store.forget(&ids).expect("edges are forgotten");
    drop(opened);
    let memory = reopen(dir.path()).memory;
    assert_eq!((memory.edges.len(), memory.beats.len()), (0, 0));
    assert_eq!(memory.orders, [drain(2, 2)]);
}

#[test]
fn twenty_thousand_rows_come_back_and_take_little_room() {
    let dir = dir();
    let mut opened = reopen(dir.path());
    let ids: Vec<_> = (0..20_000_u128).map(|n| EdgeId(n.to_be_bytes())).collect();
    for ids in ids.chunks(1_000) {
        let beats: Vec<_> = ids.iter().copied().map(beat).collect();
        for _ in 0..3 {
            opened.store.write_rows(&[], &beats).expect("rows are written");
        }
    }
    drop(opened);
    let bytes = fs::metadata(dir.path().join("db")).expect("sled's file").len();
    assert!(bytes < 40 << 20, "{bytes} bytes for 20,000 rows of 51");
    assert_eq!(reopen(dir.path()).memory.beats.len(), ids.len());
}

#[test]
fn attempts_without_an_order_are_kept_too() {
    let dir = dir();
    let mut opened = reopen(dir.path());
    opened.store.write_audit(&[attempt(5), attempt(5), attempt(4)]).expect("they are written");
    drop(opened);
    let trees = open_trees(dir.path());
    assert_eq!(trees.audit.len(), 3);
}

#[test]
fn a_journal_holds_its_newest_rows() {
    let dir = dir();
    let db = sled::open(dir.path()).expect("sled opens");
    let mut journal =
        journal::Journal::new(db.open_tree("j").expect("a tree"), 10).expect("an empty journal");
    let add = |journal: &mut journal::Journal, time, oldest| {
        journal.make_room(1, oldest).expect("there is room");
        let key = journal.key(time);
        journal.tree.insert(key, b"row").expect("a row is written");
        journal.added(1);
    };
    for time in 0..25 {
        add(&mut journal, time / 2, 0);
    }
    let times = |journal: &journal::Journal| -> Vec<u8> {
        journal.tree.iter().keys().map(|key| key.expect("a key")[7]).collect()
    };
    assert_eq!(times(&journal), [7, 8, 8, 9, 9, 10, 10, 11, 11, 12]);
    add(&mut journal, 13, 9);
    assert_eq!(times(&journal), [9, 9, 10, 10, 11, 11, 12, 13]);

    let mut again = journal::Journal::new(journal.tree.clone(), 8).expect("a journal");
    add(&mut again, 13, 0);
    assert_eq!(times(&again), [9, 10, 10, 11, 11, 12, 13, 13]);
}

#[test]
fn answers_older_than_a_day_are_dropped() {
    let dir = dir();
    let mut opened = reopen(dir.path());
    let day = embedded::REQUEST_AGE_MS_MAX;
    for (revision, time) in [(1, NOW - day - 1), (2, NOW - day), (3, NOW)] {
        let requests = vec![request(time)];
        opened.store.commit(&Commit { revision, requests, ..Commit::default() }).expect("a commit");
    }
    drop(opened);
    let kept = open_trees(dir.path()).request.len();
    assert_eq!(kept, 2);
    assert_eq!(reopen(dir.path()).memory.requests, [request(NOW - day), request(NOW)]);
    let later = open(dir.path(), OnCorrupt::Fail, LOCK_WAIT, NOW + 1);
    assert_eq!(later.expect("the store opens").memory.requests, [request(NOW)]);
}

#[test]
fn after_an_error_the_store_stays_failed() {
    let dir = dir();
    let folder = dir.path().join("data");
    let mut opened = reopen(&folder);
    fs::rename(&folder, dir.path().join("elsewhere")).expect("the folder is moved away");
    let first = opened.store.commit(&commit(1, &[drain(1, 1)])).expect_err("no sidecar is written");
    assert!(!first.to_string().contains("earlier"), "{first}");
    fs::rename(dir.path().join("elsewhere"), &folder).expect("the folder comes back");
    for result in [
        opened.store.commit(&commit(2, &[])),
        opened.store.write_rows(&[], &[]),
        opened.store.write_audit(&[]),
        opened.store.forget(&[]),
        opened.store.close(),
    ] {
        let error = result.expect_err("the store has failed");
        assert!(error.to_string().contains("failed earlier"), "{error}");
    }
    drop(opened);
    // The order was answered with an error, yet it may stand; never less than what was durable.
    assert_eq!(reopen(&folder).memory.orders, [drain(1, 1)]);
}

#[test]
fn a_weight_is_kept_in_the_trees_and_in_the_sidecar_and_goes_with_its_edge() {
    let dir = dir();
    let mut opened = reopen(dir.path());
    opened.store.commit(&commit(1, &[weighted(1, 1)])).expect("a commit");
    opened.store.forget(&[id(1)]).expect("what aged out is dropped");
    drop(opened);
    let trees = open_trees(dir.path());
    trees.order.clear().expect("the trees lose it");
    trees.db.flush().expect("it is flushed");
    drop(trees);
    let mut opened = reopen(dir.path());
    assert_eq!(opened.memory.orders, [weighted(1, 1)], "the sidecar restores it");
    let forgotten = vec![id(1)];
    opened.store.commit(&Commit { forgotten, ..commit(2, &[]) }).expect("a commit");
    drop(opened);
    assert_eq!(reopen(dir.path()).memory.orders, []);
}

#[test]
fn a_second_owner_is_told_who_the_first_is() {
    let dir = dir();
    let opened = reopen(dir.path());
    let wait = Duration::from_millis(120);
    let refused = open(dir.path(), OnCorrupt::Restore, wait, NOW);
    let error = refused.map(drop).expect_err("the folder has an owner");
    assert!(
        matches!(error, OpenError::Owned { holder: Some(pid), .. } if pid == std::process::id())
    );
    let text = error.to_string();
    let path = dir.path().to_str().expect("a path in UTF-8");
    assert!(text.contains(&std::process::id().to_string()) && text.contains(path), "{text}");
    drop(opened);
    reopen(dir.path());
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let dir = dir();
    let file = dir.path().join("file");
    fs::write(&file, "not a folder").expect("a file is written");
    for path in [file.clone(), file.join("below"), "/proc/self/tidegate".into()] {
        let error = try_open(&path).map(drop).expect_err("it is no folder");
        assert!(matches!(error, OpenError::Folder { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().expect("UTF-8")), "{error}");
    }
}

#[test]
fn a_new_folder_is_for_this_user_alone() {
    let dir = dir();
    let folder = dir.path().join("a/b");
    drop(reopen(&folder));
    let mode = fs::metadata(&folder).expect("it was created").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("the mode is changed");
    let notes = reopen(&folder).notes;
    assert!(notes.len() == 1 && notes[0].contains("chmod 700"), "{notes:?}");
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let dir = dir();
    drop(reopen(dir.path()));
    let trees = open_trees(dir.path());
    trees.meta.insert("schema", &7_u32.to_be_bytes()).expect("a row is written");
    trees.db.flush().expect("it is flushed");
    drop(trees);
    let error = try_open(dir.path()).map(drop).expect_err("it is refused");
    assert!(matches!(error, OpenError::Schema { found: 7, .. }), "{error:?}");
    assert!(error.to_string().contains("schema 7, this version knows 1"), "{error}");
}

#[test]
fn the_store_in_memory_keeps_what_it_is_given_until_it_fails() {
    let kept = MemoryStore::new(Memory { revision: 4, ..Memory::default() });
    let mut store = kept.clone();
    store.write_rows(&[edge(id(1))], &[beat(id(1)), beat(id(2))]).expect("rows are kept");
    store.write_rows(&[], &[beat(id(2))]).expect("rows are kept");
    let mut order = commit(5, &[drain(2, 5)]);
    order.forgotten.push(id(1));
    order.audit.push(attempt(NOW));
    store.commit(&order).expect("an order is kept");
    let (beats, orders) = (vec![beat(id(2))], vec![drain(2, 5)]);
    assert_eq!(kept.memory(), Memory { revision: 5, beats, orders, ..Memory::default() });
    assert_eq!(kept.audit(), [attempt(NOW)]);
    kept.fail("the disk is full");
    let error = store.commit(&commit(6, &[])).expect_err("it fails");
    assert_eq!((error.to_string().as_str(), kept.memory().revision), ("the disk is full", 5));
}
