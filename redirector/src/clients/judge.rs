//! One RTMP client and what it is told: the judge of its session, whatever carries that.

use std::net::IpAddr;

use tidegate_proto::edge::{EdgeId, Scheme};
use tokio::sync::OwnedSemaphorePermit;

use super::{Clients, figures::SpliceFault};
use crate::{
    answer::connect::{
        ConnectAnswer, ConnectKind, ConnectQuestion, Route, SplicePlan, host_for_call,
    },
    rtmp::{Connect, Judge, Verdict},
};

/// A client and how it came.
pub(super) struct Client<'a> {
    pub(super) clients: &'a Clients,
    pub(super) address: IpAddr,
    /// What carries the session.
    pub(super) scheme: Scheme,
    pub(super) port: u16,
    /// What a verdict of [`Verdict::Splice`] needs further.
    pub(super) splice: Option<Splice<'a>>,
}

/// A client that is to be spliced, and its place among the splices.
pub(super) struct Splice<'a> {
    pub(super) plan: SplicePlan,
    _place: OwnedSemaphorePermit,
    route: Route<'a>,
}

impl<'a> Client<'a> {
    pub(super) fn new(clients: &'a Clients, address: IpAddr, scheme: Scheme, port: u16) -> Self {
        Self { clients, address, scheme, port, splice: None }
    }

    fn redirect(&self, route: &Route<'_>) -> ConnectAnswer {
        let loop_guard = &self.clients.loop_guard;
        let now = self.clients.clock.now().monotonic;
        if !loop_guard.admits(self.address, route.application(), now) {
            return ConnectAnswer::LoopGuard;
        }
        let answer = self.clients.lead(route, &[]);
        let leads_away = matches!(
            answer,
            ConnectAnswer::Redirect { .. }
                | ConnectAnswer::Reconnect(_)
                | ConnectAnswer::Overflow { .. }
        );
        if leads_away {
            loop_guard.charge(self.address, route.application(), now);
        }
        answer
    }

    fn splice(&mut self, route: Route<'a>) -> Verdict {
        let Some(place) = self.clients.splices.try_enter() else {
            self.clients.rtmp.splice_faults.count(SpliceFault::Full);
            let description = "too many connections are spliced to edges already; try again later";
            return Verdict::Reject { redirect: None, description: description.to_owned() };
        };
        match self.clients.lead(&route, &[]) {
            ConnectAnswer::Splice(plan) => {
                self.clients.rtmp.answers.count(ConnectKind::Splice);
                self.splice = Some(Splice { plan: *plan, route, _place: place });
                Verdict::Splice
            }
            other => self.tell(other),
        }
    }

    fn tell(&self, answer: ConnectAnswer) -> Verdict {
        self.clients.rtmp.answers.count(answer.kind());
        let description = answer.description().unwrap_or_default();
        match answer {
            ConnectAnswer::Redirect { url, .. } => {
                Verdict::Reject { redirect: Some(url), description }
            }
            ConnectAnswer::Overflow { url, reconnects, .. } => {
                if reconnects {
                    return Verdict::Accept { reconnect: Some(url) };
                }
                Verdict::Reject { redirect: Some(url), description }
            }
            ConnectAnswer::Accept => Verdict::Accept { reconnect: None },
            ConnectAnswer::Reconnect(url) => Verdict::Accept { reconnect: Some(url) },
            _ => Verdict::Reject { redirect: None, description },
        }
    }
}

impl Clients {
    /// Chooses an edge that has not been tried.
    fn lead(&self, route: &Route<'_>, tried: &[EdgeId]) -> ConnectAnswer {
        // A drain waits for this guard, so it is held until the answer is made and no longer.
        let snapshot = self.published.load();
        let now = self.clock.now();
        route.answer(tried, &self.rules, &snapshot, now, &mut rand::rng())
    }
}

impl Judge for Client<'_> {
    fn connect(&mut self, connect: &Connect) -> Verdict {
        let question = ConnectQuestion {
            app: &connect.app,
            tc_url: &connect.tc_url,
            reconnects: connect.reconnects,
            client: self.address,
            scheme: self.scheme,
            port: self.port,
        };
        match self.clients.rules.route(&question) {
            Ok(route) if route.is_redirect() => self.tell(self.redirect(&route)),
            Ok(route) => self.splice(route),
            Err(answer) => self.tell(answer),
        }
    }

    fn host(&mut self) -> String {
        let Clients { published, rules, clock, rtmp, .. } = self.clients;
        let snapshot = published.load();
        let now = clock.now();
        let (kind, host) =
            host_for_call(rules, &snapshot, self.address, self.port, now, &mut rand::rng());
        drop(snapshot);
        rtmp.answers.count(kind);
        host
    }
}

impl Splice<'_> {
    /// Plans for another edge than those in `tried`; false: there is none.
    pub(super) fn plan_again(&mut self, clients: &Clients, tried: &[EdgeId]) -> bool {
        let ConnectAnswer::Splice(plan) = clients.lead(&self.route, tried) else { return false };
        self.plan = *plan;
        true
    }
}
