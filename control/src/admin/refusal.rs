//! The one place where a refused order becomes a gRPC status.

use tonic::{Code, Status};

use crate::order::Refused;

/// The status that tells a caller what was refused and what to do about it.
pub(crate) fn status(refused: &Refused) -> Status {
    let code = match refused {
        Refused::UnknownEdge(_) => Code::NotFound,
        Refused::AmbiguousName { .. } | Refused::NotForgettable(_) => Code::FailedPrecondition,
        Refused::StaleEtag { .. } => Code::Aborted,
        Refused::RequestIdReused(_) => Code::InvalidArgument,
        Refused::Busy => Code::ResourceExhausted,
        Refused::StoreFailed(_) | Refused::WeightUnsaved(_) | Refused::Stopping => {
            Code::Unavailable
        }
    };
    Status::new(code, refused.to_string())
}

/// The status for an argument out of bounds.
pub(crate) fn invalid(field: &str, fault: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("{field}: {fault}"))
}
