//! Every policy, by its name in the configuration: it starts, steers, and does what it is for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidegate_control::selection::Policy;
use tidegate_proto::key::format_fleet_key;
use tidegate_tests::{
    programs::{
        Agent, AgentSetup, Figures, Redirector, redirector_that_ends, target_line, write_secret,
    },
    scene::{Scene, sent_to},
    wait::{SOON, eventually},
};

/// Nobody listens there.
const FIRST_PORT: u16 = 18_200;

#[test]
fn every_policy_starts_steers_and_spreads() {
    for policy in Policy::ALL {
        let redirector = Redirector::start_with(&[("selection-policy", policy.as_str())]);
        let scene = Scene::around(redirector, &["edge-1", "edge-2", "edge-3"]);
        let order = serde_json::json!({"edge": "edge-3"});
        scene.redirector.grpcurl().fleet("DrainEdge", &order).expect("drained");
        let target = |client| format!("/live/cam-{client}/playlist.m3u8?token={client}");
        let chosen: BTreeSet<_> =
            (0..60).map(|client| sent_to(&scene.redirector.get(&target(client)))).collect();
        let chosen: Vec<_> = chosen.iter().map(String::as_str).collect();
        assert_eq!(chosen, ["edge-1", "edge-2"], "{policy}");
    }
}

#[test]
fn a_policy_that_is_unknown_is_exit_64_with_those_that_are_known() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let keys = home.path().join("keys");
    let key = tidegate_proto::seal::FleetKey::random();
    write_secret(&keys, &format_fleet_key(&key));
    let (keys, data) = (keys.display().to_string(), home.path().join("data").display().to_string());
    let flags = ["--check", "--heartbeat-keys-file", &keys, "--data-dir", &data];
    for wrong in ["best", "Fill", "fill,least", ""] {
        let policy = format!("--selection-policy={wrong}");
        let ran = redirector_that_ends(&[flags.as_slice(), &[&policy]].concat());
        assert_eq!(ran.code, Some(64), "{wrong:?}: {ran:?}");
        assert!(ran.err.contains("selection.policy"), "{}", ran.err);
        for known in Policy::ALL {
            assert!(ran.err.contains(known.as_str()), "{known} is not in: {}", ran.err);
        }
    }
    let right = redirector_that_ends(&[flags.as_slice(), &["--selection-policy=p2c"]].concat());
    assert_eq!(right.code, Some(0), "{right:?}");
}

/// Real agents, and who was sent to each of them to watch what.
struct Fleet {
    redirector: Redirector,
    agents: Vec<Agent>,
    watched: Vec<BTreeMap<String, u32>>,
}

impl Fleet {
    fn start(policy: &str, edges: u16) -> Self {
        let redirector = Redirector::start_with(&[("selection-policy", policy)]);
        let target = target_line(redirector.ports().heartbeat, &format_fleet_key(redirector.key()));
        let start = |edge: u16| {
            let setup = AgentSetup::new(&format!("edge-{edge}"), FIRST_PORT + edge);
            Agent::start_as(&setup, &target)
        };
        let agents: Vec<_> = (0..edges).map(start).collect();
        for edge in 0..edges {
            redirector.until_liveness(&format!("edge-{edge}"), "UP");
        }
        let watched = vec![BTreeMap::new(); agents.len()];
        Self { redirector, agents, watched }
    }

    /// So many viewers come for a stream, and stay; the edges they were sent to.
    fn viewers(&mut self, stream: &str, count: u32) -> BTreeSet<usize> {
        let mut hosts = BTreeSet::new();
        for viewer in 0..count {
            let reply = self.redirector.get(&format!("/{stream}/playlist.m3u8?viewer={viewer}"));
            let edge = (0..self.agents.len()).find(|edge| {
                let port = usize::from(FIRST_PORT) + edge;
                reply.location().starts_with(&format!("http://127.0.0.1:{port}/"))
            });
            let edge = edge.unwrap_or_else(|| panic!("{reply:?}"));
            *self.watched[edge].entry(stream.to_owned()).or_default() += 1;
            hosts.insert(edge);
        }
        hosts
    }

    /// Every edge tells who watches there, and the redirector has heard it.
    fn tell(&self) {
        for (agent, watched) in self.agents.iter().zip(&self.watched) {
            agent.set_figures(&Figures::of_streams(watched.clone()));
        }
        for (edge, watched) in self.watched.iter().enumerate() {
            let viewers: u32 = watched.values().sum();
            self.redirector.until(&format!("edge-{edge}"), "at what it carries", |edge| {
                edge["load"]["viewers"] == viewers
            });
        }
    }
}

#[test]
fn under_sticky_the_viewers_of_a_stream_stay_on_few_edges_and_streams_are_spread() {
    let mut fleet = Fleet::start("sticky", 8);
    let first = fleet.viewers("live/one", 120);
    assert!(first.len() <= 2, "{first:?}");
    fleet.tell();
    // Long enough for every redirect that the redirector itself remembers to be forgotten: from here
    // on it knows the hosts by their reports alone.
    let told = std::time::Instant::now();
    eventually(SOON, "only reports know the hosts", || {
        if told.elapsed() > Duration::from_secs(6) { Ok(()) } else { Err("too early".into()) }
    });
    let later = fleet.viewers("live/one", 60);
    assert!(later.is_subset(&first), "{later:?} are not among {first:?}");
    let mut used = BTreeSet::new();
    for stream in 0..40 {
        let hosts = fleet.viewers(&format!("live/cam-{stream}"), 4);
        assert!(hosts.len() <= 2, "cam-{stream}: {hosts:?}");
        used.extend(hosts);
    }
    assert!(used.len() >= 5, "40 streams are on {used:?} only");
}

#[test]
fn under_fill_the_viewers_of_a_stream_are_spread_over_all_edges() {
    let mut fleet = Fleet::start("fill", 8);
    assert_eq!(fleet.viewers("live/one", 200).len(), 8);
}
