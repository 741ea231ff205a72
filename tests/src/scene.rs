//! The usual beginning of a test: a real redirector and simulated edges that it serves.

use crate::{
    edge::{LiveEdges, SimulatedEdge},
    http::Reply,
    media::nginx::Nginx,
    programs::Redirector,
};

/// A redirector and its edges.
#[derive(Debug)]
pub struct Scene {
    /// The edges; they send until they are dropped.
    pub edges: LiveEdges,
    /// The redirector.
    pub redirector: Redirector,
}

impl Scene {
    /// A redirector with the defaults, and one UP edge of each name.
    #[track_caller]
    pub fn of(names: &[&str]) -> Self {
        Self::around(Redirector::start(), names)
    }

    /// The same with a redirector that runs already.
    #[track_caller]
    pub fn around(redirector: Redirector, names: &[&str]) -> Self {
        let edges = names.iter().map(|name| SimulatedEdge::new(redirector.key(), name)).collect();
        Self::with_edges(redirector, edges)
    }

    /// A redirector that runs already, and edges that stand for real servers.
    #[track_caller]
    pub fn with_servers(redirector: Redirector, servers: &[(&str, &Nginx)]) -> Self {
        let edge = |(name, server): &(&str, &Nginx)| {
            SimulatedEdge::new(redirector.key(), name).at("127.0.0.1", &server.endpoints())
        };
        let edges = servers.iter().map(edge).collect();
        Self::with_edges(redirector, edges)
    }

    #[track_caller]
    fn with_edges(redirector: Redirector, edges: Vec<SimulatedEdge>) -> Self {
        let names: Vec<_> = edges.iter().filter_map(|edge| edge.heartbeat.name.clone()).collect();
        let edges = LiveEdges::start(edges, redirector.ports().heartbeat);
        for name in names {
            redirector.until(name.as_str(), "UP and eligible", |edge| {
                edge["liveness"] == "LIVENESS_UP" && edge["eligible"] == true
            });
        }
        Self { edges, redirector }
    }

    /// SIGKILL and a new start; the edges follow it to its new port.
    #[track_caller]
    pub fn kill_and_start_again(&mut self) {
        self.redirector.kill();
        self.redirector.start_again();
        self.edges.follow(self.redirector.ports().heartbeat);
    }
}

/// The name of the edge that a redirect of the front page leads to.
#[track_caller]
pub fn sent_to(reply: &Reply) -> String {
    assert_eq!(reply.status, 302, "{reply:?}");
    edge_of(reply.location()).to_owned()
}

/// The name of the simulated edge in a URL.
#[track_caller]
pub fn edge_of(url: &str) -> &str {
    url.strip_prefix("http://")
        .and_then(|rest| rest.split_once(".example:8080"))
        .map(|(name, _)| name)
        .unwrap_or_else(|| panic!("{url} names no simulated edge"))
}
