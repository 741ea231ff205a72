//! The fleet's key is replaced while edges report and clients ask.

use std::time::Duration;

use tidegate_tests::rotation::{Plan, run};

#[test]
fn a_key_is_replaced_without_losing_a_heartbeat() {
    let plan = Plan { redirectors: 3, edges: 100, interval: Duration::from_secs(1) };
    let report = run(plan);
    eprintln!("{report}");
    assert_eq!(report.faults(), Vec::<String>::new());
}
