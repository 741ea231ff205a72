//! Edges as aligned columns.

use std::time::{SystemTime, UNIX_EPOCH};

use prost_types::Timestamp;
use tidegate_proto::admin::{Edge, Load};

use crate::show::plain;

/// What stands for something unknown; it is never shown as 0.
pub(crate) const UNKNOWN: &str = "-";

const COLUMNS: [&str; 10] = [
    "NAME", "STATE", "LIVENESS", "VIEWERS", "CAPACITY", "OUT", "LOAD", "PENDING", "LAST", "REASON",
];
/// Where weights stand, behind loads.
const WEIGHT_AT: usize = 7;
/// A column grows with its cells up to this, so that one long name does not push out the rest.
const WIDTH_MAX: usize = 48;

/// Seconds since 1970, to tell the age of what is shown.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Rows whose columns are as wide as their widest cell.
pub(crate) struct Table {
    widths: Vec<usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns of these names.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut table = Self { widths: vec![0; columns.len()], rows: Vec::new() };
        table.push(columns.iter().map(|&column| column.to_owned()).collect());
        table
    }

    /// The columns of a watch, wide enough for what usually comes later.
    pub(crate) fn with_event() -> Self {
        let mut table = Self::new(&[&["EVENT"], COLUMNS.as_slice()].concat());
        let usual = ["CHANGED", "", "DRAINING", "SUSPECT", "", "", "100.0 Mbit/s", "", "", "100s"];
        for (width, text) in table.widths.iter_mut().zip(usual) {
            *width = (*width).max(text.len());
        }
        table
    }

    /// Adds a row and widens the columns for it.
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count().min(WIDTH_MAX));
        }
        self.rows.push(cells);
    }

    /// The rows so far as text, without the last line's end. They are not kept.
    pub(crate) fn take(&mut self) -> String {
        let lines: Vec<_> =
            std::mem::take(&mut self.rows).iter().map(|row| self.line(row)).collect();
        lines.join("\n")
    }

    /// One row in the columns as they are.
    pub(crate) fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&self.widths) {
            let padding = width.saturating_sub(cell.chars().count());
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', padding + 2));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A table of edges, with their UUIDs if it may be `wide`, and with their weights unless all are 1.
/// `now` is in seconds since 1970.
pub(crate) fn edges(edges: &[Edge], wide: bool, now: i64) -> String {
    let weighted = edges.iter().any(|edge| weight(edge).is_some());
    let mut columns = COLUMNS.to_vec();
    if weighted {
        columns.insert(WEIGHT_AT, "WEIGHT");
    }
    if wide {
        columns.insert(1, "UUID");
    }
    let mut table = Table::new(&columns);
    for edge in edges {
        let mut cells = row(edge, now);
        if weighted {
            cells.insert(WEIGHT_AT, edge.weight.to_string());
        }
        if wide {
            cells.insert(1, plain(&edge.edge_id));
        }
        table.push(cells);
    }
    if edges.is_empty() {
        table.push(vec!["(no edges)".to_owned()]);
    }
    table.take()
}

/// The cells of one edge. Nothing in them is obeyed by a terminal.
pub(crate) fn row(edge: &Edge, now: i64) -> Vec<String> {
    vec![
        plain(&edge.name),
        admin_state(edge),
        liveness(edge),
        viewers(edge),
        capacity(edge),
        load(edge).bandwidth_out_bps.map_or(UNKNOWN.into(), rate),
        edge.predicted_load.map_or(UNKNOWN.into(), percent),
        edge.pending.to_string(),
        edge.last_heartbeat_time.as_ref().map_or(UNKNOWN.into(), |time| age(time, now)),
        reason(edge),
    ]
}

/// What an edge carries.
pub(crate) fn load(edge: &Edge) -> Load {
    edge.load.unwrap_or_default()
}

/// The operator's intent, for example `DRAINING`.
pub(crate) fn admin_state(edge: &Edge) -> String {
    edge.admin_state().as_str_name().trim_start_matches("ADMIN_STATE_").to_owned()
}

/// The observed health, for example `UP`, and whether the edge asked for a pause.
pub(crate) fn liveness(edge: &Edge) -> String {
    let state = edge.liveness().as_str_name().trim_start_matches("LIVENESS_");
    if edge.paused { format!("{state} paused") } else { state.to_owned() }
}

/// Viewers, if known.
pub(crate) fn viewers(edge: &Edge) -> String {
    load(edge).viewers.map_or(UNKNOWN.into(), |viewers| viewers.to_string())
}

/// What an edge can carry, in viewers and bits per second, as far as known.
pub(crate) fn capacity(edge: &Edge) -> String {
    let capacity = edge.capacity.unwrap_or_default();
    match (capacity.viewers, capacity.bandwidth_bps) {
        (0, 0) => UNKNOWN.to_owned(),
        (viewers, 0) => viewers.to_string(),
        (0, bps) => rate(bps),
        (viewers, bps) => format!("{viewers}, {}", rate(bps)),
    }
}

/// An edge's weight where it is not the usual 1.
pub(crate) fn weight(edge: &Edge) -> Option<f64> {
    // A redirector that does not know of weights yet says 0.
    Some(edge.weight).filter(|weight| *weight != 1.0 && *weight > 0.0)
}

/// A share with one decimal, for example `48.0 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A rate with one decimal, for example `48.0 Mbit/s`.
pub(crate) fn rate(bps: u64) -> String {
    let (unit, divisor) = match bps {
        0..1_000_000 => ("kbit/s", 100),
        1_000_000..1_000_000_000 => ("Mbit/s", 100_000),
        _ => ("Gbit/s", 100_000_000),
    };
    let tenths = bps / divisor;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// How long ago, in the largest unit that fits twice.
pub(crate) fn age(time: &Timestamp, now: i64) -> String {
    match now.saturating_sub(time.seconds).max(0) {
        seconds @ ..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn reason(edge: &Edge) -> String {
    let health = edge.liveness_reason.as_ref().map(|reason| {
        if reason.text.is_empty() { plain(&reason.code) } else { plain(&reason.text) }
    });
    let order = edge.drain.as_ref().map(|drain| match drain.reason.as_str() {
        "" => format!("drained by {}", plain(&drain.author)),
        reason => format!("drained by {}: {}", plain(&drain.author), plain(reason)),
    });
    [order, health].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use tidegate_proto::admin::{AdminState, Capacity, Drain, Liveness};

    use super::*;

    fn full() -> Edge {
        Edge {
            name: "edge-1".into(),
            admin_state: AdminState::Draining.into(),
            liveness: Liveness::Up.into(),
            capacity: Some(Capacity { viewers: 4_000, bandwidth_bps: 10_000_000_000 }),
            load: Some(Load {
                viewers: Some(0),
                bandwidth_out_bps: Some(48_040_000),
                ..Load::default()
            }),
            predicted_load: Some(0.375),
            pending: 3,
            last_heartbeat_time: Some(Timestamp { seconds: 998, nanos: 0 }),
            drain: Some(Drain {
                reason: "kernel\u{1b}[31m\nupdate".into(),
                author: "alice".into(),
                create_time: None,
            }),
            ..Edge::default()
        }
    }

    #[test]
    fn columns_are_aligned_and_the_unknown_is_not_zero() {
        let bare = Edge { name: "a-much-longer-name".into(), paused: true, ..Edge::default() };
        let text = edges(&[full(), bare], false, 1_000);
        let lines: Vec<_> = text.lines().collect();
        let wanted = [
            "NAME                STATE        LIVENESS            VIEWERS  CAPACITY           OUT          LOAD    PENDING  LAST  REASON",
            "edge-1              DRAINING     UP                  0        4000, 10.0 Gbit/s  48.0 Mbit/s  37.5 %  3        2s    drained by alice: kernel\\u{1b}[31m\\u{a}update",
            "a-much-longer-name  UNSPECIFIED  UNSPECIFIED paused  -        -                  -            -       0        -",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn weights_and_uuids_are_shown_where_they_are_wanted() {
        let usual = Edge { name: "edge-2".into(), weight: 1.0, ..Edge::default() };
        assert!(!edges(std::slice::from_ref(&usual), false, 0).contains("WEIGHT"));
        let half = Edge { name: "edge-1".into(), weight: 0.5, ..Edge::default() };
        let text = edges(&[Edge { edge_id: "some-uuid".into(), ..half }, usual], true, 0);
        let lines: Vec<Vec<_>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!((&lines[0][..2], lines[0][8]), (&["NAME", "UUID"][..], "WEIGHT"));
        assert_eq!((&lines[1][..2], lines[1][8]), (&["edge-1", "some-uuid"][..], "0.5"));
        assert_eq!(lines[2].iter().filter(|cell| **cell == "1").count(), 1);
    }

    #[test]
    fn an_empty_fleet_is_said_to_be_empty() {
        assert!(edges(&[], false, 0).ends_with("(no edges)"));
    }

    #[test]
    fn rates_and_ages_are_in_units_people_read() {
        for (bps, text) in [
            (0, "0.0 kbit/s"),
            (999_999, "999.9 kbit/s"),
            (1_000_000, "1.0 Mbit/s"),
            (u64::MAX, "18446744073.7 Gbit/s"),
        ] {
            assert_eq!(rate(bps), text);
        }
        let at = |seconds| Timestamp { seconds, nanos: 0 };
        for (then, text) in
            [(1_001, "0s"), (900, "100s"), (400, "10m"), (i64::MIN, "106751991167300d")]
        {
            assert_eq!(age(&at(then), 1_000), text);
        }
    }
}
