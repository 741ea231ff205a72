//! What agents cost edges at rest. Exit code 1 when one takes more than it may.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tidegate_tests::{at_rest::watch, verdict::verdict};

/// Starts agents with different sources, and prints the processor time and memory they take.
#[derive(Debug, Parser)]
struct Args {
    /// How long they are watched.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

fn main() -> ExitCode {
    let report = watch(Duration::from_secs(Args::parse().seconds));
    verdict(&report, &report.faults(), "all within their goals")
}
