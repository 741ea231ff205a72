//! The agent's metrics in Prometheus text form, from the one table of their names.

use std::fmt::Write;

use tidegate_proto::heartbeat::Order;

use crate::status::{EdgeStatus, TargetRow};

/// The content type of what [`render`] makes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric: what it is called, what it means, and where its samples come from.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    samples: fn(&EdgeStatus) -> Vec<Sample>,
}

/// Label values, in the order of the labels, and the figure.
type Sample = (Vec<String>, f64);

/// Every metric.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "tidegate_agent_info",
        kind: "gauge",
        help: "Always 1; the labels tell which edge and version this is.",
        labels: &["name", "edge_id", "version"],
        samples: |edge| {
            let labels = vec![edge.name.clone(), edge.edge_id.clone(), edge.version.to_owned()];
            vec![(labels, 1.0)]
        },
    },
    Metric {
        name: "tidegate_agent_paused",
        kind: "gauge",
        help: "1 while the edge is paused at this agent.",
        labels: &[],
        samples: |edge| alone(u8::from(edge.paused)),
    },
    Metric {
        name: "tidegate_agent_full",
        kind: "gauge",
        help: "1 while the edge takes no new viewers because it reached its viewer limit.",
        labels: &[],
        samples: |edge| alone(u8::from(edge.full)),
    },
    Metric {
        name: "tidegate_agent_trouble",
        kind: "gauge",
        help: "1 while the edge doubts its own figures and takes no new viewers.",
        labels: &[],
        samples: |edge| alone(u8::from(edge.trouble.is_some())),
    },
    Metric {
        name: "tidegate_agent_trouble_reason",
        kind: "gauge",
        help: "1 under the reason code while the edge doubts its own figures.",
        labels: &["code"],
        samples: |edge| {
            let codes = edge.trouble.iter().map(|trouble| vec![trouble.code.clone()]);
            codes.map(|labels| (labels, 1.0)).collect()
        },
    },
    Metric {
        name: "tidegate_agent_targets_fault",
        kind: "gauge",
        help: "1 while the targets file on disk is refused and the old targets stay.",
        labels: &[],
        samples: |edge| alone(u8::from(edge.targets_fault.is_some())),
    },
    Metric {
        name: "tidegate_agent_viewers",
        kind: "gauge",
        help: "Viewers as last measured; absent while unknown.",
        labels: &[],
        samples: |edge| edge.load.viewers.map(alone).unwrap_or_default(),
    },
    Metric {
        name: "tidegate_agent_bandwidth_out_bits_per_second",
        kind: "gauge",
        help: "What goes out to viewers as last measured; absent while unknown.",
        labels: &[],
        samples: |edge| {
            edge.load.bandwidth_out_bps.map(|bps| alone(bps as f64)).unwrap_or_default()
        },
    },
    Metric {
        name: "tidegate_agent_server_info",
        kind: "gauge",
        help: "Always 1; the label is the media server's word about its version.",
        labels: &["version"],
        samples: |edge| {
            edge.server.version.iter().map(|version| (vec![version.clone()], 1.0)).collect()
        },
    },
    Metric {
        name: "tidegate_agent_server_uptime_seconds",
        kind: "gauge",
        help: "How long the media server has been running, by its own word.",
        labels: &[],
        samples: |edge| {
            edge.server.uptime.map(|time| alone(time.as_secs_f64())).unwrap_or_default()
        },
    },
    Metric {
        name: "tidegate_agent_registered",
        kind: "gauge",
        help: "1 while the redirector answers: key, address and way are right.",
        labels: &["target"],
        samples: |edge| each(edge, |row| Some(f64::from(u8::from(row.registered)))),
    },
    Metric {
        name: "tidegate_agent_order",
        kind: "gauge",
        help: "1 for the operator's order as the redirector tells it, 0 for the others.",
        labels: &["target", "order"],
        samples: orders,
    },
    Metric {
        name: "tidegate_agent_order_revision",
        kind: "gauge",
        help: "The revision of the redirector's last order.",
        labels: &["target"],
        samples: |edge| each(edge, |row| Some(row.order_revision as f64)),
    },
    Metric {
        name: "tidegate_agent_heartbeats_total",
        kind: "counter",
        help: "Heartbeats sent.",
        labels: &["target"],
        samples: |edge| each(edge, |row| Some(row.heartbeats as f64)),
    },
    Metric {
        name: "tidegate_agent_acks_total",
        kind: "counter",
        help: "Authentic acks received.",
        labels: &["target"],
        samples: |edge| each(edge, |row| Some(row.acks as f64)),
    },
    Metric {
        name: "tidegate_agent_acks_refused_total",
        kind: "counter",
        help: "Datagrams received that were no acceptable ack.",
        labels: &["target", "reason"],
        samples: refusals,
    },
    Metric {
        name: "tidegate_agent_send_errors_total",
        kind: "counter",
        help: "Heartbeats the system refused to send.",
        labels: &["target"],
        samples: |edge| each(edge, |row| Some(row.send_errors as f64)),
    },
    Metric {
        name: "tidegate_agent_loss_ratio",
        kind: "gauge",
        help: "Share of the last hundred acks asked for that did not come.",
        labels: &["target"],
        samples: |edge| each(edge, |row| row.loss),
    },
    Metric {
        name: "tidegate_agent_round_trip_seconds",
        kind: "gauge",
        help: "Time from the last acknowledged heartbeat to its ack.",
        labels: &["target"],
        samples: |edge| each(edge, |row| row.round_trip_ms.map(|ms| ms / 1_000.0)),
    },
    Metric {
        name: "tidegate_agent_last_ack_age_seconds",
        kind: "gauge",
        help: "Time since the last ack.",
        labels: &["target"],
        samples: |edge| each(edge, |row| row.last_ack_age_ms.map(|ms| ms as f64 / 1_000.0)),
    },
];

fn alone(figure: impl Into<f64>) -> Vec<Sample> {
    vec![(Vec::new(), figure.into())]
}

fn each(edge: &EdgeStatus, figure: impl Fn(&TargetRow) -> Option<f64>) -> Vec<Sample> {
    edge.targets
        .iter()
        .filter_map(|row| figure(row).map(|figure| (vec![row.target.clone()], figure)))
        .collect()
}

fn orders(edge: &EdgeStatus) -> Vec<Sample> {
    const ORDERS: [Order; 4] = [Order::Unknown, Order::Active, Order::Draining, Order::Drained];
    let of_row = |row: &TargetRow| {
        let (target, current) = (row.target.clone(), row.order);
        ORDERS.map(Order::as_str).map(move |order| {
            (vec![target.clone(), order.to_owned()], f64::from(u8::from(order == current)))
        })
    };
    edge.targets.iter().flat_map(of_row).collect()
}

fn refusals(edge: &EdgeStatus) -> Vec<Sample> {
    let of_row = |row: &TargetRow| {
        let (target, refused) = (row.target.clone(), row.acks_refused);
        [
            ("unexpected", refused.unexpected),
            ("forged", refused.forged),
            ("repeated", refused.repeated),
        ]
        .map(move |(reason, count)| (vec![target.clone(), reason.to_owned()], count as f64))
    };
    edge.targets.iter().flat_map(of_row).collect()
}

/// Every metric that has samples, in the text exposition format.
#[must_use]
pub fn render(edge: &EdgeStatus) -> String {
    let mut out = String::new();
    for metric in METRICS {
        let samples = (metric.samples)(edge);
        if samples.is_empty() {
            continue;
        }
        let Metric { name, kind, help, labels, .. } = metric;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (values, figure) in samples {
            let pairs: Vec<String> = labels
                .iter()
                .zip(&values)
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            let set =
                if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
            let _ = writeln!(out, "{name}{set} {figure}");
        }
    }
    out
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Instant};

    use tidegate_proto::{edge::EdgeId, key::KeyId};

    use super::*;
    use crate::{
        report::{Profile, State},
        status::TargetStatus,
    };

    fn rendered(target: &str) -> String {
        let profile = Profile::new("edge-1".parse().expect("a name"));
        let rows = vec![TargetStatus {
            heartbeats: 7,
            loss: Some(0.25),
            order: Order::Draining,
            ..TargetStatus::new(target.to_owned(), KeyId([0; 4]))
        }];
        let state = State::default();
        let id = EdgeId([0; 16]);
        render(&EdgeStatus::new(id, &profile, state, rows, Instant::now()))
    }

    #[test]
    fn figures_stand_under_their_names() {
        let text = rendered("lb:1934");
        for line in [
            "# TYPE tidegate_agent_heartbeats_total counter",
            "tidegate_agent_heartbeats_total{target=\"lb:1934\"} 7",
            "tidegate_agent_loss_ratio{target=\"lb:1934\"} 0.25",
            "tidegate_agent_order{target=\"lb:1934\",order=\"draining\"} 1",
            "tidegate_agent_order{target=\"lb:1934\",order=\"active\"} 0",
            "tidegate_agent_trouble 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing from\n{text}");
        }
        assert!(!text.contains("tidegate_agent_viewers"), "unknown viewers were shown as a figure");
    }

    #[test]
    fn label_values_cannot_break_out() {
        let text = rendered("a\"} 1\nevil\\");
        assert!(text.contains(r#"target="a\"} 1\nevil\\""#), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("evil")));
    }

    #[test]
    fn every_metric_is_documented_and_every_documented_one_is_there() {
        let page = include_str!("../../docs/media-servers.md");
        let documented: BTreeSet<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("tidegate_agent_"))
            .collect();
        assert_eq!(documented, METRICS.iter().map(|metric| metric.name).collect());
    }

    #[test]
    fn names_are_unique_and_counters_end_in_total() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            assert_eq!(
                metric.kind == "counter",
                metric.name.ends_with("_total"),
                "{}",
                metric.name
            );
        }
    }
}
