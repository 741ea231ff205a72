//! The rules for sources.

use std::{collections::BTreeMap, path::PathBuf};

use super::{Refused, checked_path, refused};
use crate::{
    config::SourceConfig,
    source::{Ask, Kind, Login, Plan, Series},
};

/// More sources than this are a mistake.
const ALSO_MAX: usize = 8;

pub(super) fn checked(mut source: SourceConfig) -> Result<Plan, Refused> {
    let also = std::mem::take(&mut source.also);
    if also.len() > ALSO_MAX {
        return Err(Refused(format!("source.also: at most {ALSO_MAX} are possible")));
    }
    let mut kinds = vec![checked_kind("source", source)?];
    for (place, more) in also.into_iter().enumerate() {
        let key = format!("source.also[{place}]");
        if !more.also.is_empty() {
            return Err(Refused(format!("{key}.also: name every source under source.also itself")));
        }
        kinds.push(checked_kind(&key, more)?);
    }
    Ok(Plan(kinds))
}

fn checked_kind(key: &str, source: SourceConfig) -> Result<Kind, Refused> {
    let kind = source.kind.clone();
    Ok(match kind.as_str() {
        "host" => Kind::Host,
        "file" => Kind::File(named_path(&format!("{key}.path"), source.path, "the JSON file")?),
        "command" => Kind::Command(checked_command(key, source.command)?),
        "nginx-rtmp" => Kind::NginxRtmp(checked_ask(key, source)?),
        "nginx-stub-status" => Kind::NginxStubStatus(checked_ask(key, source)?),
        "srs" => Kind::Srs(checked_root(key, source)?),
        "mediamtx" => Kind::MediaMtx(checked_root(key, source)?),
        "wowza" => Kind::Wowza(checked_ask(key, source)?),
        "prometheus" => {
            let series = checked_series(key, &source)?;
            Kind::Prometheus(checked_ask(key, source)?, series)
        }
        other => {
            return Err(Refused(format!(
                "{key}.kind: {other:?} is not a kind this build knows: {}",
                Kind::NAMES.join(", ")
            )));
        }
    })
}

fn named_path(key: &str, path: PathBuf, what: &str) -> Result<PathBuf, Refused> {
    if path.as_os_str().is_empty() {
        return Err(Refused(format!("{key}: must name {what}")));
    }
    checked_path(key, path)
}

fn checked_command(key: &str, words: Vec<String>) -> Result<Vec<String>, Refused> {
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(Refused(format!(
            "{key}.command: must name a program and its arguments, such as [\"/usr/local/bin/load\", \"--json\"]"
        ))),
    }
}

/// A URL that pages are asked for below.
fn checked_root(key: &str, source: SourceConfig) -> Result<Ask, Refused> {
    if source.url.contains(['?', '#']) {
        let wanted = "a URL without a query; the agent asks for pages below it";
        return Err(refused(&format!("{key}.url"), &source.url, wanted));
    }
    checked_ask(key, source)
}

fn checked_ask(key: &str, source: SourceConfig) -> Result<Ask, Refused> {
    let url_key = format!("{key}.url");
    if source.url.is_empty() {
        return Err(Refused(format!(
            "{url_key}: must say where the server answers, such as http://127.0.0.1:8080/stat"
        )));
    }
    let uri: warp::http::Uri =
        source.url.parse().map_err(|_| refused(&url_key, &source.url, "an http:// URL"))?;
    let Some(authority) = uri.authority().filter(|_| uri.scheme_str() == Some("http")) else {
        return Err(refused(
            &url_key,
            &source.url,
            "an http:// URL; the agent asks beside itself, without TLS",
        ));
    };
    if authority.as_str().contains('@') {
        return Err(Refused(format!(
            "{url_key}: a password does not belong into it; set source.user and source.password_file"
        )));
    }
    // A port out of bounds is no port to the parser, and no error either.
    let named_port = &authority.as_str()[authority.host().len()..];
    if !named_port.is_empty() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(refused(&url_key, &source.url, "a URL whose port is from 1 to 65535"));
    }
    let login = match (source.user.is_empty(), source.password_file.as_os_str().is_empty()) {
        (true, true) => None,
        (false, false) => Some(Login {
            user: source.user,
            password_file: checked_path(&format!("{key}.password_file"), source.password_file)?,
        }),
        (true, false) => {
            return Err(Refused(format!("{key}.user: whose password is in password_file?")));
        }
        (false, true) => {
            let user = source.user;
            return Err(Refused(format!(
                "{key}.password_file: must name {user:?}'s password file"
            )));
        }
    };
    Ok(Ask { url: source.url, login })
}

fn checked_series(key: &str, source: &SourceConfig) -> Result<Series, Refused> {
    let known = Series::FIGURES.join(", ");
    if source.metrics.is_empty() {
        return Err(Refused(format!(
            "{key}.metrics: must say which figure is which metric; figures: {known}"
        )));
    }
    let mut metrics = BTreeMap::new();
    for (figure, metric) in &source.metrics {
        if !Series::FIGURES.contains(&figure.as_str()) {
            return Err(refused(&format!("{key}.metrics"), figure, &format!("a figure: {known}")));
        }
        let selector = metric.parse().map_err(|why| {
            Refused(format!(
                "{key}.metrics.{figure}: {metric:?} is not a metric such as viewers or \
                 viewers{{state=\"on\"}}: {why}"
            ))
        })?;
        metrics.insert(figure.clone(), selector);
    }
    Ok(Series { metrics, stream_label: source.stream_label.clone() })
}
