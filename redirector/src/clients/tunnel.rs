//! Clients over RTMPT: RTMP in the bodies of HTTP requests, one session over many of them.
//!
//! There is no specification; what players and Red5 do is written down at
//! <http://docs.huihoo.com/red5/SPEC-RTMPT.txt>.

pub mod call;
pub mod exchange;
pub mod table;

use std::{net::IpAddr, pin::pin, time::Duration};

use ::http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use futures_util::{Stream, StreamExt};
use tidegate_proto::edge::Scheme;
use tokio::time::{sleep, timeout};
use warp::{Buf, Reply as _, reply::Response};

use self::{
    call::Call,
    exchange::{Refusal, Reply},
    table::{Full, SessionId},
};
use super::{Clients, figures::Lapse, judge::Client, rtmp::new_session};
use crate::front::{BodyRead, SessionGoesOn, Target};

/// What requests and responses carry.
const MEDIA_TYPE: &str = "application/x-fcs";
/// The longest body of a request. A handshake's second half and a `connect` are 2 KiB.
const BODY_LEN_MAX: usize = 16 * 1024;
/// How long a body may take.
const BODY_MAX: Duration = Duration::from_secs(5);
/// How long an answer is held that says nothing: librtmp asks again at once, without end.
const HOLD: Duration = Duration::from_millis(100);

/// What a request asks for, if it is one of RTMPT.
#[must_use]
pub fn call(method: &Method, target: &Target, headers: &HeaderMap) -> Option<Call> {
    let media_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if method != Method::POST || !essence.eq_ignore_ascii_case(MEDIA_TYPE) {
        return None;
    }
    Call::of(target.as_str())
}

/// Who asks, and through what.
#[derive(Debug, Clone, Copy)]
pub struct Asker {
    /// The client, whoever stands between.
    pub client: IpAddr,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The port it reached.
    pub port: u16,
}

impl Clients {
    /// Answers a request of RTMPT.
    pub async fn tunnel<B: Buf>(
        &self,
        call: Call,
        asker: Asker,
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Response {
        let body = match timeout(BODY_MAX, read(body)).await {
            Ok(Ok(body)) => body,
            Ok(Err(lapse)) => return self.refuse_body(call, asker, lapse),
            Err(_) => return self.refuse_body(call, asker, Lapse::TunnelBodyLate),
        };
        let mut response = match self.exchange(call, asker, &body) {
            Ok(reply) => {
                if reply.is_empty() && matches!(call, Call::Idle(_)) {
                    sleep(HOLD).await;
                }
                let mut response = response(StatusCode::OK, reply.into_bytes());
                if !matches!(call, Call::Close(_)) {
                    // librtmp takes the connection's end for the session's.
                    response.extensions_mut().insert(SessionGoesOn);
                }
                response
            }
            Err(status) => response(status, Vec::new()),
        };
        response.extensions_mut().insert(BodyRead);
        response
    }

    fn exchange(&self, call: Call, asker: Asker, body: &[u8]) -> Result<Reply, StatusCode> {
        let now = self.clock.now().monotonic;
        let reply = match call {
            Call::Ident => return Err(StatusCode::NOT_FOUND),
            Call::Open => {
                let id = SessionId(rand::random());
                let opened = self.tunnels.open(id, asker.client, new_session(), now);
                opened.map(|ended| {
                    (0..ended).for_each(|_| self.rtmp.lapses.count(Lapse::TunnelShed));
                    Reply::Opened(id)
                })
            }
            _ => {
                let scheme = asker.tunnel_scheme();
                let mut client = Client::new(self, asker.client, scheme, asker.port);
                self.tunnels.exchange(call, body, asker.client, now, &mut client)
            }
        };
        reply.map_err(|refusal| self.refuse(refusal))
    }

    fn refuse(&self, refusal: Refusal) -> StatusCode {
        let lapse = match refusal {
            Refusal::Rejected(reject) => {
                self.rtmp.rejects.count(reject);
                return StatusCode::NOT_FOUND;
            }
            Refusal::NoSession => Lapse::TunnelNoSession,
            Refusal::Full(Full::All) => Lapse::TunnelFull,
            Refusal::Full(Full::Network) => Lapse::TunnelNetworkFull,
        };
        self.rtmp.lapses.count(lapse);
        match refusal {
            Refusal::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::NOT_FOUND,
        }
    }

    /// Ends the session whose request cannot be read; since what is left of it is no request, the
    /// connection ends as well.
    fn refuse_body(&self, call: Call, asker: Asker, lapse: Lapse) -> Response {
        self.rtmp.lapses.count(lapse);
        self.tunnels.forget(call, asker.client, self.clock.now().monotonic);
        let status = match lapse {
            Lapse::TunnelBodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::REQUEST_TIMEOUT,
        };
        response(status, Vec::new())
    }
}

impl Asker {
    fn tunnel_scheme(self) -> Scheme {
        if self.scheme == Scheme::Https { Scheme::Rtmpts } else { Scheme::Rtmpt }
    }
}

async fn read<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>>) -> Result<Vec<u8>, Lapse> {
    let mut body = pin!(body);
    let mut read = Vec::new();
    while let Some(piece) = body.next().await {
        let mut piece = piece.map_err(|_| Lapse::TunnelBodyLate)?;
        if read.len() + piece.remaining() > BODY_LEN_MAX {
            return Err(Lapse::TunnelBodyTooLong);
        }
        let len = piece.remaining();
        read.extend_from_slice(&piece.copy_to_bytes(len));
    }
    Ok(read)
}

/// Its length is always said: librtmp reads no other form.
fn response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = body.into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
