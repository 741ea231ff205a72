//! Clients that ask at an even pace while something happens to the redirectors, and count what failed.
//!
//! Half of them keep their connection as long as they may, half open one for each question. Nothing is
//! asked twice: a question that got no redirect has failed.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1::SendRequest, header};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
    time::{sleep_until, timeout},
};

use crate::http::keep;

/// Clients that ask side by side.
const LANES: u32 = 100;
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// A client that asks so long after its turn kept no even pace.
const LATE_MAX: Duration = Duration::from_secs(2);

/// Whom to ask, how often and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The clients' port, of one redirector or of whatever stands before several.
    pub to: SocketAddr,
    /// Questions a second, of all clients together.
    pub per_second: u32,
    /// How long they ask, unless SIGTERM ends it.
    pub span: Duration,
}

/// What the clients saw.
#[derive(Debug, Clone, Default)]
pub struct Report {
    asked: u64,
    kept: u64,
    connections: u64,
    redirects: BTreeMap<String, u64>,
    failed: BTreeMap<String, u64>,
    slowest: Duration,
    late_max: Duration,
    took: Duration,
}

/// Asks until the span is over or SIGTERM comes.
#[must_use]
pub fn run(plan: Plan) -> Report {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(everybody(plan))
}

async fn everybody(plan: Plan) -> Report {
    let began = Instant::now();
    let ended = Arc::new(AtomicBool::new(false));
    let mut terminate = signal(SignalKind::terminate()).expect("signals");
    let end = Arc::clone(&ended);
    tokio::spawn(async move {
        terminate.recv().await;
        end.store(true, Ordering::Relaxed);
    });
    let mut asking = JoinSet::new();
    for number in 0..LANES {
        let ended = Arc::clone(&ended);
        asking.spawn(Lane { number, plan, began, ended, kept: None }.ask());
    }
    let mut report = asking.join_all().await.into_iter().fold(Report::default(), Report::and);
    report.took = began.elapsed();
    report
}

/// One client.
struct Lane {
    number: u32,
    plan: Plan,
    began: Instant,
    ended: Arc<AtomicBool>,
    kept: Option<SendRequest<Empty<Bytes>>>,
}

impl Lane {
    async fn ask(mut self) -> Report {
        let pause = Duration::from_secs(1) * LANES / self.plan.per_second;
        let mut due = self.began + pause * self.number / LANES;
        let mut report = Report::default();
        while due < self.began + self.plan.span {
            sleep_until(due.into()).await;
            if self.ended.load(Ordering::Relaxed) {
                break;
            }
            report.late_max = report.late_max.max(due.elapsed());
            report.asked += 1;
            let asked_at = Instant::now();
            match timeout(ANSWERED_WITHIN, self.question(&mut report)).await {
                Ok(Ok(edge)) => *report.redirects.entry(edge).or_default() += 1,
                Ok(Err(why)) => report.fail(why),
                Err(_) => report.fail("no answer within 5 s".into()),
            }
            report.slowest = report.slowest.max(asked_at.elapsed());
            due += pause;
        }
        report
    }

    fn keeps(&self) -> bool {
        self.number.is_multiple_of(2)
    }

    /// The host that the answer leads to, or what went wrong.
    async fn question(&mut self, report: &mut Report) -> Result<String, String> {
        let usable = self.kept.take().filter(|connection| !connection.is_closed());
        let reused = usable.is_some();
        let mut connection = match usable {
            Some(connection) => connection,
            None => {
                report.connections += 1;
                keep(self.plan.to).await.map_err(|error| format!("connecting: {error}"))?
            }
        };
        report.kept += u64::from(reused);
        let mut request =
            Request::get("/live/cam/playlist.m3u8").header(header::HOST, self.plan.to.to_string());
        if !self.keeps() {
            request = request.header(header::CONNECTION, "close");
        }
        let request = request.body(Empty::new()).expect("a request");
        let place = if reused { "on a kept connection" } else { "on a new connection" };
        let failed = |error: hyper::Error| format!("{place}: {error}");
        let answer = connection.send_request(request).await.map_err(failed)?;
        let (status, closes) = (answer.status(), closes(answer.headers()));
        let location = answer.headers().get(header::LOCATION).cloned();
        answer.into_body().collect().await.map_err(failed)?;
        if self.keeps() && !closes {
            self.kept = Some(connection);
        }
        if status != StatusCode::FOUND {
            return Err(format!("status {}", status.as_u16()));
        }
        location
            .as_ref()
            .and_then(|value| host_of(value.to_str().ok()?))
            .ok_or("no Location".into())
    }
}

fn closes(headers: &header::HeaderMap) -> bool {
    headers
        .get(header::CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn host_of(location: &str) -> Option<String> {
    url::Url::parse(location).ok()?.host_str().map(str::to_owned)
}

impl Report {
    fn fail(&mut self, why: String) {
        *self.failed.entry(why).or_default() += 1;
    }

    fn and(mut self, other: Self) -> Self {
        self.asked += other.asked;
        self.kept += other.kept;
        self.connections += other.connections;
        for (edge, count) in other.redirects {
            *self.redirects.entry(edge).or_default() += count;
        }
        for (why, count) in other.failed {
            *self.failed.entry(why).or_default() += count;
        }
        self.slowest = self.slowest.max(other.slowest);
        self.late_max = self.late_max.max(other.late_max);
        self
    }

    /// What must not be; empty: nothing.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<_> = self
            .failed
            .iter()
            .map(|(why, count)| format!("{count} questions failed: {why}"))
            .collect();
        if self.late_max > LATE_MAX {
            faults.push(format!(
                "the clients fell {:.1?} behind, so this says little",
                self.late_max
            ));
        }
        if self.redirects.is_empty() {
            faults.push("nobody was redirected".into());
        }
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redirects: u64 = self.redirects.values().sum();
        let failed: u64 = self.failed.values().sum();
        let rate = self.asked as f64 / self.took.as_secs_f64();
        writeln!(f, "asked            {} in {:.1?}, {rate:.0}/s", self.asked, self.took)?;
        writeln!(f, "redirected       {redirects}")?;
        for (edge, count) in &self.redirects {
            writeln!(f, "  to {edge:<14}{count}")?;
        }
        writeln!(f, "failed           {failed}")?;
        for (why, count) in &self.failed {
            writeln!(f, "  {count} {why}")?;
        }
        writeln!(f, "connections      {}, questions on kept ones {}", self.connections, self.kept)?;
        writeln!(
            f,
            "slowest answer   {:.1?}; furthest behind its turn {:.1?}",
            self.slowest, self.late_max
        )
    }
}
