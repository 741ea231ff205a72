//! Clients over HTTP.

use ::http::{
    HeaderMap, Method,
    header::{ACCEPT, AsHeaderName},
};
use warp::{Filter, Reply, reply::Response};

use super::Clients;
use crate::{
    answer::{Answer, Question, accepts_only_json, answer},
    front::{Reached, Routes, Target},
};

/// The routes of the client listeners, for a [`Front`](crate::front::Front).
#[must_use]
pub fn routes(clients: Clients) -> Routes {
    let question = warp::method()
        .and(warp::ext::get::<Target>())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Reached>());
    let answered = question.map(move |method, target, headers, reached| {
        reply(clients.answer(&method, &target, &headers, reached))
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
        let question = Question {
            method,
            target: target.as_str(),
            json: accepts_only_json(lines(headers, ACCEPT)),
            client: self.rules.client(reached.peer, lines(headers, "x-forwarded-for")),
            scheme: reached.scheme,
            port: reached.port,
        };
        // A drain waits for this guard, so it is held until the answer is made and no longer.
        let snapshot = self.published.load();
        let now = self.clock.now();
        let answer = answer(&question, &self.rules, &snapshot.fleet, now, &mut rand::rng());
        drop(snapshot);
        self.figures.count(answer.kind);
        answer
    }
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
