//! HTTP/1.1 on one connection, with bounds on size, time and age, and an orderly end.

use std::{convert::Infallible, pin::pin};

use ::http::{HeaderValue, Request, Version, header::CONNECTION};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use warp::{Reply, reply::Response};

use super::{
    BodyRead, Duplex, Limits, Reached, SessionGoesOn, Shared, Target,
    figures::{End, Event},
    guard,
    linger::linger,
    places::Place,
};

/// The largest head of a request, in bytes.
const HEAD_LEN_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Serves a connection until it ends, is too old, or the front stops.
pub(super) async fn serve<S: Duplex>(
    mut stream: S,
    reached: Reached,
    place: &Place,
    shared: &Shared,
) -> Result<(), End> {
    let ended = until_the_end(&mut stream, reached, place, shared).await?;
    match ended {
        Err(error) if error.is_timeout() => return Err(Some(Event::HeadTimeouts)),
        Err(error) if error.is_parse() => shared.figures.count(Event::Malformed),
        _ => {}
    }
    linger(&mut stream).await;
    Ok(())
}

/// An error where the connection did not end in time and is to be dropped as it is.
async fn until_the_end<S: Duplex>(
    stream: &mut S,
    reached: Reached,
    place: &Place,
    shared: &Shared,
) -> Result<hyper::Result<()>, End> {
    let began = Instant::now();
    let is_last = || shared.leaving.has_begun() || began.elapsed() >= shared.limits.age_max;
    let service = service_fn(|request| ask(request, reached, place, shared, is_last));
    let connection = builder(&shared.limits).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        // A request that is there already is answered, even if the front stops in this moment.
        biased;
        ended = connection.as_mut() => return Ok(ended),
        _ = stopping.wait_for(|stopping| *stopping) => {}
        // Closed at its age, it could be closed under a request on its way. So its next answer says that
        // it ends, and by now it has none or has been silent for too long.
        () = sleep(shared.limits.age_max + shared.limits.head_timeout) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => Ok(ended),
        () = sleep(shared.limits.finish_timeout) => Err(None),
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(HEAD_LEN_MAX)
        .max_headers(HEADERS_MAX)
        // librtmp, which tunnels RTMP through HTTP, knows `Content-Length` in no other spelling.
        .title_case_headers(true)
        // A client may say that it has sent everything and still wait for the answer.
        .half_close(true);
    builder
}

/// One request: through the guard, to the routes, and back. `is_last` says whether its answer ends the
/// connection.
async fn ask(
    request: Request<Incoming>,
    reached: Reached,
    place: &Place,
    shared: &Shared,
    is_last: impl Fn() -> bool,
) -> Result<Response, Infallible> {
    let version = request.version();
    let mut response = match guard::check(&request, shared.limits.methods) {
        Ok(target) => route(request, target, reached, place, shared).await?,
        Err(reject) => {
            shared.figures.refuse(reject);
            guard::refusal(reject, shared.limits.methods).into_response()
        }
    };
    let session_goes_on = response.extensions_mut().remove::<SessionGoesOn>().is_some();
    if is_last() && !session_goes_on {
        end_connection(&mut response, version);
    }
    Ok(response)
}

async fn route(
    mut request: Request<Incoming>,
    target: Target,
    reached: Reached,
    place: &Place,
    shared: &Shared,
) -> Result<Response, Infallible> {
    let version = request.version();
    let has_body = !request.body().is_end_stream();
    if !has_body {
        // A body is still the client's to send, and who is slow with it is slow.
        place.serve_from_now_on();
    }
    request.extensions_mut().insert(reached);
    request.extensions_mut().insert(target);
    let mut response = shared.services.http.clone().oneshot(request).await?;
    place.wait_from_now_on();
    let body_read = response.extensions_mut().remove::<BodyRead>().is_some();
    if has_body && !body_read {
        // What follows an unread body is no request.
        end_connection(&mut response, version);
    }
    Ok(response)
}

/// Makes it the last on its connection (RFC 9112 section 9.6). `version` is the request's.
fn end_connection(response: &mut Response, version: Version) {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    // To HTTP/1.0, hyper would add a keep-alive to an answer of HTTP/1.1.
    *response.version_mut() = version;
}
