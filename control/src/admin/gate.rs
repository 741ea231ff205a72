//! The innermost layer: who calls, whether they may, how often, and for how long.

use std::{
    mem,
    num::NonZeroU32,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::{Request, Response, header::AUTHORIZATION};
use tonic::{Status, body::Body};
use tower::{BoxError, Layer, Service};
use tracing::Span;

use super::{
    audit::Audit,
    auth::{self, Credentials, Rule},
    connection::Peer,
};
use crate::order::Principal;

/// How long a call may take to begin its answer. Streams live on after that.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
const CALLS_BURST: NonZeroU32 = NonZeroU32::new(200).expect("not zero");
/// Denied calls are recorded, so all of them together get a small share.
const DENIED_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const DENIED_BURST: NonZeroU32 = NonZeroU32::new(50).expect("not zero");

/// Puts [`Gate`] around a service.
#[derive(Clone)]
pub(crate) struct GateLayer(Arc<Keeper>);

impl GateLayer {
    pub(crate) fn new(credentials: Credentials, audit: Audit) -> Self {
        let quota = Quota::per_second(CALLS_PER_SECOND).allow_burst(CALLS_BURST);
        let denied_quota = Quota::per_second(DENIED_PER_SECOND).allow_burst(DENIED_BURST);
        Self(Arc::new(Keeper {
            credentials,
            audit,
            callers: RateLimiter::keyed(quota),
            denied: RateLimiter::direct(denied_quota),
        }))
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { keeper: Arc::clone(&self.0), inner }
    }
}

/// What the gates of all connections share.
struct Keeper {
    credentials: Credentials,
    audit: Audit,
    callers: DefaultKeyedRateLimiter<String>,
    denied: DefaultDirectRateLimiter,
}

impl Keeper {
    /// Lets a call in, with its [`Principal`] as an extension, or says why not.
    fn admit(&self, request: &mut Request<Body>) -> Result<(), Status> {
        let rule = auth::rule(request.uri().path());
        if rule == Some(Rule::Open) {
            // Probes are never held back by what others do.
            return Ok(());
        }
        let peer = request.extensions().get::<Peer>().cloned();
        let peer = peer.ok_or_else(|| Status::internal("the connection has no peer"))?;
        let token = request.headers_mut().remove(AUTHORIZATION);
        let token = token.as_ref().map(|value| value.as_bytes());
        let nobody = Principal { peer: peer.address.to_string(), ..Principal::default() };
        let (principal, role) = self
            .credentials
            .recognise(token, &peer)
            .map_err(|denied| self.deny(&nobody, request, denied.into()))?;
        Span::current().record("principal", principal.name.as_str());
        auth::permit(rule, role).map_err(|denied| self.deny(&principal, request, denied.into()))?;
        self.callers.check_key(&principal.name).map_err(|_| too_often())?;
        request.extensions_mut().insert(principal);
        Ok(())
    }

    fn deny(&self, principal: &Principal, request: &Request<Body>, status: Status) -> Status {
        if self.denied.check().is_err() {
            return too_often();
        }
        self.audit.denied(principal, request.uri().path(), &status);
        status
    }
}

fn too_often() -> Status {
    Status::resource_exhausted("too many calls in a short time; try again in a second")
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    keeper: Arc<Keeper>,
    inner: S,
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let keeper = Arc::clone(&self.keeper);
        Box::pin(async move {
            if let Err(status) = keeper.admit(&mut request) {
                return Ok(status.into_http());
            }
            match tokio::time::timeout(ANSWER_WITHIN, inner.call(request)).await {
                Ok(answer) => answer.map_err(Into::into),
                Err(_) => Ok(too_slow().into_http()),
            }
        })
    }
}

fn too_slow() -> Status {
    Status::deadline_exceeded(
        "there was no answer in time; an order's outcome is unknown, retry it with the same request_id",
    )
}
