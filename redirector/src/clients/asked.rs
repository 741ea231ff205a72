//! One RTMP client and what it is told: the judge of its session, whatever carries that.

use std::net::IpAddr;

use tidegate_control::pick::Picked;
use tidegate_proto::edge::{EdgeId, Scheme};
use tokio::sync::OwnedSemaphorePermit;

use super::{Clients, figures::SpliceFault};
use crate::{
    answer::connect::{ConnectAnswer, ConnectQuestion, Route, SplicePlan, host_for_call},
    rtmp::{Connect, Judge, Verdict},
};

/// A client and how it came.
pub(super) struct Asked<'a> {
    pub(super) clients: &'a Clients,
    pub(super) client: IpAddr,
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

impl<'a> Asked<'a> {
    pub(super) fn new(clients: &'a Clients, client: IpAddr, scheme: Scheme, port: u16) -> Self {
        Self { clients, client, scheme, port, splice: None }
    }

    fn answer(&self, connect: &Connect) -> (ConnectAnswer, Option<Route<'a>>) {
        let question = ConnectQuestion {
            app: &connect.app,
            tc_url: &connect.tc_url,
            caps_ex: connect.caps_ex,
            client: self.client,
            scheme: self.scheme,
            port: self.port,
        };
        match self.clients.rules.route(&question) {
            Ok(route) => (self.lead(&route), Some(route)),
            Err(answer) => (answer, None),
        }
    }

    fn lead(&self, route: &Route<'_>) -> ConnectAnswer {
        let clients = self.clients;
        let now = clients.clock.now();
        let (client, app) = (self.client, route.application());
        if route.is_redirect() && !clients.loop_guard.admits(client, app, now.monotonic) {
            return ConnectAnswer::LoopGuard;
        }
        // A drain waits for this guard, so it is held until the answer is made and no longer.
        let snapshot = clients.published.load();
        let answer = route.answer(&clients.rules, &snapshot.fleet, now, &mut rand::rng());
        drop(snapshot);
        if matches!(answer, ConnectAnswer::Redirect { .. } | ConnectAnswer::Reconnect(_)) {
            clients.loop_guard.charge(client, app, now.monotonic);
        }
        answer
    }

    fn splice(&mut self, plan: SplicePlan, route: Option<Route<'a>>) -> Verdict {
        let place = self.clients.splices.try_enter();
        let (Some(place), Some(route)) = (place, route) else {
            self.clients.rtmp.splice_faults.count(SpliceFault::Full);
            return rejection("too many connections are spliced to edges already; try again later");
        };
        self.splice = Some(Splice { plan, route, _place: place });
        Verdict::Splice
    }
}

impl Judge for Asked<'_> {
    fn connect(&mut self, connect: &Connect) -> Verdict {
        let (answer, route) = self.answer(connect);
        self.clients.rtmp.answers.count(answer.kind());
        let description = answer.description().unwrap_or_default();
        match answer {
            ConnectAnswer::Redirect { url, .. } => {
                Verdict::Reject { redirect: Some(url), description }
            }
            ConnectAnswer::Accept => Verdict::Accept { reconnect: None },
            ConnectAnswer::Reconnect(url) => Verdict::Accept { reconnect: Some(url) },
            ConnectAnswer::Splice(plan) => self.splice(*plan, route),
            _ => Verdict::Reject { redirect: None, description },
        }
    }

    fn host(&mut self) -> String {
        let clients = self.clients;
        let now = clients.clock.now();
        let snapshot = clients.published.load();
        let (kind, host) =
            host_for_call(&clients.rules, &snapshot.fleet, self.port, now, &mut rand::rng());
        drop(snapshot);
        clients.rtmp.answers.count(kind);
        host
    }
}

impl Splice<'_> {
    /// Plans for another edge than those in `tried`. `None`: there is none.
    pub(super) fn plan_again(&mut self, clients: &Clients, tried: &[EdgeId]) -> Option<()> {
        let now = clients.clock.now();
        let snapshot = clients.published.load();
        let answer = self.route.answer_without(
            tried,
            &clients.rules,
            &snapshot.fleet,
            now,
            &mut rand::rng(),
        );
        drop(snapshot);
        let ConnectAnswer::Splice(plan) = answer else { return None };
        self.plan = *plan;
        Some(())
    }

    /// The edge.
    pub(super) fn picked(&self) -> &Picked {
        &self.plan.picked
    }
}

fn rejection(description: &str) -> Verdict {
    Verdict::Reject { redirect: None, description: description.to_owned() }
}
