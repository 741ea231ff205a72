//! One HTTP GET beside the edge, with bounds on time and length. Every failure says what to look at.

mod challenge;
mod digest;
mod login;

use std::{
    fmt,
    time::{Duration, Instant},
};

use tidegate_proto::heartbeat::Trouble;
use ureq::{
    Agent, Body, Error,
    http::{Response, header::WWW_AUTHENTICATE},
};

use super::trouble;
use crate::http;

pub use login::Login;

/// The longest page, in bytes: ten thousand streams fit.
const PAGE_LEN_MAX: u64 = 8 << 20;

/// What of a strange text is shown to people, in characters.
const SHOWN_LEN_MAX: usize = 40;

/// Asks one media server.
pub(super) struct Fetch {
    agent: Agent,
    /// As configured: some servers have a page with a slash at the end only.
    url: String,
    /// The same without a slash at the end, for the pages below it.
    base: String,
    login: Option<Login>,
    patience: Duration,
}

impl Fetch {
    /// A server at or below `url`, an `http://` URL, each of whose answers must be whole within `patience`.
    pub(super) fn new(url: &str, login: Option<Login>, patience: Duration) -> Self {
        let config = http::asking()
            // A kept connection would always lead to the same worker of a server that has several.
            .max_idle_connections(0)
            .build();
        let base = url.trim_end_matches('/').to_owned();
        Self { agent: config.into(), url: url.to_owned(), base, login, patience }
    }

    /// The server's URL without a slash at the end, for messages.
    pub(super) fn place(&self) -> &str {
        &self.base
    }

    /// The page at the configured URL itself, or at `path` below it; `path` begins with a slash.
    pub(super) fn text(&self, path: &str) -> Result<String, Trouble> {
        let url = match path {
            "" => self.url.clone(),
            path => format!("{}{path}", self.base),
        };
        found(&url, self.get(&url, "*/*")?)
    }

    /// The same where an older server may not have the page; `None`: it answers 404.
    pub(super) fn text_if_there(&self, path: &str) -> Result<Option<String>, Trouble> {
        self.get(&format!("{}{path}", self.base), "*/*")
    }

    /// The JSON at `path` from the root of the server, wherever the base URL points.
    pub(super) fn json_from_root(&self, path: &str) -> Result<String, Trouble> {
        let url = format!("{}{path}", split_url(&self.base).0);
        found(&url, self.get(&url, "application/json")?)
    }

    fn get(&self, url: &str, accept: &str) -> Result<Option<String>, Trouble> {
        let until = Instant::now() + self.patience;
        let mut answer = self.call(url, accept, None, until)?;
        if let (401, Some(login)) = (answer.status().as_u16(), &self.login) {
            let asked = answer.headers().get_all(WWW_AUTHENTICATE);
            let cnonce = format!("{:032x}", rand::random::<u128>());
            let who = login
                .answer(asked.iter().filter_map(|h| h.to_str().ok()), split_url(url).1, &cnonce)
                .map_err(|why| trouble("source_refused", format!("{url}: {why}")))?;
            answer = self.call(url, accept, Some(&who), until)?;
        }
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status => return Err(refused(url, status, self.login.as_ref())),
        }
        let body = answer.body_mut().with_config().limit(PAGE_LEN_MAX);
        body.read_to_string().map(Some).map_err(|error| unreadable(url, &error))
    }

    fn call(
        &self,
        url: &str,
        accept: &str,
        who: Option<&str>,
        until: Instant,
    ) -> Result<Response<Body>, Trouble> {
        let left = until.saturating_duration_since(Instant::now());
        let request = self.agent.get(url).header("Accept", accept);
        let request = match who {
            Some(who) => request.header("Authorization", who),
            None => request,
        };
        let request = request.config().timeout_global(Some(left)).build();
        request.call().map_err(|error| unreachable(url, &error))
    }
}

/// A page that must be there.
fn found(url: &str, page: Option<String>) -> Result<String, Trouble> {
    page.ok_or_else(|| refused(url, 404, None))
}

/// Scheme and authority of a URL, and its path with the query.
fn split_url(url: &str) -> (&str, &str) {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find(['/', '?']).map_or(url.len(), |at| begin + at);
    match url.split_at(end) {
        (origin, "") => (origin, "/"),
        split => split,
    }
}

/// The start of a strange text, for the end of a sentence.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_LEN_MAX).collect()
}

/// Trouble with what a page says: it is not the form it should be.
pub(super) fn misread(place: &str, why: impl fmt::Display) -> Trouble {
    trouble("source_unreadable", format!("{place} is not what it should be: {why}"))
}

/// Trouble with a figure that no server can have.
pub(super) fn absurd(place: &str, figure: &str, value: impl fmt::Display) -> Trouble {
    trouble("source_absurd", format!("{place} says {figure} is {value}"))
}

/// The server is not there, or not in time, or something else answers in its place.
fn unreachable(url: &str, error: &Error) -> Trouble {
    match error {
        Error::Protocol(error) => misread(url, format!("no answer by HTTP: {error}")),
        Error::LargeResponseHeader(..) => misread(url, error),
        other => {
            let why = http::silence(other, "connection refused; is the server running?");
            trouble("server_down", format!("{url}: {why}"))
        }
    }
}

fn refused(url: &str, status: u16, login: Option<&Login>) -> Trouble {
    let hint = match (status, login) {
        (401 | 403, Some(login)) => format!("; does {:?} have the right password?", login.user),
        (401 | 403, None) => {
            "; it wants source.user and source.password_file, or to allow 127.0.0.1".to_owned()
        }
        (404, _) => "; is the page switched on, and source.url right?".to_owned(),
        (500..=599, _) => "; the server itself has trouble".to_owned(),
        _ => String::new(),
    };
    trouble("source_refused", format!("{url} answered {status}{hint}"))
}

fn unreadable(url: &str, error: &Error) -> Trouble {
    match error {
        Error::Timeout(_) => trouble("server_down", format!("{url}: its answer broke off")),
        other => trouble("source_unreadable", format!("{url}: {other}")),
    }
}

#[cfg(test)]
mod tests;
