//! Logs to the standard error stream, as text or JSON. Control characters in fields are escaped by
//! the formatter, so hostile text stays on its line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Starts logging for the process. A second start changes nothing.
pub fn start(filter: EnvFilter, format: LogFormat) {
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
