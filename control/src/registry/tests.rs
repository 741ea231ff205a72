//! The registry under a clock of its own: what the tests share.

mod model;
mod orders;
mod restart;
mod silence;
mod streams;

use std::net::{IpAddr, Ipv4Addr};

use tidegate_proto::heartbeat::{Load, Status, Trouble};

use super::*;
use crate::{
    order::{Order, Principal, Refused, Request, Verb, Weight, Weighting},
    snapshot::{AdminState, EdgeView, Mode},
    store::{OrderRow, Seen},
};

/// A registry under a clock of its own.
struct World {
    registry: Registry,
    now: Now,
    session: u8,
    sequence: u64,
}

impl World {
    fn new() -> Self {
        Self::remembering(&Memory::default())
    }

    fn remembering(memory: &Memory) -> Self {
        let now = Now { monotonic: Duration::from_secs(1_000), unix_ms: 1_700_000_000_000 };
        let registry = Registry::restore(Patience::default(), memory, now);
        Self { registry, now, session: 1, sequence: 0 }
    }

    fn report(&mut self, n: u8) -> Report {
        self.sequence += 1;
        Report {
            edge: id(n),
            session: SessionId([self.session; 16]),
            sequence: self.sequence,
            goodbye: false,
            heartbeat: Heartbeat {
                name: format!("edge-{n}").parse().ok(),
                load: Load { viewers: Some(5), ..Load::default() },
                ..Heartbeat::default()
            },
            source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)),
        }
    }

    fn hear_with(&mut self, n: u8, change: impl FnOnce(&mut Report)) {
        let mut report = self.report(n);
        change(&mut report);
        self.registry.hear(&report, self.now);
    }

    fn hear(&mut self, n: u8) {
        self.hear_with(n, |_| {});
    }

    /// Lets time pass while the given edges send heartbeats.
    fn pass(&mut self, time: Duration, heard: &[u8]) {
        let step = Duration::from_millis(250);
        for tick in 0..time.as_millis() / step.as_millis() {
            self.now.monotonic += step;
            self.now.unix_ms += step.as_millis() as u64;
            if tick % 10 == 0 {
                heard.iter().for_each(|n| self.hear(*n));
            }
            self.registry.tick(self.now);
        }
    }

    fn up(&mut self, edges: &[u8]) {
        for n in edges {
            self.hear(*n);
            self.hear(*n);
        }
    }

    fn view(&mut self, n: u8) -> Arc<EdgeView> {
        let fleet = self.registry.view(self.now);
        Arc::clone(fleet.get(id(n)).expect("the edge is known"))
    }

    fn liveness(&mut self, n: u8) -> Liveness {
        self.view(n).liveness
    }

    /// Gives an order for edge 1, heard twice before.
    fn order_on_new(&mut self, verb: Verb) {
        self.up(&[1]);
        self.order(verb, "edge-1").expect("it is known");
    }

    fn order(&mut self, verb: Verb, edge: &str) -> Result<Plan, Refused> {
        let plan = self.registry.plan(&request(verb, edge), self.now)?;
        self.registry.apply(&plan);
        Ok(plan)
    }
}

fn id(n: u8) -> EdgeId {
    EdgeId([n; 16])
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn request(verb: Verb, edge: &str) -> Request {
    Request {
        verb,
        edge: edge.into(),
        reason: "test".into(),
        request_id: String::new(),
        etag: String::new(),
        principal: Principal::default(),
    }
}
