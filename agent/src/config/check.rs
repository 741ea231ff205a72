//! The rules. Every refusal begins with the key it is about and says what would be right.

mod source;

use std::{
    net::SocketAddr,
    num::{NonZeroU16, NonZeroU32},
    path::PathBuf,
    time::Duration,
};

use tidegate_proto::{
    edge::{
        Capacity, ENDPOINTS_MAX, EdgeName, Endpoint, LABEL_LEN_MAX, LABELS_MAX, Labels, is_label,
    },
    heartbeat::{BANDWIDTH_BPS_MAX, INTERVAL_MAX, INTERVAL_MIN, VIEWERS_MAX},
};
use tracing_subscriber::EnvFilter;

use super::{CapacityConfig, Config, EndpointConfig, LimitConfig, LogFormat};
use crate::{
    limit::ViewerLimit,
    link_speed::Link,
    redirect::Inquiry,
    report::{Profile, Redirect},
    source::Plan,
    variables::Template,
};

/// Why a configuration was refused: the key, the fault and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// A configuration that holds every rule.
#[derive(Debug)]
pub struct Checked {
    /// What the edge says of itself.
    pub profile: Profile,
    /// What to ask for where clients are sent, when the profile says that this is followed.
    pub inquiry: Option<Inquiry>,
    /// Whose speed is the capacity, when none is configured.
    pub link: Option<Link>,
    /// Where the edge's UUID is kept.
    pub state_dir: PathBuf,
    /// The redirectors and their keys, not read yet.
    pub targets_file: PathBuf,
    /// When the edge takes no more viewers of its own accord.
    pub limit: Option<ViewerLimit>,
    /// Where figures come from.
    pub source: Plan,
    /// Where to listen for HTTP.
    pub control_listen: SocketAddr,
    /// What to log.
    pub log: EnvFilter,
    /// How to log it.
    pub log_format: LogFormat,
}

impl Config {
    /// Checks every rule. `environment` and `host_name` are passed in so that this stays pure.
    pub fn check(
        self,
        environment: impl Fn(&str) -> Option<String>,
        host_name: impl FnOnce() -> Option<String>,
    ) -> Result<Checked, Refused> {
        let (redirect, inquiry) = checked_redirect(&self.redirect_address, environment)?;
        let profile = Profile {
            name: checked_name(&self.name, host_name)?,
            redirect,
            endpoints: checked_endpoints(&self.endpoint)?,
            labels: checked_labels(self.labels)?,
            capacity: checked_capacity(&self.capacity)?,
            interval: checked_interval(self.interval)?,
        };
        Ok(Checked {
            profile,
            inquiry,
            link: checked_link(&self.capacity)?,
            state_dir: checked_path("state_dir", self.state_dir)?,
            targets_file: checked_path("targets_file", self.targets_file)?,
            limit: checked_limit(&self.limit)?,
            source: source::checked(self.source)?,
            control_listen: self.control.listen.parse().map_err(|_| {
                refused(
                    "control.listen",
                    &self.control.listen,
                    "an address and port such as 127.0.0.1:1938",
                )
            })?,
            log: EnvFilter::try_new(&self.telemetry.log).map_err(|_| {
                refused(
                    "telemetry.log",
                    &self.telemetry.log,
                    "a level (error, warn, info, debug, trace) or directives",
                )
            })?,
            log_format: self.telemetry.log_format,
        })
    }
}

fn refused(key: &str, text: &str, wanted: &str) -> Refused {
    Refused(format!("{key}: {text:?} is not {wanted}"))
}

fn checked_name(
    name: &str,
    host_name: impl FnOnce() -> Option<String>,
) -> Result<EdgeName, Refused> {
    if !name.is_empty() {
        return name.parse().map_err(|why| Refused(format!("name: {name:?}: {why}")));
    }
    let host = host_name().unwrap_or_default();
    name_of_host(&host).ok_or_else(|| {
        Refused(format!("name: the host name {host:?} cannot name an edge; set name yourself"))
    })
}

/// The edge name of a host name, whose odd characters become hyphens.
#[must_use]
pub fn name_of_host(host: &str) -> Option<EdgeName> {
    let labels = host.split('.').filter_map(|label| {
        let plain: String = label
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(63)
            .collect();
        let plain = plain.trim_matches('-');
        (!plain.is_empty()).then(|| plain.to_owned())
    });
    labels.collect::<Vec<_>>().join(".").parse().ok()
}

/// Only what needs no asking is settled here; the rest comes back as an inquiry.
fn checked_redirect(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<(Redirect, Option<Inquiry>), Refused> {
    if text.is_empty() {
        return Ok((Redirect::Automatic, None));
    }
    let template = Template::parse(text)
        .and_then(|template| template.with_environment(environment))
        .map_err(|why| Refused(format!("redirect_address: {why}")))?;
    if template.variables().next().is_some() {
        let inquiry =
            Inquiry::new(template).map_err(|why| Refused(format!("redirect_address: {why}")))?;
        return Ok((Redirect::Followed, Some(inquiry)));
    }
    let expanded = template.to_string();
    let host = expanded
        .parse()
        .map_err(|why| Refused(format!("redirect_address: {expanded:?}: {why}")))?;
    Ok((Redirect::Fixed(host), None))
}

fn checked_link(capacity: &CapacityConfig) -> Result<Option<Link>, Refused> {
    if capacity.link.is_empty() {
        return Ok(None);
    }
    let wanted = "auto or the name of a network interface such as eth0";
    let link = Link::parse(&capacity.link)
        .ok_or_else(|| refused("capacity.link", &capacity.link, wanted))?;
    Ok((capacity.bandwidth_bps == 0).then_some(link))
}

fn checked_endpoints(endpoints: &[EndpointConfig]) -> Result<Vec<Endpoint>, Refused> {
    if endpoints.len() > ENDPOINTS_MAX {
        return Err(Refused(format!("endpoint: at most {ENDPOINTS_MAX} are possible")));
    }
    let checked = |endpoint: &EndpointConfig| {
        let scheme = endpoint
            .scheme
            .parse()
            .map_err(|why| Refused(format!("endpoint.scheme: {:?}: {why}", endpoint.scheme)))?;
        let port = NonZeroU16::new(endpoint.port)
            .ok_or_else(|| Refused("endpoint.port: must be from 1 to 65535".to_owned()))?;
        Ok(Endpoint { scheme, port })
    };
    endpoints.iter().map(checked).collect()
}

fn checked_labels(labels: Labels) -> Result<Labels, Refused> {
    if labels.len() > LABELS_MAX {
        return Err(Refused(format!("labels: at most {LABELS_MAX} are possible")));
    }
    for (key, value) in &labels {
        if !is_label(key, value) {
            return Err(Refused(format!(
                "labels: {key:?}: a key has 1 to {LABEL_LEN_MAX} bytes and a value at most {LABEL_LEN_MAX}"
            )));
        }
    }
    Ok(labels)
}

fn checked_capacity(capacity: &CapacityConfig) -> Result<Capacity, Refused> {
    if capacity.viewers > VIEWERS_MAX {
        return Err(Refused(format!("capacity.viewers: at most {VIEWERS_MAX} are possible")));
    }
    if capacity.bandwidth_bps > BANDWIDTH_BPS_MAX {
        return Err(Refused(format!(
            "capacity.bandwidth_bps: at most {BANDWIDTH_BPS_MAX} bits per second are possible"
        )));
    }
    Ok(Capacity {
        viewers: (capacity.viewers > 0).then_some(capacity.viewers),
        bandwidth_bps: (capacity.bandwidth_bps > 0).then_some(capacity.bandwidth_bps),
    })
}

fn checked_limit(limit: &LimitConfig) -> Result<Option<ViewerLimit>, Refused> {
    let Some(full_at) = NonZeroU32::new(limit.viewers) else {
        return match limit.resume_viewers {
            0 => Ok(None),
            _ => Err(Refused("limit.resume_viewers: needs limit.viewers".to_owned())),
        };
    };
    let free_at = (limit.resume_viewers > 0).then_some(limit.resume_viewers);
    let limit = ViewerLimit::new(full_at, free_at);
    limit.map(Some).map_err(|why| Refused(format!("limit.resume_viewers: {why}")))
}

fn checked_interval(interval: Duration) -> Result<Duration, Refused> {
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        return Ok(interval);
    }
    Err(Refused(format!(
        "interval: {interval:?} is not between {INTERVAL_MIN:?} and {INTERVAL_MAX:?}"
    )))
}

fn checked_path(key: &str, path: PathBuf) -> Result<PathBuf, Refused> {
    if path.as_os_str().is_empty() {
        return Err(Refused(format!("{key}: must not be empty")));
    }
    // Messages then name a place that does not depend on where the agent was started.
    std::path::absolute(&path).map_err(|why| Refused(format!("{key}: {}: {why}", path.display())))
}
