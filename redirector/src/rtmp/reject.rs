//! Why a session is ended without an answer.

use crate::figures::Label;

/// What was wrong with what an RTMP client sent. One counter each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RtmpReject {
    /// A version that is neither 3 nor 6 nor 8.
    Version,
}

impl Label for RtmpReject {
    const ALL: &'static [Self] = &[Self::Version];

    fn index(self) -> usize {
        self as usize
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
        }
    }
}
