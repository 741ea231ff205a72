//! Clients, by what they speak: each module takes the question out of a protocol, asks
//! [`answer`](crate::answer), and replies.

pub mod http;

use std::sync::Arc;

use tidegate_control::{clock::Clock, snapshot::Published};

use crate::answer::{Rules, kind::AnswerFigures};

/// What answers are made from.
#[derive(Debug, Clone)]
pub struct Clients {
    /// The fleet.
    pub published: Arc<Published>,
    /// The operator's rules.
    pub rules: Arc<Rules>,
    /// The time.
    pub clock: Clock,
    /// What was answered.
    pub figures: Arc<AnswerFigures>,
}
