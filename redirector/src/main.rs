//! The redirector's program: what the command line asks for, and the exit code.

use std::process::ExitCode;

use clap::ArgMatches;
use tidegate_redirector::program::{self, Failure};

fn main() -> ExitCode {
    let matches = match program::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let code = if error.use_stderr() { 64 } else { 0 };
            return error.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code));
        }
    };
    match obey(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tidegate-redirector: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
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
