//! Why a command failed, in one message with the way out.

/// Everything a command can fail with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The call makes no sense as it is.
    #[error("{0}")]
    Usage(String),
    /// It was tried and did not work.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => crate::USAGE,
            Self::Failed(_) => 1,
        }
    }
}
