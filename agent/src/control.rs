//! The agent's own HTTP listener: pause, unpause, status, metrics and probes.
//!
//! Orders come from programs beside the edge. A browser is refused, so that no web page the
//! operator visits can pause an edge, not even by a name that points at the loopback address.

use std::{convert::Infallible, net::IpAddr};

use serde::Serialize;
use tokio::net::TcpListener;
use warp::{
    Filter, Reply,
    http::{HeaderMap, Method, StatusCode, header},
    path::FullPath,
    reply::{Response, json, with_header, with_status},
};

use crate::{metrics, sender::Controls};

/// Serves until the task is aborted.
pub async fn serve(listener: TcpListener, controls: Controls) {
    warp::serve(routes(controls)).incoming(listener).run().await;
}

/// Every route.
pub fn routes(
    controls: Controls,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone {
    warp::method().and(warp::path::full()).and(warp::header::headers_cloned()).map(
        move |method: Method, path: FullPath, headers: HeaderMap| {
            answer(&method, path.as_str(), &headers, &controls)
        },
    )
}

#[derive(Serialize)]
struct Fault {
    error: &'static str,
}

fn answer(method: &Method, path: &str, headers: &HeaderMap, controls: &Controls) -> Response {
    let order: Option<fn(&Controls)> = match path {
        "/pause" => Some(Controls::pause),
        "/unpause" => Some(Controls::unpause),
        _ => None,
    };
    let shows = matches!(path, "/status" | "/metrics" | "/livez" | "/readyz");
    match (order, method.as_str()) {
        (Some(_), "POST") if !is_from_program(headers) => fault(
            StatusCode::FORBIDDEN,
            "orders come from programs that name this agent by address",
        ),
        (Some(order), "POST") => {
            order(controls);
            json(&controls.status()).into_response()
        }
        (Some(_), _) => not_allowed("POST"),
        (None, "GET" | "HEAD") if shows => show(path, controls),
        (None, _) if shows => not_allowed("GET, HEAD"),
        _ => fault(
            StatusCode::NOT_FOUND,
            "there are POST /pause, /unpause and GET /status, /metrics, /livez, /readyz",
        ),
    }
}

fn show(path: &str, controls: &Controls) -> Response {
    match path {
        "/status" => {
            with_header(json(&controls.status()), header::CACHE_CONTROL, "no-store").into_response()
        }
        "/metrics" => with_header(
            metrics::render(&controls.status()),
            header::CONTENT_TYPE,
            metrics::CONTENT_TYPE,
        )
        .into_response(),
        "/readyz" if !controls.status().is_ready() => {
            with_status("no heartbeat was sent yet\n", StatusCode::SERVICE_UNAVAILABLE)
                .into_response()
        }
        _ => "ok\n".into_response(),
    }
}

fn fault(status: StatusCode, error: &'static str) -> Response {
    with_status(json(&Fault { error }), status).into_response()
}

fn not_allowed(methods: &'static str) -> Response {
    let fault = fault(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here");
    with_header(fault, header::ALLOW, methods).into_response()
}

/// Browsers send Origin with every POST, and a rebound name shows in Host; addresses cannot be
/// rebound.
fn is_from_program(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::ORIGIN) {
        return false;
    }
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use tidegate_proto::{key::SendKey, seal::FleetKey};

    use super::*;
    use crate::{EdgeHandle, EdgeSender, Measurement, Target};

    /// Port 9 of the loopback address: what is sent there is lost, which is fine.
    fn edge() -> EdgeHandle {
        let key = SendKey::Fleet { key: FleetKey::from_bytes([1; 32]), weak: false };
        EdgeSender::new("edge-1".parse().expect("a name"))
            .target(Target::at(([127, 0, 0, 1], 9).into(), key))
            .source(|| Ok(Measurement::of_viewers(3)))
            .spawn()
            .expect("spawned")
    }

    async fn asked(edge: &EdgeHandle, method: &str, path: &str, host: &str) -> (u16, String) {
        let request = warp::test::request().method(method).path(path).header("host", host);
        let response = request.reply(&routes(edge.controls())).await;
        (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned())
    }

    #[tokio::test]
    async fn pause_and_unpause_answer_with_the_status() {
        let edge = edge();
        let (code, body) = asked(&edge, "POST", "/pause", "127.0.0.1:1938").await;
        let status: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((code, &status["paused"]), (200, &true.into()));
        assert_eq!(status["name"], "edge-1");
        assert!(status["targets"].is_array() && status["load"].is_object(), "{status}");
        let (_, body) = asked(&edge, "POST", "/unpause", "localhost").await;
        assert!(body.contains("\"paused\":false"), "{body}");
    }

    #[tokio::test]
    async fn a_browser_cannot_give_orders() {
        let edge = edge();
        for host in ["evil.example:1938", "evil.example", "1.2.3.4.evil.example"] {
            assert_eq!(asked(&edge, "POST", "/pause", host).await.0, 403, "{host}");
        }
        let request = warp::test::request().method("POST").path("/pause").header("origin", "null");
        assert_eq!(request.reply(&routes(edge.controls())).await.status(), 403);
        assert!(!edge.status().paused);
        assert_eq!(asked(&edge, "POST", "/pause", "[::1]:1938").await.0, 200);
    }

    #[tokio::test]
    async fn other_methods_and_paths_change_nothing() {
        let edge = edge();
        assert_eq!(asked(&edge, "GET", "/pause", "localhost").await.0, 405);
        assert_eq!(asked(&edge, "POST", "/status", "localhost").await.0, 405);
        assert_eq!(asked(&edge, "GET", "/", "localhost").await.0, 404);
        assert_eq!(asked(&edge, "POST", "/pause/", "localhost").await.0, 404);
        assert_eq!(asked(&edge, "GET", "/livez", "x").await.0, 200);
        assert!(asked(&edge, "GET", "/metrics", "x").await.1.contains("tidegate_agent_info"));
        assert!(!edge.status().paused);
    }
}
