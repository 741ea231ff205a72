//! A fleet whose key is replaced while it works. Exit code 1 when a heartbeat was lost, an edge left
//! UP, or a client got no edge.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tidegate_tests::{
    rotation::{Plan, run},
    verdict::verdict,
};

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

fn main() -> ExitCode {
    let Args { redirectors, edges, interval_ms } = Args::parse();
    let interval = Duration::from_millis(interval_ms);
    let report = run(Plan { redirectors, edges, interval });
    verdict(&report, &report.faults(), "nothing was lost")
}
