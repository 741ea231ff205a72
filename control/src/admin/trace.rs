//! The outermost layer: one span a call, and a panic that ends one call and not the process.

use std::{
    mem,
    panic::AssertUnwindSafe,
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use tonic::{Code, Status, body::Body};
use tower::{BoxError, Layer, Service, load_shed::error::Overloaded};
use tracing::{Instrument, Span, field::Empty};

use super::{audit::code_name, connection::Peer};

/// Puts [`Trace`] around a service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Trace<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Trace<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let span = span(&request);
        // The clone is not ready; the one that was polled is.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let answer = async move {
            let calling = AssertUnwindSafe(async move { inner.call(request).await });
            let response = match calling.catch_unwind().await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => failed(error).into_http(),
                Err(_) => Status::internal("the call failed inside; see the log").into_http(),
            };
            let code = Status::from_header_map(response.headers())
                .map_or(Code::Ok, |status| status.code());
            Span::current().record("code", code_name(code));
            tracing::debug!("answered");
            Ok(response)
        };
        Box::pin(answer.instrument(span))
    }
}

fn failed(error: BoxError) -> Status {
    if error.is::<Overloaded>() {
        Status::resource_exhausted("too many calls are under way; try again in a second")
    } else {
        Status::from_error(error)
    }
}

fn span(request: &Request<Body>) -> Span {
    let span = tracing::info_span!(
        "admin",
        method = ?request.uri().path(),
        peer = Empty,
        principal = Empty,
        code = Empty,
        trace_id = Empty,
    );
    if let Some(peer) = request.extensions().get::<Peer>() {
        span.record("peer", tracing::field::display(peer.address));
    }
    if let Some(id) = trace_id(request) {
        span.record("trace_id", id);
    }
    span
}

/// The caller's trace id (W3C Trace Context, section 3.2), if it is well formed.
fn trace_id(request: &Request<Body>) -> Option<&str> {
    let header = request.headers().get("traceparent")?.to_str().ok()?;
    let id = header.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceBuilder, ServiceExt, load_shed::LoadShedLayer};

    use super::*;

    async fn answer<S>(service: S) -> Code
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = BoxError>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let response = TraceLayer.layer(service).oneshot(Request::new(Body::empty())).await;
        let response = response.expect("every failure is an answer");
        Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
    }

    #[tokio::test]
    async fn a_panic_ends_one_call_with_internal() {
        let panics = tower::service_fn(|request: Request<Body>| async move {
            assert!(request.headers().contains_key("never"), "no such header");
            Ok::<_, BoxError>(Response::new(Body::empty()))
        });
        assert_eq!(answer(panics).await, Code::Internal);
    }

    #[tokio::test]
    async fn overload_is_told() {
        let full =
            ServiceBuilder::new().layer(LoadShedLayer::new()).concurrency_limit(0).service_fn(
                |_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) },
            );
        assert_eq!(answer(full).await, Code::ResourceExhausted);
    }
}
