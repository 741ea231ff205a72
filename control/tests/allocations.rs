//! A pick takes no memory, whatever the policy is.

#[path = "../benches/pick/fleet.rs"]
mod fleet;

use std::{collections::HashSet, sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::SmallRng};
use tidegate_control::{
    pick::{Wanted, pick},
    publish::Snapshot,
    selection::{Policy, Selection},
};
use tidegate_proto::edge::{EdgeId, Scheme};

#[test]
fn a_pick_allocates_nothing() {
    let (own, now) = (HashSet::new(), Duration::from_secs(101));
    let fleet = Arc::new(fleet::reported(&fleet::of(500), now));
    // The first edges have failed the client: those draws are made again.
    let tried: Vec<_> = fleet.edges.iter().take(100).map(|edge| edge.id).collect::<Vec<EdgeId>>();
    for policy in Policy::ALL {
        let selection = Selection { policy, ..Selection::default() };
        let snapshot = Snapshot::of(Arc::clone(&fleet), Arc::new(selection), now);
        let mut random = SmallRng::seed_from_u64(1);
        let counted = allocation_counter::measure(|| {
            for at in 0..1_000 {
                let wanted = Wanted {
                    path: "/live/cam.m3u8",
                    tried: if at % 2 == 0 { &tried } else { &[] },
                    ..Wanted::new(Some(Scheme::Http), 80, &own)
                };
                assert!(pick(&snapshot, &wanted, now, &mut random).is_ok());
            }
        });
        assert_eq!(counted.count_total, 0, "{policy}");
    }
}
