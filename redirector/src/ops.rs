//! The operations listener: is it alive, is it ready, what does it count, whom does it know.
//!
//! It shows what it is given and decides nothing about the fleet. Metrics and the fleet may need a
//! token; liveness, readiness and the start never do.

pub mod first_edge;
mod readiness;

use std::{fmt, sync::Arc};

use ::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{
        AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
};
use serde::Serialize;
use warp::{Filter, Reply, reply::Response};

pub use self::readiness::Readiness;
use crate::{
    error_body::error_body,
    front::{Routes, Target},
};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The exposition format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Says whether a bearer token (`None`: the request has none) may read.
pub type TokenCheck = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;
/// Writes a page anew for each request.
pub type Page = Arc<dyn Fn() -> String + Send + Sync>;

/// Who may read the metrics and the fleet.
#[derive(Clone)]
pub enum OpsAccess {
    /// Everyone who reaches the listener.
    Open,
    /// Those whose token the check admits.
    Token(TokenCheck),
}

impl fmt::Debug for OpsAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Token(_) => "Token",
        })
    }
}

/// What the listener shows.
#[derive(Clone)]
pub struct Ops {
    /// For `/readyz` and `/startupz`.
    pub readiness: Arc<Readiness>,
    /// For `/metrics`, in the text format of Prometheus.
    pub metrics: Page,
    /// For `/api/fleet`, as JSON.
    pub fleet: Page,
    /// Who may read these two.
    pub access: OpsAccess,
}

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ops")
            .field("readiness", &self.readiness)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// The routes of the operations listener, for a [`Front`](crate::front::Front).
#[must_use]
pub fn routes(ops: Ops) -> Routes {
    let asked = warp::ext::get::<Target>().and(warp::header::headers_cloned());
    let answered = asked.map(move |target: Target, headers: HeaderMap| {
        let path = target.as_str().split('?').next().unwrap_or_default();
        let mut response = ops.page(path, bearer(&headers));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    });
    Routes::new(warp::service(answered))
}

impl Ops {
    fn page(&self, path: &str, bearer: Option<&str>) -> Response {
        match path {
            "/livez" => page(StatusCode::OK, TEXT, "ok".to_owned()),
            "/readyz" => readyz(&self.readiness.missing()),
            "/startupz" => readyz(&self.readiness.missing_at_start()),
            "/metrics" if self.admits(bearer) => page(StatusCode::OK, METRICS, (self.metrics)()),
            "/api/fleet" if self.admits(bearer) => page(StatusCode::OK, JSON, (self.fleet)()),
            "/metrics" | "/api/fleet" => unauthorized(),
            _ => error(StatusCode::NOT_FOUND, "not_found", "there is no such page"),
        }
    }

    fn admits(&self, bearer: Option<&str>) -> bool {
        match &self.access {
            OpsAccess::Open => true,
            OpsAccess::Token(check) => check(bearer),
        }
    }
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[derive(Serialize)]
struct Ready<'a> {
    ready: bool,
    missing: &'a [&'static str],
}

fn readyz(missing: &[&'static str]) -> Response {
    let ready = missing.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    page(status, JSON, serde_json::to_string(&Ready { ready, missing }).unwrap_or_default())
}

fn unauthorized() -> Response {
    let message =
        "send a viewer's token as Authorization: Bearer TOKEN, or set open = true in [ops]";
    let mut response = error(StatusCode::UNAUTHORIZED, "token_required", message);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    page(status, JSON, error_body(code, message))
}

fn page(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = body.into_response();
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
