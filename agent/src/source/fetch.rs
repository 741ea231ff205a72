//! One HTTP GET beside the edge, with bounds on time and length. Every failure says what to look at.

use std::{fmt, io, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tidegate_proto::{heartbeat::Trouble, secret_file};
use ureq::{Agent, Error};
use zeroize::Zeroizing;

use super::trouble;

/// The longest page, in bytes: ten thousand streams fit.
const PAGE_LEN_MAX: u64 = 8 << 20;

/// Who asks, where a server wants to know: its password stands in a file that others cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The file whose first line is the password; read at each request, so it can be changed.
    pub password_file: PathBuf,
}

/// Asks one media server.
pub(super) struct Fetch {
    agent: Agent,
    /// Without a slash at the end.
    base: String,
    login: Option<Login>,
}

impl Fetch {
    /// A server below `base`, an `http://` URL, each of whose answers must be whole within `patience`.
    pub(super) fn new(base: &str, login: Option<Login>, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(patience))
            .http_status_as_error(false)
            .max_redirects(0)
            // A kept connection would always lead to the same worker of a server that has several.
            .max_idle_connections(0)
            .proxy(None)
            .user_agent(concat!("tidegate-agent/", env!("CARGO_PKG_VERSION")))
            .build();
        let base = base.trim_end_matches('/').to_owned();
        Self { agent: config.into(), base, login }
    }

    /// The server's URL, for messages.
    pub(super) fn place(&self) -> &str {
        &self.base
    }

    /// The page at the base URL itself, or at `path` below it; `path` begins with a slash.
    pub(super) fn text(&self, path: &str) -> Result<String, Trouble> {
        let url = format!("{}{path}", self.base);
        let mut request = self.agent.get(&url);
        if let Some(login) = &self.login {
            request = request.header("Authorization", basic(login)?.as_str());
        }
        let mut answer = request.call().map_err(|error| unreachable(&url, &error))?;
        match answer.status().as_u16() {
            200 => {}
            status => return Err(refused(&url, status)),
        }
        let body = answer.body_mut().with_config().limit(PAGE_LEN_MAX);
        body.read_to_string().map_err(|error| unreadable(&url, &error))
    }
}

/// Trouble with what a page says: it is not the form it should be.
pub(super) fn misread(place: &str, why: impl fmt::Display) -> Trouble {
    trouble("source_unreadable", format!("{place} is not what it should be: {why}"))
}

/// Trouble with a figure that no server can have.
pub(super) fn absurd(place: &str, figure: &str, value: impl fmt::Display) -> Trouble {
    trouble("source_absurd", format!("{place} says {figure} is {value}"))
}

fn basic(login: &Login) -> Result<Zeroizing<String>, Trouble> {
    let text = secret_file::read(&login.password_file)
        .map_err(|error| trouble("source_refused", error.to_string()))?;
    let password = text.lines().next().unwrap_or_default();
    let pair = Zeroizing::new(format!("{}:{password}", login.user));
    Ok(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

/// The server is not there, or not in time.
fn unreachable(url: &str, error: &Error) -> Trouble {
    let why = match error {
        Error::Timeout(_) => "no answer in time".to_owned(),
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused; is the server running?".to_owned()
        }
        other => other.to_string(),
    };
    trouble("server_down", format!("{url}: {why}"))
}

fn refused(url: &str, status: u16) -> Trouble {
    let hint = match status {
        401 | 403 => "; it wants source.user and source.password_file, or to allow 127.0.0.1",
        404 => "; is the page switched on, and source.url right?",
        500..=599 => "; the server itself has trouble",
        _ => "",
    };
    trouble("source_refused", format!("{url} answered {status}{hint}"))
}

fn unreadable(url: &str, error: &Error) -> Trouble {
    match error {
        Error::Timeout(_) => trouble("server_down", format!("{url}: its answer broke off")),
        other => trouble("source_unreadable", format!("{url}: {other}")),
    }
}
