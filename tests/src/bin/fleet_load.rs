//! A fleet of simulated edges against a real redirector: how many heartbeats are lost, and what
//! the redirector needs for them. Exit code 1 when anything was lost or memory kept growing.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tidegate_tests::{
    load::{Plan, run},
    verdict::verdict,
};

/// Sends heartbeats of many edges to a redirector that it starts, and prints what came of it.
#[derive(Debug, Parser)]
struct Args {
    /// How many edges.
    #[arg(long, default_value_t = 10_000)]
    edges: usize,
    /// How long they report.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let report = run(Plan { edges: args.edges, span: Duration::from_secs(args.seconds) });
    verdict(&report, &report.faults(), "nothing was lost")
}
