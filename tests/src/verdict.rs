//! How the measuring programs end: their table, what was wrong in it, and an exit code.

use std::{fmt::Display, process::ExitCode};

/// Prints what was measured. Exit code 1 when something must not be, else `all_well` is said.
#[must_use]
#[allow(clippy::print_stdout)]
pub fn verdict(report: impl Display, faults: &[String], all_well: &str) -> ExitCode {
    print!("{report}");
    if faults.is_empty() {
        println!("{all_well}");
        return ExitCode::SUCCESS;
    }
    println!("FAILED: {}", faults.join("; "));
    ExitCode::FAILURE
}
