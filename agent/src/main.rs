//! The agent's program: what the command line asks for, and the exit code.

use std::{path::PathBuf, process::ExitCode};

use clap::ArgMatches;
use tidegate_agent::{operator, prepare, preview::preview, program};
use tidegate_proto::program::{Failure, start};

fn main() -> ExitCode {
    start(program::command(), obey)
}

fn obey(matches: &ArgMatches) -> Result<(), Failure> {
    if let Some((verb, matches)) = operator::asked(matches) {
        print(&operator::obey(verb, matches)?);
        return Ok(());
    }
    if let Some(matches) = prepare::asked(matches) {
        print(&prepare::obey(matches)?);
        return Ok(());
    }
    let checked = program::configure(matches)?;
    if matches.get_flag("check") {
        print(&program::check(checked)?);
        return Ok(());
    }
    if matches.get_flag("once") {
        let (preview, faults) = preview(checked);
        faults.iter().for_each(|fault| eprintln!("tidegate-agent: {fault}"));
        let shown = serde_json::to_string_pretty(&preview).map_err(Failure::start_up)?;
        print(&shown);
        return Ok(());
    }
    program::run(checked, matches.get_one::<PathBuf>("ports-file").map(PathBuf::as_path))
}

#[allow(clippy::print_stdout)]
fn print(text: &str) {
    println!("{text}");
}
