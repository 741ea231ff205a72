//! One edge whole, a fact a line.

use tidegate_proto::admin::Edge;

use crate::{
    show::plain,
    table::{UNKNOWN, admin_state, age, capacity, liveness, load, rate, viewers},
};

/// Everything the API says of an edge. `now` is in seconds since 1970.
pub(crate) fn edge(edge: &Edge, now: i64) -> String {
    let mut facts = vec![
        ("Name", plain(&edge.name)),
        ("UUID", plain(&edge.edge_id)),
        ("State", admin_state(edge)),
    ];
    if let Some(drain) = &edge.drain {
        let when = drain.create_time.as_ref().map_or(UNKNOWN.into(), |time| age(time, now));
        facts.push(("Drained", format!("{when} ago by {}", plain(&drain.author))));
        facts.push(("Why", plain(&drain.reason)));
    }
    facts.push(("Liveness", liveness(edge)));
    if let Some(reason) = &edge.liveness_reason {
        facts.push(("Because", format!("{} ({})", plain(&reason.text), plain(&reason.code))));
    }
    let heard = edge.last_heartbeat_time.as_ref();
    facts.extend([
        ("Eligible", if edge.eligible { "yes" } else { "no" }.to_owned()),
        ("Heard", heard.map_or("never".into(), |time| format!("{} ago", age(time, now)))),
        ("Address", plain(&edge.redirect_address)),
        ("Endpoints", endpoints(edge)),
        ("Capacity", capacity(edge)),
        ("Weight", weight(edge, now)),
        ("Viewers", format!("{}, {} pending", viewers(edge), edge.pending)),
    ]);
    facts.extend(figures(edge));
    facts.extend([
        ("Labels", labels(edge)),
        ("Agent", plain(&edge.agent_version)),
        ("Server", plain(&edge.server_version)),
        ("Etag", plain(&edge.etag)),
    ]);
    let lines = facts.iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<11}{value}")).collect::<Vec<_>>().join("\n")
}

fn weight(edge: &Edge, now: i64) -> String {
    let Some(by) = &edge.weighting else { return edge.weight.to_string() };
    let when = by.create_time.as_ref().map_or(UNKNOWN.into(), |time| age(time, now));
    let why = if by.reason.is_empty() { String::new() } else { format!(": {}", plain(&by.reason)) };
    format!("{}, set {when} ago by {}{why}", edge.weight, plain(&by.author))
}

fn figures(edge: &Edge) -> [(&'static str, String); 5] {
    let load = load(edge);
    let share = |share: Option<f64>| {
        share.map_or(UNKNOWN.to_owned(), |share| format!("{:.0} %", share * 100.0))
    };
    let rate = |bps: Option<u64>| bps.map_or(UNKNOWN.to_owned(), rate);
    [
        ("Publishers", load.publishers.map_or(UNKNOWN.into(), |count| count.to_string())),
        ("Out", rate(load.bandwidth_out_bps)),
        ("In", rate(load.bandwidth_in_bps)),
        ("CPU", share(load.cpu_utilization)),
        ("Memory", share(load.memory_utilization)),
    ]
}

fn endpoints(edge: &Edge) -> String {
    if edge.endpoints.is_empty() {
        return "any scheme, on the client's own port".to_owned();
    }
    let shown = edge.endpoints.iter();
    shown.map(|end| format!("{} {}", plain(&end.scheme), end.port)).collect::<Vec<_>>().join(", ")
}

fn labels(edge: &Edge) -> String {
    let shown = edge.labels.iter();
    shown
        .map(|(key, value)| format!("{}={}", plain(key), plain(value)))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_on_its_line() {
        let hostile = Edge {
            name: "edge-1".into(),
            labels: [("zone".to_owned(), "a\nEligible   yes".to_owned())].into(),
            server_version: "nginx\nEligible   yes".into(),
            ..Edge::default()
        };
        let text = edge(&hostile, 0);
        assert_eq!(text.lines().filter(|line| line.starts_with("Eligible")).count(), 1);
        assert!(text.contains("zone=a\\u{a}Eligible"), "{text}");
        assert!(text.contains("Server     nginx\\u{a}Eligible"), "{text}");
    }
}
