//! Clients over HTTP.

use std::{pin::pin, sync::Arc, time::Duration};

use ::http::{
    HeaderMap, Method,
    header::{ACCEPT, AsHeaderName, CONTENT_LENGTH},
};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use warp::{Buf, Filter, Reply, reply::Response};

use super::{
    Clients,
    tunnel::{self, Asker},
};
use crate::{
    answer::{Answer, Question, accepts_only_json, answer},
    front::{Reached, Routes, Target},
};

/// The longest body that is read before a client is answered.
const BODY_LEN_MAX: usize = 64 * 1024;
/// How long it may take.
const BODY_MAX: Duration = Duration::from_secs(5);

/// The routes of the client listeners, for a [`Front`](crate::front::Front).
#[must_use]
pub fn routes(clients: Clients) -> Routes {
    let clients = Arc::new(clients);
    let asked = warp::method()
        .and(warp::ext::get::<Target>())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Reached>())
        .and(warp::body::stream());
    let answered = asked.then(move |method, target, headers, reached, body| {
        let clients = Arc::clone(&clients);
        async move {
            if let Some(call) = tunnel::call(&method, &target, &headers) {
                return clients.tunnel(call, clients.asker(&headers, reached), body).await;
            }
            drop_body(&method, &headers, body).await;
            reply(clients.answer(&method, &target, &headers, reached))
        }
    });
    Routes::new(warp::service(answered))
}

impl Clients {
    fn answer(
        &self,
        method: &Method,
        target: &Target,
        headers: &HeaderMap,
        reached: Reached,
    ) -> Answer {
        let Asker { client, scheme, port } = self.asker(headers, reached);
        let question = Question {
            method,
            target: target.as_str(),
            json: accepts_only_json(lines(headers, ACCEPT)),
            client,
            scheme,
            port,
        };
        // A drain waits for this guard, so it is held until the answer is made and no longer.
        let snapshot = self.published.load();
        let now = self.clock.now();
        let answer = answer(&question, &self.rules, &snapshot, now, &mut rand::rng());
        drop(snapshot);
        self.figures.count(answer.kind);
        answer
    }

    /// Who asks, behind the proxies that are believed.
    fn asker(&self, headers: &HeaderMap, reached: Reached) -> Asker {
        let Reached { peer, port, scheme } = reached;
        Asker {
            client: self.rules.client(peer, lines(headers, "x-forwarded-for")),
            scheme: self.rules.scheme(scheme, peer, lines(headers, "x-forwarded-proto")),
            port,
        }
    }
}

/// Reads what a client of WHIP sends along, which is for the edge: many only look for an answer
/// when they have sent everything. A body that is longer, slow or broken is left where it is.
async fn drop_body<B: Buf>(
    method: &Method,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<B, warp::Error>>,
) {
    if !matches!(*method, Method::POST | Method::PATCH | Method::DELETE) {
        return;
    }
    let length = lines(headers, CONTENT_LENGTH).next().and_then(|length| length.parse().ok());
    if length.is_some_and(|length: usize| length > BODY_LEN_MAX) {
        return;
    }
    let mut body = pin!(body);
    let read = async {
        let mut left = BODY_LEN_MAX;
        while let Some(Ok(chunk)) = body.next().await {
            let Some(less) = left.checked_sub(chunk.remaining()) else { break };
            left = less;
        }
    };
    let _ = timeout(BODY_MAX, read).await;
}

/// A header's lines that are text.
fn lines(headers: &HeaderMap, name: impl AsHeaderName) -> impl DoubleEndedIterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

fn reply(answer: Answer) -> Response {
    let mut response = answer.body.into_response();
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
