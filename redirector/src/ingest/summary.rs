//! One log line a minute for everything that was refused, so that a flood cannot fill a disk.

use std::{fmt::Write, time::Duration};

use crate::{
    figures::{IngestFigures, Label},
    gate::Reject,
};

/// How often at most.
const EVERY: Duration = Duration::from_secs(60);

/// What the last line covered.
#[derive(Debug)]
pub(super) struct Summary {
    counted: Vec<u64>,
    written: Duration,
}

impl Summary {
    pub(super) fn new(now: Duration) -> Self {
        Self { counted: vec![0; Reject::ALL.len()], written: now }
    }

    /// The reasons and how often each was met since the last line, if a line is due.
    pub(super) fn line(&mut self, figures: &IngestFigures, now: Duration) -> Option<String> {
        if now.saturating_sub(self.written) < EVERY {
            return None;
        }
        self.written = now;
        let mut line = String::new();
        for (counted, (reason, count)) in self.counted.iter_mut().zip(figures.rejected.iter()) {
            if count > *counted {
                let blank = if line.is_empty() { "" } else { " " };
                let _ = write!(line, "{blank}{reason}={}", count - *counted);
                *counted = count;
            }
        }
        (!line.is_empty()).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_once_a_minute_and_only_with_news() {
        let (figures, mut summary) = (IngestFigures::default(), Summary::new(Duration::ZERO));
        for _ in 0..3 {
            figures.rejected.count(Reject::Forged);
        }
        figures.rejected.count(Reject::BadLength);
        let mut line = |seconds| summary.line(&figures, Duration::from_secs(seconds));
        assert_eq!(line(59), None);
        assert_eq!(line(60).as_deref(), Some("bad_length=1 forged=3"));
        assert_eq!(line(120), None);
        figures.rejected.count(Reject::Forged);
        assert_eq!(line(179), None);
        assert_eq!(line(180).as_deref(), Some("forged=1"));
    }
}
