//! How every server program begins and ends: a command line, one message, an exit code.

use std::{fmt::Display, process::ExitCode};

use clap::{ArgMatches, Command};

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The operator must change the configuration: exit code 64.
    #[error("{0}")]
    Configuration(String),
    /// The system did not give what is needed: exit code 1.
    #[error("{0}")]
    StartUp(String),
    /// A part of it ended while it ran: exit code 1.
    #[error("{0}")]
    Ended(String),
}

impl Failure {
    /// The configuration is at fault, as `error` says.
    pub fn configuration(error: impl Display) -> Self {
        Self::Configuration(error.to_string())
    }

    /// The start failed, as `error` says.
    pub fn start_up(error: impl Display) -> Self {
        Self::StartUp(error.to_string())
    }

    /// The system refused something that needs no name.
    pub fn cannot_start(error: std::io::Error) -> Self {
        Self::StartUp(format!("cannot start: {error}"))
    }

    /// 64 (`EX_USAGE`) or 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Configuration(_) => 64,
            Self::StartUp(_) | Self::Ended(_) => 1,
        }
    }
}

/// Reads the command line and obeys it. What fails is told in one message on standard error; a
/// command line that is not understood is a fault of the configuration.
pub fn start(command: Command, obey: impl FnOnce(&ArgMatches) -> Result<(), Failure>) -> ExitCode {
    let name = command.get_name().to_owned();
    let matches = match command.try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            let code = if error.use_stderr() { 64 } else { 0 };
            return error.print().map_or(ExitCode::FAILURE, |()| ExitCode::from(code));
        }
    };
    match obey(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
