//! What is damaged by hand here happens in the field: torn files, lost tails, full disks.

use std::{collections::BTreeSet, process::Command};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

/// A store with a history: 40 edges, 20 drained and half of those undrained again.
fn with_history(dir: &Path) -> BTreeSet<EdgeId> {
    let mut opened = reopen(dir);
    let ids: Vec<_> = (1..=40).map(id).collect();
    let edges: Vec<_> = ids.iter().copied().map(edge).collect();
    let beats: Vec<_> = ids.iter().copied().map(beat).collect();
    opened.store.write_rows(&edges, &beats).expect("rows are written");
    let drains = (1..=20).map(|n| drain(n, n.into()));
    let undrains = (1..=10).map(|n| undrained(n, 20 + u64::from(n)));
    for row in drains.chain(undrains) {
        let mut order = commit(row.revision, &[row]);
        order.audit.push(attempt(NOW));
        opened.store.commit(&order).expect("an order is committed");
    }
    opened.store.close().expect("the store closes");
    (11..=20).map(id).collect()
}

fn standing(memory: &Memory) -> BTreeSet<EdgeId> {
    memory.orders.iter().filter(|row| row.order.is_some()).map(|row| row.id).collect()
}

fn copies(dir: &Path) -> usize {
    let names = fs::read_dir(dir).expect("the folder").map(|entry| entry.expect("an entry"));
    names.filter(|entry| entry.file_name().to_string_lossy().starts_with("corrupt-")).count()
}

fn remove_snapshots(dir: &Path) {
    for entry in fs::read_dir(dir).expect("the folder") {
        let entry = entry.expect("an entry");
        if entry.file_name().to_string_lossy().starts_with("snap.") {
            fs::remove_file(entry.path()).expect("a snapshot is removed");
        }
    }
}

/// Puts a value that nothing can read into one of the trees.
fn spoil(dir: &Path, tree: &str, key: &[u8]) {
    let trees = open_trees(dir);
    let tree = trees.db.open_tree(tree).expect("a tree");
    tree.insert(key, b"\x09nonsense").expect("a row is written");
    trees.db.flush().expect("it is flushed");
}

#[test]
fn the_sidecar_alone_restores_the_drains() {
    for lost in [&["db"][..], &["db", "conf"][..], &["db", "conf", "blobs"][..]] {
        for snapshots in [true, false] {
            let dir = dir();
            let drained = with_history(dir.path());
            for name in lost {
                let path = dir.path().join(name);
                let gone =
                    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
                gone.expect("it is removed");
            }
            if !snapshots {
                remove_snapshots(dir.path());
            }
            let opened = reopen(dir.path());
            assert_eq!((opened.memory.revision, standing(&opened.memory)), (30, drained.clone()));
            assert!(!opened.notes.is_empty());
            drop(opened);
            let again = reopen(dir.path());
            assert_eq!((standing(&again.memory), again.notes), (drained, vec![]));
        }
    }
}

#[test]
fn random_damage_never_changes_what_stands() {
    for seed in 0..24 {
        let dir = dir();
        let drained = with_history(dir.path());
        let path = dir.path().join("db");
        let mut bytes = fs::read(&path).expect("sled's file is read");
        let mut random = StdRng::seed_from_u64(seed);
        let used = bytes.iter().rposition(|byte| *byte != 0).expect("it is not empty");
        let start = random.random_range(0..used);
        let end = bytes.len().min(start + 64);
        random.fill(&mut bytes[start..end]);
        fs::write(&path, bytes).expect("sled's file is written");
        if seed % 2 == 0 {
            remove_snapshots(dir.path());
        }
        let opened = reopen(dir.path());
        assert_eq!(standing(&opened.memory), drained, "seed {seed}: {:?}", opened.notes);
        drop(opened);
        let again = reopen(dir.path());
        assert_eq!(standing(&again.memory), drained, "seed {seed}, second start");
        assert!(again.notes.is_empty(), "seed {seed}: {:?}", again.notes);
    }
}

#[test]
fn an_unfinished_snapshot_is_no_obstacle() {
    let dir = dir();
    let drained = with_history(dir.path());
    let unfinished = dir.path().join("snap.7FFFFFFFFFFFFFFF.generating");
    fs::write(unfinished, "half").expect("it is written");
    let opened = reopen(dir.path());
    assert_eq!((standing(&opened.memory), opened.memory.edges.len()), (drained, 40));
    assert!(opened.notes.iter().any(|note| note.contains("restored")), "{:?}", opened.notes);
    assert_eq!(copies(dir.path()), 1);
}

#[test]
fn a_torn_snapshot_is_no_obstacle() {
    let dir = dir();
    let drained = with_history(dir.path());
    fs::write(dir.path().join("snap.7FFFFFFFFFFFFFFF"), "half").expect("it is written");
    let memory = reopen(dir.path()).memory;
    assert_eq!((standing(&memory), memory.edges.len()), (drained, 40));
}

#[test]
fn unusable_parameters_of_sled_cost_no_drain() {
    for conf in [
        "no parameters",
        "segment_size: 7",
        "segment_size: 524288\nuse_compression: true\nversion: 9.9",
    ] {
        let dir = dir();
        let drained = with_history(dir.path());
        fs::write(dir.path().join("conf"), conf).expect("it is written");
        let opened = reopen(dir.path());
        assert_eq!(standing(&opened.memory), drained);
        assert!(opened.notes.iter().any(|note| note.contains("made anew")), "{:?}", opened.notes);
        assert_eq!(copies(dir.path()), 1);
        drop(opened);
        assert_eq!(standing(&reopen(dir.path()).memory), drained);
    }
}

#[test]
fn an_unreadable_row_costs_no_other() {
    for (tree, key) in [("beat", id(5)), ("edge", id(5)), ("order", id(15)), ("order", id(5))] {
        let dir = dir();
        let drained = with_history(dir.path());
        spoil(dir.path(), tree, &key.0);
        let memory = reopen(dir.path()).memory;
        assert_eq!((memory.revision, standing(&memory)), (30, drained.clone()), "{tree} {key}");
        let rows = memory.edges.len() + memory.beats.len() + memory.orders.len();
        assert!(rows >= 40 + 40 + 20 - 1, "{tree} {key}: {rows} rows");
        fs::remove_file(dir.path().join("admin.snapshot")).expect("the sidecar is removed");
        assert_eq!(standing(&reopen(dir.path()).memory), drained, "written back to the trees");
    }
}

#[test]
fn a_damaged_revision_does_not_outrank_the_sidecar() {
    let dir = dir();
    let drained = with_history(dir.path());
    spoil(dir.path(), "meta", b"revision");
    let memory = reopen(dir.path()).memory;
    assert_eq!((memory.revision, standing(&memory)), (30, drained));
}

#[test]
fn a_lost_sidecar_is_made_anew() {
    for damaged in [true, false] {
        let dir = dir();
        let drained = with_history(dir.path());
        let sidecar = dir.path().join("admin.snapshot");
        let before = fs::read(&sidecar).expect("the sidecar");
        if damaged {
            fs::write(&sidecar, &before[..before.len() - 1]).expect("it is cut");
        } else {
            fs::remove_file(&sidecar).expect("it is removed");
        }
        let opened = reopen(dir.path());
        assert_eq!(standing(&opened.memory), drained);
        assert!(!opened.notes.is_empty());
        assert_eq!(fs::read(&sidecar).expect("the sidecar"), before);
    }
}

#[test]
fn damage_stops_the_start_where_that_is_asked_for() {
    let dir = dir();
    with_history(dir.path());
    spoil(dir.path(), "beat", &id(5).0);
    let refused = open(dir.path(), OnCorrupt::Fail, LOCK_WAIT, NOW);
    let error = refused.map(drop).expect_err("damage is not repaired");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains(dir.path().to_str().expect("UTF-8")), "{error}");
    assert_eq!(copies(dir.path()), 0);
}

#[test]
fn at_most_three_copies_are_kept() {
    let dir = dir();
    with_history(dir.path());
    for time in NOW..NOW + 5 {
        spoil(dir.path(), "beat", &id(5).0);
        let opened = open(dir.path(), OnCorrupt::Restore, LOCK_WAIT, time);
        opened.map(drop).expect("the store opens");
    }
    assert_eq!(copies(dir.path()), 3);
    assert!(dir.path().join(format!("corrupt-{}", NOW + 4)).is_dir());
}

/// Set in the process whose disk is full: the folder of its store.
const FULL_DISK_DIR: &str = "TIDEGATE_TEST_FULL_DISK_DIR";

/// Runs itself once more, in a process whose files may not grow, which fails as a full disk does.
#[test]
fn a_full_disk_starts_with_the_drains_of_the_sidecar() {
    if let Ok(dir) = std::env::var(FULL_DISK_DIR) {
        return start_on_a_full_disk(&dir);
    }
    let dir = dir();
    with_history(dir.path());
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().expect("the tests' program"))
        .arg("store::tests::damage::a_full_disk_starts_with_the_drains_of_the_sidecar")
        .env(FULL_DISK_DIR, dir.path())
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

fn start_on_a_full_disk(dir: &str) {
    let mut opened = reopen(Path::new(dir));
    let why = opened.degraded.expect("nothing can be written");
    assert!(why.contains(dir), "{why}");
    let drained: BTreeSet<_> = (11..=20).map(id).collect();
    assert_eq!((opened.memory.revision, standing(&opened.memory)), (30, drained));
    let error = opened.store.commit(&commit(99, &[])).expect_err("it is refused");
    assert_eq!(error.to_string(), why);
}
