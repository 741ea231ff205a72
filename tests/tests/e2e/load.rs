//! A fleet of thousands: every heartbeat counts, and memory does not grow.

use std::time::Duration;

use tidegate_tests::load::{Plan, run};

#[test]
fn two_thousand_edges_lose_no_heartbeat() {
    let report = run(Plan { edges: 2_000, span: Duration::from_secs(15) });
    eprintln!("{report}");
    assert_eq!(report.faults(), Vec::<String>::new());
}
