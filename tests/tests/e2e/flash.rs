//! A flash crowd: thousands of clients in seconds, and no edge gets much fuller than another.

use std::thread;

use tidegate_control::selection::Policy;
use tidegate_tests::flash::{Plan, faults, print_table, run};

#[test]
fn a_flash_crowd_is_spread_by_fill_and_herded_by_the_last_reports() {
    let plan = Plan::default();
    eprintln!("seed {}", plan.seed);
    // Side by side, each with a fleet of its own, for the time of one.
    let reports: Vec<_> = thread::scope(|scope| {
        let start = |policy| scope.spawn(move || run(plan, policy));
        let running = [Policy::Fill, Policy::Report].map(start);
        running.into_iter().map(|run| run.join().expect("a run that ends")).collect()
    });
    eprintln!("{}", print_table(&reports));
    assert_eq!(faults(&reports), Vec::<String>::new(), "seed {}", plan.seed);
}
