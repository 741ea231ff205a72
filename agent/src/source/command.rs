//! To be written.

use std::time::Duration;

use tidegate_proto::heartbeat::Trouble;

use super::{Measurement, Source, trouble};

/// To be written.
pub(super) struct CommandSource {
    words: Vec<String>,
    patience: Duration,
}

impl CommandSource {
    pub(super) fn new(words: Vec<String>, patience: Duration) -> Self {
        Self { words, patience }
    }
}

impl Source for CommandSource {
    fn measure(&mut self) -> Result<Measurement, Trouble> {
        Err(trouble("source_failed", format!("{:?} {:?}", self.words, self.patience)))
    }
}
