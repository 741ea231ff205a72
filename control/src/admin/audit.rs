//! The record of attempts: who tried what, from where, and what came of it.
//!
//! Every attempt to give an order and every denied call becomes one line of JSON in the log, under
//! the target `audit`. The writer stores the record of an order with the change itself; what never
//! reaches the writer is handed to it here. Attempts beyond the rate limit leave no record, or the
//! record would be the way to fill the disk.

use tidegate_proto::admin::Edge;
use tonic::{Code, Status};

use crate::{
    clock::Clock,
    fleet::Fleet,
    order::{Principal, Request, Verb},
    store::AuditRow,
};

/// Where records go.
#[derive(Clone)]
pub(crate) struct Audit {
    fleet: Fleet,
    clock: Clock,
    redirector: String,
}

impl Audit {
    pub(crate) fn new(fleet: Fleet, redirector: String) -> Self {
        Self { fleet, clock: Clock::start(), redirector }
    }

    /// A call that was turned away before its arguments were read.
    pub(crate) fn denied(&self, principal: &Principal, path: &str, status: &Status) {
        let method = path.rsplit('/').next().unwrap_or_default();
        let row = self.row(principal, method, status.code());
        log(&row);
        self.fleet.record(row);
    }

    /// An order whose arguments were out of bounds.
    pub(crate) fn invalid(&self, request: &Request, status: &Status) {
        let row = self.order_row(request, status.code());
        log(&row);
        self.fleet.record(row);
    }

    /// An order that the writer has judged; the store has its record already.
    pub(crate) fn judged(&self, request: &Request, outcome: &Result<Edge, Status>) {
        let code = outcome.as_ref().err().map_or(Code::Ok, Status::code);
        let mut row = self.order_row(request, code);
        if let Ok(edge) = outcome {
            edge.name.clone_into(&mut row.edge);
            row.after = match request.verb {
                Verb::SetWeight(_) => format!("weight {}", edge.weight),
                _ => edge.admin_state().as_str_name().to_owned(),
            };
        }
        log(&row);
    }

    fn order_row(&self, request: &Request, code: Code) -> AuditRow {
        AuditRow {
            edge: bounded(&request.edge),
            reason: bounded(&request.reason),
            request_id: bounded(&request.request_id),
            ..self.row(&request.principal, request.verb.method(), code)
        }
    }

    fn row(&self, principal: &Principal, method: &str, code: Code) -> AuditRow {
        AuditRow {
            time_unix_ms: self.clock.now().unix_ms,
            principal: principal.name.clone(),
            role: principal.role.clone(),
            peer: principal.peer.clone(),
            method: bounded(method),
            result: code_name(code),
            redirector: self.redirector.clone(),
            ..AuditRow::default()
        }
    }
}

/// The longest text a record keeps of an argument that may be out of bounds itself.
const TEXT_LEN_MAX: usize = 512;

fn bounded(text: &str) -> String {
    text.chars().take(TEXT_LEN_MAX).collect()
}

fn log(row: &AuditRow) {
    // JSON keeps hostile text text: it cannot end the line or pretend to be another field.
    let record = serde_json::to_string(row).unwrap_or_default();
    tracing::info!(target: "audit", "{record}");
}

/// `ok`, or the code as the gRPC specification writes it, for example `NOT_FOUND`.
pub(crate) fn code_name(code: Code) -> String {
    if code == Code::Ok {
        return "ok".to_owned();
    }
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_the_specification_does() {
        assert_eq!(code_name(Code::Ok), "ok");
        assert_eq!(code_name(Code::InvalidArgument), "INVALID_ARGUMENT");
        assert_eq!(code_name(Code::NotFound), "NOT_FOUND");
    }
}
