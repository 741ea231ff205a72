//! Asks the EC2 metadata service, by IMDSv2 only: a session token first, then the value with it.
//! It never asks without a token, which is what IMDSv1 is.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html>

use std::{thread, time::Duration};

use ureq::{
    Agent, Body, Error,
    http::{HeaderValue, Response, Uri},
};

use crate::http;

/// Names another place to ask, as for AWS's own programs.
pub const ENDPOINT_VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
const ENDPOINT_DEFAULT: &str = "http://169.254.169.254";

/// The longest answer, in bytes; a host name has at most 253.
const ANSWER_LEN_MAX: u64 = 4_096;
/// The longest path, in bytes.
const PATH_LEN_MAX: usize = 200;
/// The token is used once, at once.
const TOKEN_TTL_S: &str = "60";

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ec2Error {
    /// The configured endpoint is no place to ask.
    #[error("{ENDPOINT_VARIABLE}: {0:?} is not an http:// URL of host and port alone")]
    Endpoint(String),
    /// Nobody answers, or not in time.
    #[error(
        "no EC2 metadata service at {endpoint} ({why}); outside of EC2 name the address itself, and \
         inside a container set the instance's metadata hop limit to 2"
    )]
    Silent {
        /// Who was asked.
        endpoint: String,
        /// What the system said.
        why: String,
    },
    /// It gives no token.
    #[error(
        "{endpoint} gives no IMDSv2 token (HTTP status {status}), and IMDSv1 is never used; switch \
         the instance's metadata endpoint on (with hop limit 2 for containers), or name the address \
         itself"
    )]
    NoToken {
        /// Who was asked.
        endpoint: String,
        /// What it answered.
        status: u16,
    },
    /// It knows no such value.
    #[error(
        "this instance has none (HTTP status 404); give it one, such as an elastic address, or name \
         the address itself"
    )]
    Absent,
    /// It refused, or has trouble itself.
    #[error("{endpoint} answered with HTTP status {status}; is the metadata endpoint switched on?")]
    Status {
        /// Who was asked.
        endpoint: String,
        /// What it answered.
        status: u16,
    },
    /// The answer is no value.
    #[error("{endpoint} answered {what} where one short line was expected; is it EC2's?")]
    Answer {
        /// Who was asked.
        endpoint: String,
        /// What came instead.
        what: &'static str,
    },
}

impl Ec2Error {
    /// Whether it may pass within seconds, as while an instance starts.
    fn may_pass(&self) -> bool {
        match self {
            Self::Silent { .. } => true,
            Self::NoToken { status, .. } | Self::Status { status, .. } => {
                *status == 429 || *status >= 500
            }
            Self::Endpoint(_) | Self::Absent | Self::Answer { .. } => false,
        }
    }
}

/// How long to wait, and how often.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// For a connection, and for an answer to be whole.
    patience: Duration,
    tries: u32,
    pause: Duration,
}

/// At most 7 s altogether, and 4 s where nobody answers.
const PACE: Pace =
    Pace { patience: Duration::from_secs(1), tries: 3, pause: Duration::from_millis(500) };

/// One metadata service.
#[derive(Debug)]
pub struct Metadata {
    agent: Agent,
    endpoint: String,
    pace: Pace,
}

impl Metadata {
    /// The service that `environment` names, or else the one of every EC2 instance.
    pub fn of_environment(environment: impl Fn(&str) -> Option<String>) -> Result<Self, Ec2Error> {
        let named = environment(ENDPOINT_VARIABLE).filter(|named| !named.is_empty());
        Self::new(named.as_deref().unwrap_or(ENDPOINT_DEFAULT), PACE)
    }

    fn new(endpoint: &str, pace: Pace) -> Result<Self, Ec2Error> {
        if !is_endpoint(endpoint) {
            return Err(Ec2Error::Endpoint(endpoint.to_owned()));
        }
        let config = http::asking()
            .timeout_connect(Some(pace.patience))
            .timeout_global(Some(pace.patience))
            .build();
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.into(), endpoint, pace })
    }

    /// The value at `path` (see [`is_path`]) below `/latest/meta-data/`. Blocks for at most 7 s.
    pub fn value(&self, path: &str) -> Result<String, Ec2Error> {
        let mut tries_left = self.pace.tries;
        loop {
            tries_left = tries_left.saturating_sub(1);
            match self.try_value(path) {
                Err(error) if error.may_pass() && tries_left > 0 => thread::sleep(self.pace.pause),
                outcome => return outcome,
            }
        }
    }

    fn try_value(&self, path: &str) -> Result<String, Ec2Error> {
        let token = self.token()?;
        let request = self.agent.get(format!("{}/latest/meta-data/{path}", self.endpoint));
        let answer = request
            .header("X-aws-ec2-metadata-token", token)
            .call()
            .map_err(|error| self.silent(&error))?;
        match answer.status().as_u16() {
            200 => self.line(answer),
            404 => Err(Ec2Error::Absent),
            status => Err(Ec2Error::Status { endpoint: self.endpoint.clone(), status }),
        }
    }

    fn token(&self) -> Result<HeaderValue, Ec2Error> {
        let request = self.agent.put(format!("{}/latest/api/token", self.endpoint));
        let answer = request
            .header("X-aws-ec2-metadata-token-ttl-seconds", TOKEN_TTL_S)
            .send_empty()
            .map_err(|error| self.silent(&error))?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(Ec2Error::NoToken { endpoint: self.endpoint.clone(), status });
        }
        let line = self.line(answer)?;
        let mut token = HeaderValue::from_str(&line).map_err(|_| self.odd("no token"))?;
        token.set_sensitive(true);
        Ok(token)
    }

    fn line(&self, mut answer: Response<Body>) -> Result<String, Ec2Error> {
        let body = answer.body_mut().with_config().limit(ANSWER_LEN_MAX);
        let text = body.read_to_string().map_err(|error| match error {
            Error::Timeout(_) => self.silent(&error),
            Error::BodyExceedsLimit(_) => self.odd("too much"),
            _ => self.odd("what cannot be read"),
        })?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        match line {
            "" => Err(self.odd("nothing")),
            line if line.contains(char::is_control) => Err(self.odd("several lines")),
            line => Ok(line.to_owned()),
        }
    }

    fn odd(&self, what: &'static str) -> Ec2Error {
        Ec2Error::Answer { endpoint: self.endpoint.clone(), what }
    }

    fn silent(&self, error: &Error) -> Ec2Error {
        let why = http::silence(error, "connection refused");
        Ec2Error::Silent { endpoint: self.endpoint.clone(), why }
    }
}

/// Whether `path` stays below `/latest/meta-data/` and means itself in a URL.
#[must_use]
pub fn is_path(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    path.len() <= PATH_LEN_MAX
        && path.split('/').all(|segment| {
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(plain)
        })
}

/// Whether it is `http://HOST[:PORT]`, with a slash after it or not.
fn is_endpoint(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let is_bare = uri.path() == "/" && uri.query().is_none() && !text.contains(['@', '#']);
    uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()) && is_bare
}

#[cfg(test)]
mod tests;
