//! The page of edges in the form of Wowza's load balancer 2.0: its elements, their order, its words.
//!
//! It counts nothing and promises nothing about the order of edges. Figures that are not known are
//! written as -1, as Wowza does.

use std::io;

use quick_xml::{Writer, events::BytesText};
use tidegate_control::snapshot::{AdminState, EdgeView, FleetView, Liveness};

/// The page. `now_unix_ms` is the wall clock, for the time since each edge's last message.
#[must_use]
pub fn xml(fleet: &FleetView, now_unix_ms: u64) -> String {
    let rows: Vec<_> = fleet.edges.iter().map(|edge| Row::of(edge, now_unix_ms)).collect();
    write(&rows)
}

/// One edge's line, every field as text of any content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Viewers by the last report.
    pub connect_count: String,
    /// `RUNNING`, `PAUSED`, `STOPPED` or `UNKNOWN`.
    pub status: String,
    /// Redirects that no report has seen yet.
    pub redirect_count: String,
    /// The time since the last report, for people.
    pub last_message: String,
    /// The host clients are sent to.
    pub redirect: String,
    /// The edge's UUID.
    pub server_id: String,
}

impl Row {
    fn of(edge: &EdgeView, now_unix_ms: u64) -> Self {
        let silence_ms = now_unix_ms.saturating_sub(edge.last_heartbeat_unix_ms);
        let heard = edge.last_heartbeat_unix_ms > 0;
        Self {
            connect_count: edge.load.viewers.map_or("-1".to_owned(), |count| count.to_string()),
            status: status(edge).to_owned(),
            redirect_count: edge.pending().to_string(),
            last_message: if heard { elapsed(silence_ms) } else { "never".to_owned() },
            redirect: edge.redirect_address.to_string(),
            server_id: edge.id.to_string(),
        }
    }

    fn fields(&self) -> [(&'static str, &str); 6] {
        [
            ("connectCount", &self.connect_count),
            ("status", &self.status),
            ("redirectCount", &self.redirect_count),
            ("lastMessage", &self.last_message),
            ("redirect", &self.redirect),
            ("serverId", &self.server_id),
        ]
    }
}

/// Writes rows, indented by two blanks and without an XML declaration.
#[must_use]
pub fn write(rows: &[Row]) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Writing into memory does not fail.
    let _ = writer
        .create_element("LoadBalancerServerInfo")
        .write_inner_content(|page| rows.iter().try_for_each(|row| write_row(page, row)));
    String::from_utf8(writer.into_inner()).unwrap_or_default()
}

fn write_row(page: &mut Writer<Vec<u8>>, row: &Row) -> io::Result<()> {
    page.create_element("LoadBalancerServer").write_inner_content(|server| {
        for (name, text) in row.fields() {
            let text = printable(text);
            server.create_element(name).write_text_content(BytesText::new(&text))?;
        }
        Ok(())
    })?;
    Ok(())
}

/// XML 1.0 section 2.2 admits no control characters but three, and those three change on reading.
fn printable(text: &str) -> String {
    let shown = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if shown(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// An edge that is lost is STOPPED even when it was drained, since nobody is watching there.
fn status(edge: &EdgeView) -> &'static str {
    let drained = edge.admin_state != AdminState::Active || edge.cell.is_drained();
    match edge.liveness {
        Liveness::Down | Liveness::Gone => "STOPPED",
        _ if drained || edge.paused => "PAUSED",
        Liveness::Up => "RUNNING",
        Liveness::New | Liveness::Suspect | Liveness::Unconfirmed => "UNKNOWN",
    }
}

/// `792 milliseconds`, or from one second on `1 day 1 hour 12 minutes 30 seconds`.
fn elapsed(ms: u64) -> String {
    if ms < 1_000 {
        return unit(ms, "millisecond");
    }
    let s = ms / 1_000;
    let parts = [
        (s / 86_400, "day"),
        (s / 3_600 % 24, "hour"),
        (s / 60 % 60, "minute"),
        (s % 60, "second"),
    ];
    let named: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| unit(count, name))
        .collect();
    named.join(" ")
}

fn unit(count: u64, name: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

#[cfg(test)]
mod tests;
