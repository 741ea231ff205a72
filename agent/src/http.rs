//! How this agent asks other programs over HTTP, whatever it asks them.

use std::io;

use ureq::{Agent, Error, config::ConfigBuilder, typestate::AgentScope};

/// What every question has in common: an answer is an answer whatever its status, nobody is followed
/// elsewhere, and no proxy, which would be asked about itself, stands between.
pub(crate) fn asking() -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("tidegate-agent/", env!("CARGO_PKG_VERSION")))
}

/// Why there is no answer, in words. `refused` is what to say where nobody listens.
pub(crate) fn silence(error: &Error, refused: &str) -> String {
    match error {
        Error::Timeout(_) => "no answer in time".to_owned(),
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => refused.to_owned(),
        other => other.to_string(),
    }
}
