//! Which orders stand when the trees and the sidecar disagree.
//!
//! A commit writes the trees first and the sidecar second, so in health the two agree, or the trees
//! are one commit ahead after a crash between the two. Anything else is damage, most often trees
//! that lost their last writes and do not know it.
//!
//! 1. The sidecar is at the trees' revision or a higher one: **it alone says what stands**. It is
//!    replaced as a whole and has one checksum, so no part of it can be older than the rest.
//! 2. The trees are at a higher revision: they decide for each edge of which they have a record,
//!    and an order that only the sidecar knows stands as well. An edge drained once too often is
//!    seen and undrained; a drain that vanished sends viewers to a machine being repaired.
//!
//! No rule removes a record, so no etag is given out twice.

use std::collections::BTreeMap;

use tidegate_proto::edge::EdgeId;

use super::{Memory, OrderRow, sidecar::Standing};

/// The records that hold from now on, their revision, and what was out of the ordinary.
#[derive(Debug, PartialEq)]
pub(super) struct Merged {
    pub revision: u64,
    pub orders: Vec<OrderRow>,
    pub notes: Vec<String>,
}

/// Applies the rule above.
pub(super) fn merge(trees: &Memory, sidecar: Option<&Standing>) -> Merged {
    let rows = trees.orders.iter().map(|row| row.revision).max().unwrap_or(0);
    let revision = trees.revision.max(rows);
    let mut merged = Merged { revision, orders: trees.orders.clone(), notes: Vec::new() };
    match sidecar {
        Some(sidecar) if sidecar.revision >= revision => follow(&mut merged, sidecar),
        Some(sidecar) => supplement(&mut merged, sidecar),
        None if revision > 0 => merged.notes.push(format!(
            "there is no readable admin.snapshot; orders are those of the trees, revision {revision}"
        )),
        None => {}
    }
    merged
}

/// Rule 1.
fn follow(merged: &mut Merged, sidecar: &Standing) {
    if sidecar.revision > merged.revision {
        merged.notes.push(format!(
            "the trees had lost the orders after revision {}; admin.snapshot restores revision {}",
            merged.revision, sidecar.revision
        ));
    }
    merged.revision = sidecar.revision;
    let mut standing = by_edge(sidecar);
    let (mut restored, mut freed) = (Vec::new(), Vec::new());
    for row in &mut merged.orders {
        match standing.remove(&row.id) {
            Some(order) if order == row => {}
            Some(order) => {
                restored.push(order);
                row.clone_from(order);
            }
            None if row.is_standing() => {
                freed.push(row.id);
                row.clear(sidecar.revision);
            }
            None => {}
        }
    }
    note_standing(merged, &restored);
    note(merged, "without orders", &freed);
    add(merged, standing);
}

/// Rule 2.
fn supplement(merged: &mut Merged, sidecar: &Standing) {
    let mut standing = by_edge(sidecar);
    for row in &merged.orders {
        standing.remove(&row.id);
    }
    add(merged, standing);
}

fn by_edge(sidecar: &Standing) -> BTreeMap<EdgeId, &OrderRow> {
    sidecar.orders.iter().map(|row| (row.id, row)).collect()
}

fn add(merged: &mut Merged, orders: BTreeMap<EdgeId, &OrderRow>) {
    note_standing(merged, &orders.values().copied().collect::<Vec<_>>());
    merged.orders.extend(orders.into_values().cloned());
    merged.orders.sort_by_key(|row| row.id);
}

fn note_standing(merged: &mut Merged, rows: &[&OrderRow]) {
    let those = |drained| rows.iter().filter(move |row| row.order.is_some() == drained);
    note(merged, "drained", &those(true).map(|row| row.id).collect::<Vec<_>>());
    note(merged, "weighted", &those(false).map(|row| row.id).collect::<Vec<_>>());
}

fn note(merged: &mut Merged, what: &str, edges: &[EdgeId]) {
    let note = match edges {
        [] => return,
        [only] => format!("{only} is {what}, as in admin.snapshot"),
        [first, rest @ ..] => {
            format!("{first} and {} more are {what}, as in admin.snapshot", rest.len())
        }
    };
    merged.notes.push(note);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{drain, undrained, weighted};

    fn trees(revision: u64, orders: &[OrderRow]) -> Memory {
        Memory { revision, orders: orders.to_vec(), ..Memory::default() }
    }

    fn sidecar(revision: u64, orders: &[OrderRow]) -> Option<Standing> {
        Some(Standing { revision, orders: orders.to_vec() })
    }

    #[test]
    fn in_health_nothing_changes_and_nothing_is_noted() {
        let rows = [drain(1, 4), undrained(2, 5)];
        let merged = merge(&trees(5, &rows), sidecar(5, &rows[..1]).as_ref());
        assert_eq!(merged, Merged { revision: 5, orders: rows.to_vec(), notes: Vec::new() });
        let ahead = merge(&trees(5, &rows), sidecar(4, &rows[..1]).as_ref());
        assert_eq!(ahead, merged);
    }

    #[test]
    fn trees_that_lost_a_drain_get_it_back() {
        let merged = merge(&trees(3, &[undrained(1, 3)]), sidecar(4, &[drain(1, 4)]).as_ref());
        assert_eq!((merged.revision, merged.orders), (4, vec![drain(1, 4)]));
        assert!(!merged.notes.is_empty());
    }

    #[test]
    fn trees_that_lost_an_undrain_get_it_back_with_a_new_etag() {
        let merged = merge(&trees(3, &[drain(1, 3)]), sidecar(7, &[]).as_ref());
        assert_eq!((merged.revision, merged.orders), (7, vec![undrained(1, 7)]));
    }

    #[test]
    fn a_lost_record_at_the_same_revision_is_restored() {
        let merged = merge(&trees(4, &[]), sidecar(4, &[drain(1, 4)]).as_ref());
        assert_eq!(merged.orders, [drain(1, 4)]);
    }

    #[test]
    fn an_order_that_the_sidecar_had_not_seen_yet_stands() {
        let merged = merge(&trees(5, &[drain(1, 5)]), sidecar(4, &[]).as_ref());
        assert_eq!(merged.orders, [drain(1, 5)]);
        let merged = merge(&trees(5, &[undrained(1, 5)]), sidecar(4, &[drain(1, 4)]).as_ref());
        assert_eq!(merged.orders, [undrained(1, 5)]);
    }

    #[test]
    fn a_drain_without_a_record_in_newer_trees_stands() {
        let merged = merge(&trees(5, &[drain(2, 5)]), sidecar(4, &[drain(1, 4)]).as_ref());
        assert_eq!(merged.orders, [drain(1, 4), drain(2, 5)]);
    }

    #[test]
    fn a_weight_stands_and_falls_as_a_drain_does() {
        let merged = merge(&trees(3, &[undrained(1, 3)]), sidecar(4, &[weighted(1, 4)]).as_ref());
        assert_eq!((merged.revision, merged.orders), (4, vec![weighted(1, 4)]));
        assert!(merged.notes.iter().any(|note| note.contains("weighted")), "{:?}", merged.notes);
        let merged = merge(&trees(3, &[weighted(1, 3)]), sidecar(7, &[]).as_ref());
        assert_eq!((merged.orders[0].is_standing(), merged.orders[0].revision), (false, 7));
        let merged = merge(&trees(5, &[drain(2, 5)]), sidecar(4, &[weighted(1, 4)]).as_ref());
        assert_eq!(merged.orders, [weighted(1, 4), drain(2, 5)]);
    }

    #[test]
    fn a_missing_sidecar_is_noted_once_there_were_orders() {
        assert_eq!(merge(&trees(0, &[]), None).notes.len(), 0);
        let merged = merge(&trees(2, &[drain(1, 2)]), None);
        assert_eq!((merged.orders.len(), merged.notes.len()), (1, 1));
    }
}
