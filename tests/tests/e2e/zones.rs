//! Clients of a network go to the edges of its zone, and to the next zone while those are full.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_proto::edge::Capacity;
use tidegate_tests::{
    edge::{LiveEdges, SimulatedEdge},
    http,
    programs::Redirector,
    scene::sent_to,
    wait::{SOON, eventually},
};

const ZONES: &str = r#"
[[selection.zone]]
name = "north"
networks = ["10.1.0.0/16", "2001:db8:1::/48"]
next = ["south"]
[[selection.zone]]
name = "south"
networks = ["10.2.0.0/16", "127.0.0.0/8"]
"#;
const TRUSTING: &str = "[client]\ntrusted_proxies = [\"127.0.0.1/32\"]\n";

/// Edges by name, each in a zone.
const EDGES: [(&str, &str); 4] =
    [("n-1", "north"), ("n-2", "north"), ("s-1", "south"), ("s-2", "south")];

struct Site {
    redirector: Redirector,
    edges: LiveEdges,
}

impl Site {
    fn start(toml: &str) -> Self {
        let redirector = Redirector::start_configured(toml, &[]);
        let edge = |(name, zone): (&str, &str)| {
            let mut edge = SimulatedEdge::new(redirector.key(), name);
            edge.heartbeat.labels = [("zone".to_owned(), zone.to_owned())].into();
            edge.heartbeat.capacity = Capacity { viewers: Some(1_000), bandwidth_bps: None };
            edge
        };
        let edges = LiveEdges::start(EDGES.map(edge).into(), redirector.ports().heartbeat);
        for (name, _) in EDGES {
            redirector.until_liveness(name, "UP");
        }
        Self { redirector, edges }
    }

    /// Where 40 clients are sent that a proxy says come from `client`.
    fn edges_for(&self, client: &str) -> BTreeSet<String> {
        let ask = |_| {
            let headers = [("X-Forwarded-For", client)];
            sent_to(&http::request(self.redirector.ports().client, "GET", "/live/a", &headers))
        };
        (0..40).map(ask).collect()
    }

    /// Gives edges so many viewers.
    fn fill(&self, viewers: &BTreeMap<&str, u32>) {
        self.edges.with(|edges| {
            for edge in edges.iter_mut() {
                let name = edge.heartbeat.name.as_ref().expect("named").to_string();
                if let Some(viewers) = viewers.get(name.as_str()) {
                    edge.heartbeat.load.viewers = Some(*viewers);
                }
            }
        });
    }

    fn until_sent(&self, client: &str, edges: &[&str]) {
        eventually(SOON, &format!("{client} is sent to {edges:?}"), || {
            let chosen = self.edges_for(client);
            if chosen.iter().eq(edges.iter()) { Ok(()) } else { Err(format!("{chosen:?}")) }
        });
    }
}

#[test]
fn a_client_goes_to_the_edges_of_its_networks_zone() {
    let site = Site::start(&format!("{TRUSTING}{ZONES}"));
    site.until_sent("10.1.2.3", &["n-1", "n-2"]);
    site.until_sent("2001:db8:1::7", &["n-1", "n-2"]);
    site.until_sent("10.2.2.3", &["s-1", "s-2"]);
    site.until_sent("192.0.2.1", &["n-1", "n-2", "s-1", "s-2"]);
}

#[test]
fn a_full_zone_spills_to_the_next_one_and_takes_its_clients_back() {
    let site = Site::start(&format!("{TRUSTING}{ZONES}"));
    site.until_sent("10.1.2.3", &["n-1", "n-2"]);
    site.fill(&[("n-1", 900), ("n-2", 900)].into());
    site.until_sent("10.1.2.3", &["s-1", "s-2"]);
    site.fill(&[("n-1", 100), ("n-2", 100)].into());
    site.until_sent("10.1.2.3", &["n-1", "n-2"]);
}

#[test]
fn a_zone_whose_edges_are_drained_is_stood_in_for() {
    let site = Site::start(&format!("{TRUSTING}{ZONES}"));
    for edge in ["n-1", "n-2"] {
        let order = serde_json::json!({"edge": edge});
        site.redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
    }
    for _ in 0..3 {
        let chosen = site.edges_for("10.1.2.3");
        assert!(chosen.iter().all(|edge| edge.starts_with("s-")), "{chosen:?}");
    }
}

#[test]
fn what_a_stranger_says_of_its_address_changes_nothing() {
    let site = Site::start(ZONES);
    for said in ["10.1.2.3", "127.0.0.1", "nonsense", "10.1.2.3, 10.1.2.4"] {
        site.until_sent(said, &["s-1", "s-2"]);
        let chosen = site.edges_for(said);
        assert!(chosen.iter().all(|edge| edge.starts_with("s-")), "{said}: {chosen:?}");
    }
}

#[test]
fn the_client_behind_several_proxies_is_the_last_that_no_trusted_one_is() {
    let site = Site::start(&format!("{TRUSTING}{ZONES}"));
    // The first address is what the client itself claimed, the last what our proxy saw.
    site.until_sent("10.2.2.3, 10.1.2.3", &["n-1", "n-2"]);
    site.until_sent("10.1.2.3, 10.2.2.3, 127.0.0.1", &["s-1", "s-2"]);
}
