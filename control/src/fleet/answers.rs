//! The answers that repeated request ids get (AIP-155).

use std::collections::{HashMap, VecDeque};

use prost::Message;
use tidegate_proto::{admin, edge::EdgeId};

use crate::{
    order::{Refused, Request},
    store::RequestRow,
};

/// The most answers kept.
const ANSWERS_MAX: usize = 10_000;
/// The longest an answer is kept.
const AGE_MAX_MS: u64 = 24 * 3600 * 1_000;

#[derive(Debug, Default)]
pub(super) struct Answers {
    by_request: HashMap<String, RequestRow>,
    oldest_first: VecDeque<String>,
}

impl Answers {
    pub(super) fn restore(mut rows: Vec<RequestRow>) -> Self {
        rows.sort_by_key(|row| row.time_unix_ms);
        let mut answers = Self::default();
        for row in rows {
            answers.keep(row);
        }
        answers
    }

    /// The earlier answer to the same order; an error if the id was used for another.
    pub(super) fn find(&self, request: &Request) -> Option<Result<admin::Edge, Refused>> {
        let row = self.by_request.get(&request.request_id)?;
        // A UUID has several written forms; the row holds the canonical one.
        let edge = request.edge.parse().map_or(request.edge.clone(), |id: EdgeId| id.to_string());
        let same = row.order.strip_prefix(&format!("{} ", request.verb)).is_some_and(|rest| {
            rest.split_whitespace().any(|word| word.eq_ignore_ascii_case(&edge))
        });
        if !same {
            return Some(Err(Refused::RequestIdReused(request.request_id.clone())));
        }
        admin::Edge::decode(row.answer.as_slice()).ok().map(Ok)
    }

    pub(super) fn keep(&mut self, row: RequestRow) {
        while let Some(oldest) = self.oldest_first.front() {
            let expired = self
                .by_request
                .get(oldest)
                .is_none_or(|old| old.time_unix_ms.saturating_add(AGE_MAX_MS) < row.time_unix_ms);
            if !expired && self.oldest_first.len() < ANSWERS_MAX {
                break;
            }
            self.by_request.remove(oldest);
            self.oldest_first.pop_front();
        }
        self.oldest_first.push_back(row.request_id.clone());
        self.by_request.insert(row.request_id.clone(), row);
    }

    /// Takes an answer back that was not made durable.
    pub(super) fn take_back(&mut self, request_id: &str) {
        if self.by_request.remove(request_id).is_some() {
            self.oldest_first.retain(|kept| kept != request_id);
        }
    }
}

/// The row that remembers an answer; none without a request id.
pub(super) fn row(
    request: &Request,
    id: EdgeId,
    answer: &admin::Edge,
    time_unix_ms: u64,
) -> Option<RequestRow> {
    (!request.request_id.is_empty()).then(|| RequestRow {
        request_id: request.request_id.clone(),
        order: format!("{} {id} {}", request.verb, answer.name),
        answer: answer.encode_to_vec(),
        time_unix_ms,
    })
}
