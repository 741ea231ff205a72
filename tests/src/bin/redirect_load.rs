//! Clients at an even pace against running redirectors. Exit code 1 when a single question failed.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use tidegate_tests::{
    steady::{Plan, run},
    verdict::verdict,
};

/// Asks for redirects at an even pace, half on kept connections, and prints what came of it.
#[derive(Debug, Parser)]
struct Args {
    /// The clients' port: an address and a port.
    #[arg(long)]
    to: SocketAddr,
    /// Questions a second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_second: u32,
    /// How long at most, in seconds; SIGTERM ends it before.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

fn main() -> ExitCode {
    let Args { to, per_second, seconds } = Args::parse();
    let report = run(Plan { to, per_second, span: Duration::from_secs(seconds) });
    verdict(&report, &report.faults(), "every question was answered with a redirect")
}
