//! The redirector's program: what the command line asks for, and the exit code.

use std::process::ExitCode;

use clap::ArgMatches;
use tidegate_proto::program::{Failure, start};
use tidegate_redirector::program;

fn main() -> ExitCode {
    start(program::command(), obey)
}

fn obey(matches: &ArgMatches) -> Result<(), Failure> {
    let task = program::configure(matches)?;
    if matches.get_flag("check") {
        print(&program::check(&task)?);
        return Ok(());
    }
    program::run(task, print)
}

#[allow(clippy::print_stdout)]
fn print(text: &str) {
    println!("{text}");
}
