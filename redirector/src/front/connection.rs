//! One connection: HTTP/1 with bounds on size, time and age, and an orderly end.

use std::{convert::Infallible, pin::pin, time::Duration};

use ::http::{HeaderValue, Request, header::CONNECTION};
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tower::ServiceExt;
use warp::{Reply, reply::Response};

use super::{Limits, Reached, Shared, guard};

/// The largest head of a request, in bytes.
const HEAD_LEN_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// What is still read from a client after its connection was ended from here.
const LINGER_LEN_MAX: usize = 64 * 1024;
const LINGER_MAX: Duration = Duration::from_secs(1);

/// Serves a connection until it ends, is too old, or the front stops.
pub(super) async fn serve(mut stream: TcpStream, reached: Reached, shared: &Shared) {
    // Answers are small and whole; waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    match until_the_end(&mut stream, reached, shared).await {
        None => return,
        Some(Err(error)) if error.is_timeout() => return shared.figures.head_timeouts.add_one(),
        Some(Err(error)) if error.is_parse() => shared.figures.malformed.add_one(),
        Some(_) => {}
    }
    linger(&mut stream).await;
}

/// `None` where the connection did not end in time and is to be dropped as it is.
async fn until_the_end(
    stream: &mut TcpStream,
    reached: Reached,
    shared: &Shared,
) -> Option<hyper::Result<()>> {
    let service = service_fn(|request| ask(request, reached, shared));
    let connection = builder(&shared.limits).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut stopping = shared.stopping.clone();
    tokio::select! {
        ended = connection.as_mut() => return Some(ended),
        _ = stopping.wait_for(|stopping| *stopping) => {}
        () = sleep(shared.limits.age_max) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        ended = connection => Some(ended),
        () = closed(stopping) => None,
        () = sleep(shared.limits.finish_timeout) => None,
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(HEAD_LEN_MAX)
        .max_headers(HEADERS_MAX)
        // A client may say that it has sent everything and still wait for the answer.
        .half_close(true);
    builder
}

/// Ready when the front has gone.
async fn closed(mut stopping: watch::Receiver<bool>) {
    while stopping.changed().await.is_ok() {}
}

/// One request: through the guard, to the routes, and back.
async fn ask(
    mut request: Request<Incoming>,
    reached: Reached,
    shared: &Shared,
) -> Result<Response, Infallible> {
    let target = match guard::check(&request, shared.limits.methods) {
        Ok(target) => target,
        Err(reject) => {
            shared.figures.refuse(reject);
            return Ok(guard::refusal(reject, shared.limits.methods).into_response());
        }
    };
    let has_body = !request.body().is_end_stream();
    request.extensions_mut().insert(reached);
    request.extensions_mut().insert(target);
    let mut response = shared.services.http.clone().oneshot(request).await?;
    if has_body {
        // Nothing here reads a body, and what follows an unread one is no request.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Says that no more is coming and reads what is still on its way: closing with unread bytes would
/// reset the connection and could take the answer with it (RFC 9112 section 9.6).
async fn linger(stream: &mut TcpStream) {
    let _ = stream.shutdown().await;
    let read = async {
        let mut sink = vec![0; 4_096];
        let mut left = LINGER_LEN_MAX;
        while left > 0 {
            match stream.read(&mut sink).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                _ => break,
            }
        }
    };
    let _ = timeout(LINGER_MAX, read).await;
}
