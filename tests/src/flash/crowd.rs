//! The clients: they ask at an even pace over many kept connections, however long answers take.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, mpsc::SyncSender},
    time::{Duration, Instant},
};

use http_body_util::Empty;
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1::SendRequest, header};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    Plan, Sent,
    arrivals::{Arrival, name_of},
    edge_at,
};
use crate::http::keep;

const CONNECTIONS: usize = 100;
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// What the crowd saw.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    pub(super) redirects: usize,
    pub(super) refused: BTreeMap<String, usize>,
    pub(super) took: Duration,
    pub(super) late_max: Duration,
}

/// Lets everybody in; each redirect is told to `sender` when its client has it.
pub(super) fn run(
    plan: &Plan,
    arrivals: &[Arrival],
    to: SocketAddr,
    sender: SyncSender<Sent>,
) -> Crowd {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(everybody(plan, arrivals, to, sender))
}

async fn everybody(
    plan: &Plan,
    arrivals: &[Arrival],
    to: SocketAddr,
    sender: SyncSender<Sent>,
) -> Crowd {
    let arrivals: Arc<[Arrival]> = arrivals.into();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(keep(to).await.expect("a connection"));
    }
    let pace = plan.span / u32::try_from(arrivals.len()).expect("a crowd that can be counted");
    let began = Instant::now();
    let mut asking = JoinSet::new();
    for (first, connection) in connections.into_iter().enumerate() {
        let lane = Lane { first, began, pace, arrivals: Arc::clone(&arrivals) };
        asking.spawn(lane.ask(connection, sender.clone()));
    }
    drop(sender);
    let mut crowd = asking.join_all().await.into_iter().fold(Crowd::default(), Crowd::and);
    crowd.took = began.elapsed();
    crowd
}

/// Every [`CONNECTIONS`]-th arrival, from the `first` one on.
struct Lane {
    first: usize,
    began: Instant,
    pace: Duration,
    arrivals: Arc<[Arrival]>,
}

impl Lane {
    async fn ask(
        self,
        mut connection: SendRequest<Empty<Bytes>>,
        sender: SyncSender<Sent>,
    ) -> Crowd {
        let mut crowd = Crowd::default();
        for (place, arrival) in
            self.arrivals.iter().enumerate().skip(self.first).step_by(CONNECTIONS)
        {
            let due = self.began + self.pace * u32::try_from(place).expect("counted above");
            sleep_until(due.into()).await;
            crowd.late_max = crowd.late_max.max(due.elapsed());
            match asked(&mut connection, arrival.stream).await {
                Ok(edge) => {
                    crowd.redirects += 1;
                    let sent = Sent { edge, at: Instant::now(), arrival: *arrival };
                    sender.send(sent).expect("the audience waits for everybody");
                }
                Err(why) => *crowd.refused.entry(why).or_default() += 1,
            }
        }
        crowd
    }
}

/// The edge that one client is sent to, or the answer it got instead.
async fn asked(connection: &mut SendRequest<Empty<Bytes>>, stream: usize) -> Result<usize, String> {
    let request = Request::get(format!("/{}/playlist.m3u8", name_of(stream)))
        .header(header::HOST, "redirector.example")
        .body(Empty::new())
        .expect("a request");
    let answer = async {
        connection.ready().await?;
        connection.send_request(request).await
    };
    let answer = timeout(ANSWERED_WITHIN, answer).await.map_err(|_| "no answer".to_owned())?;
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::FOUND {
        return Err(answer.status().to_string());
    }
    let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    location.and_then(edge_at).ok_or_else(|| format!("a redirect to {location:?}"))
}

impl Crowd {
    fn and(mut self, other: Self) -> Self {
        for (why, count) in other.refused {
            *self.refused.entry(why).or_default() += count;
        }
        self.redirects += other.redirects;
        self.late_max = self.late_max.max(other.late_max);
        self
    }
}
