//! One call to one redirector, and what went wrong in words.

use std::{error::Error, fmt};

use tidegate_proto::admin::fleet_service_client::FleetServiceClient;
use tonic::{
    Code, Request, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{self, Channel},
};

use crate::{show::plain, target::Target};

/// A client that shows the token with every call.
pub(crate) type Client = FleetServiceClient<InterceptedService<Channel, Bearer>>;

/// Adds the token, if there is one.
#[derive(Clone)]
pub(crate) struct Bearer(Option<AsciiMetadataValue>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Why a redirector gave no good answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It was not reached; another one may be.
    Unreachable(String),
    /// It answered; asking another one would only hide that.
    Answered(Status),
}

impl Refusal {
    /// Whether another redirector may do better.
    pub(crate) fn is_worth_another(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Answered(status) => status.code() == Code::Unavailable,
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self::Answered(status)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) => write!(
                f,
                "cannot be reached: {}; is tidegate-redirector running there? --admin names another address",
                plain(cause)
            ),
            Self::Answered(status) if status.message().is_empty() => {
                write!(f, "{:?}", status.code())
            }
            Self::Answered(status) => f.write_str(&plain(status.message())),
        }
    }
}

/// Connects to one redirector.
pub(crate) async fn connect(target: &Target) -> Result<Client, Refusal> {
    let channel = target.endpoint.connect().await.map_err(|error| unreachable(&error))?;
    let bearer = Bearer(target.authorization.clone());
    Ok(FleetServiceClient::with_interceptor(channel, bearer))
}

/// The innermost cause says what happened; those around it say only that something did.
fn unreachable(error: &transport::Error) -> Refusal {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Refusal::Unreachable(cause.to_string())
}
