//! A fleet whose key is replaced while it works. Exit code 1 when a heartbeat was lost, an edge left
//! UP, or a client got no edge.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tidegate_tests::rotation::{Plan, run};

/// Replaces the key of a fleet that it starts, and prints what came of it.
#[derive(Debug, Parser)]
struct Args {
    /// How many redirectors.
    #[arg(long, default_value_t = 3)]
    redirectors: usize,
    /// How many edges.
    #[arg(long, default_value_t = 100)]
    edges: usize,
    /// Milliseconds between two heartbeats of an edge.
    #[arg(long, default_value_t = 250)]
    interval_ms: u64,
}

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let Args { redirectors, edges, interval_ms } = Args::parse();
    let interval = Duration::from_millis(interval_ms);
    let report = run(Plan { redirectors, edges, interval });
    print!("{report}");
    let faults = report.faults();
    if faults.is_empty() {
        println!("nothing was lost");
        return ExitCode::SUCCESS;
    }
    println!("FAILED: {}", faults.join("; "));
    ExitCode::FAILURE
}
