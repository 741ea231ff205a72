//! `tidegatectl`: the operator's command line.
//!
//! [`args`] says what can be asked, [`target`] how a redirector is reached, [`reads`], [`orders`]
//! and [`follow`] ask it, [`table`], [`detail`] and [`explain`] show what it said. [`keys`] and
//! [`simulate`] work offline.

mod args;
mod connect;
mod detail;
mod explain;
mod failure;
mod follow;
mod keys;
mod orders;
mod reads;
mod show;
mod simulate;
mod table;
mod target;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use args::{Args, Command};
use clap::{Parser, error::ErrorKind};
use failure::Failure;

/// The exit code of a call that was not understood (`EX_USAGE`).
const USAGE: u8 = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Without a terminal to write to there is nothing left to say.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { USAGE.into() };
        }
    };
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            show::tell(&failure.to_string());
            failure.exit_code().into()
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let Args { command, reach, output } = args;
    let targets = || target::targets(&reach);
    match command {
        Command::Edges { filter, wide } => reads::edges(&targets()?, &filter, wide, output).await,
        Command::Edge { name } => reads::edge(&targets()?, &name, output).await,
        Command::Watch => follow::watch(&targets()?, output).await,
        Command::Drain(order) => orders::drain(&targets()?, order, output).await,
        Command::Undrain(order) => orders::undrain(&targets()?, order, output).await,
        Command::Weight { order, weight } => {
            orders::weight(&targets()?, order, weight, output).await
        }
        Command::Explain(client) => explain::explain(&targets()?, client, output).await,
        Command::Forget { name } => orders::forget(&targets()?, &name, output).await,
        Command::Key(command) => keys::key(command),
        Command::Token(command) => keys::token(command),
        Command::Simulate(asked) => simulate::simulate(&asked, output),
    }
}
