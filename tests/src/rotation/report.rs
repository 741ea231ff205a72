//! What came of a rotation, as a table and as faults.

use std::{collections::BTreeMap, fmt};

use super::{Plan, agents::Sent, witness::Told};
use crate::{
    programs::Redirector,
    wait::{SOON, eventually},
};

/// What came of it.
#[derive(Debug)]
pub struct Report {
    pub(super) plan: Plan,
    pub(super) old_stood_still: bool,
    /// One for each redirector.
    pub(super) rows: Vec<Row>,
}

/// A line of the table: its name, and its figure of each redirector.
type Line = (&'static str, fn(&Row) -> u64);

/// One redirector's side, and its edges' side of the same.
#[derive(Debug)]
pub(super) struct Row {
    sent: Sent,
    accepted: u64,
    rejected: BTreeMap<String, f64>,
    left_up: Vec<String>,
    told: Told,
}

impl Row {
    /// Waits until everything that was sent has been judged or is known to be lost.
    pub(super) fn new(
        redirector: &Redirector,
        sent: Sent,
        left_up: Vec<String>,
        told: Told,
    ) -> Self {
        let metrics = eventually(SOON, "every datagram is accounted for", || {
            let metrics = redirector.metrics();
            let judged: f64 =
                ["tidegate_heartbeats_accepted_total", "tidegate_datagrams_rejected_total"]
                    .iter()
                    .map(|name| metrics.sum(name, &[]))
                    .sum();
            if judged >= sent.datagrams as f64 { Ok(metrics) } else { Err(format!("{judged}")) }
        });
        let reasons = metrics.by("tidegate_datagrams_rejected_total", "reason");
        Self {
            sent,
            accepted: metrics.sum("tidegate_heartbeats_accepted_total", &[]) as u64,
            rejected: reasons.into_iter().filter(|(_, count)| *count > 0.0).collect(),
            left_up,
            told,
        }
    }

    fn faults(&self) -> Vec<String> {
        let (sent, told) = (&self.sent, &self.told);
        let holds = [
            (
                self.accepted == sent.datagrams,
                format!("{} of {} accepted", self.accepted, sent.datagrams),
            ),
            (self.rejected.is_empty(), format!("rejected: {:?}", self.rejected)),
            (sent.failed == 0, format!("{} could not be sent", sent.failed)),
            (sent.acks > 0, "no ack came".to_owned()),
            (sent.acks_refused == 0, format!("{} acks were refused", sent.acks_refused)),
            (
                self.left_up.is_empty(),
                format!(
                    "{} times an edge left UP, first {:?}",
                    self.left_up.len(),
                    self.left_up.first()
                ),
            ),
            (told.redirects > 0, "no client was redirected".to_owned()),
            (told.others == 0, format!("{} clients got no edge", told.others)),
        ];
        holds.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault).collect()
    }
}

impl Report {
    /// Everything that must not happen and did.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let early = (!self.old_stood_still).then(|| "the old key was still in use".to_owned());
        let of_row = |(at, row): (usize, &Row)| {
            row.faults().into_iter().map(move |fault| format!("redirector {}: {fault}", at + 1))
        };
        early.into_iter().chain(self.rows.iter().enumerate().flat_map(of_row)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { edges, interval, .. } = self.plan;
        writeln!(f, "{edges} edges, a heartbeat every {interval:?} to each redirector")?;
        write!(f, "{:<32}", "redirector")?;
        (1..=self.rows.len()).try_for_each(|at| write!(f, "{at:>10}"))?;
        writeln!(f)?;
        let lines: [Line; 8] = [
            ("sent, goodbyes included", |row| row.sent.datagrams),
            ("accepted", |row| row.accepted),
            ("rejected", |row| row.rejected.values().sum::<f64>() as u64),
            ("acks received", |row| row.sent.acks),
            ("acks refused", |row| row.sent.acks_refused),
            ("times an edge left UP", |row| row.left_up.len() as u64),
            ("clients redirected", |row| row.told.redirects),
            ("clients without an edge", |row| row.told.others),
        ];
        for (name, value) in lines {
            write!(f, "{name:<32}")?;
            self.rows.iter().try_for_each(|row| write!(f, "{:>10}", value(row)))?;
            writeln!(f)?;
        }
        Ok(())
    }
}
