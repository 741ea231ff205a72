//! A flash crowd against the real programs under one policy after the other. Exit code 1 when
//! `fill` lets any edge get much fuller than the others, or when a client was refused.

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tidegate_control::selection::Policy;
use tidegate_tests::{
    flash::{Plan, faults, print_table, run},
    verdict::verdict,
};

const COMPARED: [Policy; 5] =
    [Policy::Fill, Policy::Least, Policy::P2c, Policy::Wowza, Policy::Report];

/// Lets a crowd ask a redirector and real agents report what landed, and prints how level it was.
#[derive(Debug, Parser)]
struct Args {
    /// A policy to try; can be given several times. None: fill, least, p2c, wowza and report.
    #[arg(long)]
    policy: Vec<Policy>,
    /// How many edges.
    #[arg(long, default_value_t = 20)]
    edges: u16,
    /// How many clients.
    #[arg(long, default_value_t = 20_000)]
    redirects: usize,
    /// The time within which they ask.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Repeats the chance of another run.
    #[arg(long)]
    seed: Option<u64>,
}

#[allow(clippy::print_stdout)]
fn main() -> ExitCode {
    let args = Args::parse();
    let plan = Plan {
        edges: args.edges,
        redirects: args.redirects,
        span: Duration::from_secs(args.seconds),
        seed: args.seed.unwrap_or_else(rand::random),
    };
    println!("seed {}", plan.seed);
    let policies = if args.policy.is_empty() { COMPARED.to_vec() } else { args.policy };
    let reports: Vec<_> = policies.into_iter().map(|policy| run(plan, policy)).collect();
    verdict(print_table(&reports), &faults(&reports), "the crowd was spread")
}
