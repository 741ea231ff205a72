//! Choosing an edge: pure, from a fleet's view, the time and a source of randomness.
//!
//! The policy is `least`: the lowest share of capacity in use, counting the redirects that no
//! report can have seen yet, ties at random. An edge that reports neither viewers nor bandwidth is
//! taken only when no measured edge can be.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use rand::{Rng, RngExt};
use tidegate_proto::edge::{EdgeId, Host, Scheme};

use crate::{
    publish::Snapshot,
    snapshot::{EdgeView, FleetView, Mode},
};

/// Stands in for a capacity that nobody in the fleet knows.
const NOMINAL_VIEWERS: f64 = 4_000.0;
const NOMINAL_BANDWIDTH_BPS: f64 = 10e9;
/// Stands in for one viewer's bandwidth where no edge reports both figures: HD video.
const NOMINAL_VIEWER_BPS: f64 = 4e6;

/// What a client needs of an edge.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The scheme it is to be sent with; `None`: only a host is asked for, any edge will do.
    pub scheme: Option<Scheme>,
    /// The port for edges that list no endpoints: the one the client reached us on.
    pub port: u16,
    /// The port to use whatever the edge lists.
    pub port_override: Option<u16>,
    /// Where this redirector itself listens: no answer may lead back to it.
    pub own: &'a HashSet<(IpAddr, u16)>,
    /// Edges that have failed this client already.
    pub tried: &'a [EdgeId],
    /// What it asks for, see [`stream_of`](crate::selection::stream_of): an HTTP path, or an RTMP
    /// application with the stream where that is known; empty: unknown.
    pub path: &'a str,
    /// Who asks, behind the proxies that are believed; `None`: unknown, or of no zone.
    pub client: Option<IpAddr>,
    /// Whether an edge above `overflow_at` is not to be chosen, because another place can serve.
    pub has_overflow: bool,
}

impl<'a> Wanted<'a> {
    /// A client of whom nothing more is known than what it speaks and where it reached us.
    #[must_use]
    pub fn new(scheme: Option<Scheme>, port: u16, own: &'a HashSet<(IpAddr, u16)>) -> Self {
        Self {
            scheme,
            port,
            port_override: None,
            own,
            tried: &[],
            path: "",
            client: None,
            has_overflow: false,
        }
    }
}

/// An edge and how to reach it.
#[derive(Debug, Clone)]
pub struct Picked {
    /// The edge.
    pub edge: Arc<EdgeView>,
    /// The scheme to use; `http` where none was asked for.
    pub scheme: Scheme,
    /// The port to use.
    pub port: u16,
}

/// Why there is no edge. The name is the reason code clients and metrics see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoEdge {
    /// No edge is known.
    EmptyFleet,
    /// Every known edge is drained or paused.
    AllDrained,
    /// Edges are known, but none is healthy.
    NoneHealthy,
    /// Healthy edges exist, but none serves what the client needs.
    NoEndpoint,
    /// Edges could serve the client, but none carries the labels demanded.
    NoLabel,
    /// Every edge that could serve is full, and another place can serve.
    Full,
}

impl NoEdge {
    /// Every reason, in the order of the enum.
    pub const ALL: [Self; 6] = [
        Self::EmptyFleet,
        Self::AllDrained,
        Self::NoneHealthy,
        Self::NoEndpoint,
        Self::NoLabel,
        Self::Full,
    ];

    /// The reason code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::EmptyFleet => "empty_fleet",
            Self::AllDrained => "all_drained",
            Self::NoneHealthy => "none_healthy",
            Self::NoEndpoint => "no_endpoint",
            Self::NoLabel => "no_label",
            Self::Full => "full",
        }
    }
}

/// Chooses an edge and counts the redirect. The caller holds the snapshot's guard until its answer
/// is made.
pub fn pick(
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    now: Duration,
    random: &mut impl Rng,
) -> Result<Picked, NoEdge> {
    let fleet = &*snapshot.fleet;
    // Only a drain given since the draw can make a round fail, so rounds are few; the bound keeps
    // the loop honest.
    for _ in 0..=fleet.eligible.len() + fleet.fallback.len() {
        let Some(drawn) = draw(fleet, wanted, now, random) else { break };
        if !drawn.edge.cell.is_drained() {
            drawn.edge.cell.hand_out();
            return Ok(drawn.picked());
        }
    }
    Err(explain(fleet, now))
}

/// Up to `count` further edges for the same client, least loaded first. Counts nothing.
#[must_use]
pub fn alternates(
    snapshot: &Snapshot,
    wanted: &Wanted<'_>,
    now: Duration,
    picked: &Picked,
    count: usize,
) -> Vec<Picked> {
    let fleet = &*snapshot.fleet;
    let mut others: Vec<_> = reachable(fleet, &fleet.eligible, wanted, now)
        .filter(|other| other.edge.id != picked.edge.id)
        .map(|other| (rank(fleet, other.edge), other))
        .collect();
    others.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    others.into_iter().take(count).map(|(_, other)| other.picked()).collect()
}

/// An edge that could serve the client. A pick looks at many, so it borrows.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    edge: &'a Arc<EdgeView>,
    scheme: Scheme,
    port: u16,
}

impl Candidate<'_> {
    fn picked(self) -> Picked {
        Picked { edge: Arc::clone(self.edge), scheme: self.scheme, port: self.port }
    }
}

fn draw<'a>(
    fleet: &'a FleetView,
    wanted: &'a Wanted<'_>,
    now: Duration,
    random: &mut impl Rng,
) -> Option<Candidate<'a>> {
    least(fleet, &fleet.eligible, wanted, now, random)
        .or_else(|| least(fleet, &fleet.fallback, wanted, now, random))
}

/// One pass; among equals each is kept with the same chance (reservoir of one).
fn least<'a>(
    fleet: &'a FleetView,
    places: &'a [usize],
    wanted: &'a Wanted<'_>,
    now: Duration,
    random: &mut impl Rng,
) -> Option<Candidate<'a>> {
    let mut best: Option<(Rank, Candidate<'_>)> = None;
    let mut ties = 1u32;
    for candidate in reachable(fleet, places, wanted, now) {
        let candidate_rank = rank(fleet, candidate.edge);
        match &best {
            Some((rank, _)) if candidate_rank > *rank => continue,
            Some((rank, _)) if candidate_rank == *rank => {
                ties += 1;
                if random.random_range(0..ties) > 0 {
                    continue;
                }
            }
            _ => ties = 1,
        }
        best = Some((candidate_rank, candidate));
    }
    best.map(|(_, candidate)| candidate)
}

fn reachable<'a>(
    fleet: &'a FleetView,
    places: &'a [usize],
    wanted: &'a Wanted<'_>,
    now: Duration,
) -> impl Iterator<Item = Candidate<'a>> + 'a {
    places
        .iter()
        .filter_map(|place| fleet.edges.get(*place))
        .filter(move |edge| is_fresh(fleet, edge, now) && !edge.cell.is_drained())
        .filter(|edge| !wanted.tried.contains(&edge.id))
        .filter_map(|edge| reach(edge, wanted))
}

/// Freshness is compared here too, so a stalled writer cannot keep a dead edge alive.
fn is_fresh(fleet: &FleetView, edge: &EdgeView, now: Duration) -> bool {
    fleet.mode == Mode::Panic || now <= edge.fresh_until
}

/// How the client would reach the edge, if it can at all.
fn reach<'a>(edge: &'a Arc<EdgeView>, wanted: &Wanted<'_>) -> Option<Candidate<'a>> {
    let (scheme, port) = match wanted.scheme {
        None => (Scheme::Http, edge.endpoints.first().map_or(wanted.port, |e| e.port.get())),
        Some(scheme) => (scheme, endpoint_port(edge, scheme, wanted.port)?),
    };
    let port = wanted.port_override.unwrap_or(port);
    let leads_back = match &edge.redirect_address {
        Host::Address(address) => {
            wanted.scheme.is_some() && wanted.own.contains(&(address.to_canonical(), port))
        }
        Host::Name(_) => false,
    };
    (!leads_back).then_some(Candidate { edge, scheme, port })
}

/// An edge that lists endpoints serves those alone. RTMPT is RTMP's port with HTTP around it, so
/// it may use that; what is encrypted never falls to plain.
fn endpoint_port(edge: &EdgeView, scheme: Scheme, default: u16) -> Option<u16> {
    if edge.endpoints.is_empty() {
        return Some(default);
    }
    let listed = |scheme| edge.endpoints.iter().find(|endpoint| endpoint.scheme == scheme);
    let endpoint = match scheme {
        Scheme::Rtmpt => listed(Scheme::Rtmpt).or_else(|| listed(Scheme::Rtmp)),
        Scheme::Rtmpts => listed(Scheme::Rtmpts).or_else(|| listed(Scheme::Rtmps)),
        other => listed(other),
    };
    endpoint.map(|endpoint| endpoint.port.get())
}

/// Orders candidates: measured before unmeasured, then by share of capacity in use, or by
/// redirects handed out where nothing is measured.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Rank {
    unmeasured: bool,
    share: f64,
}

fn rank(fleet: &FleetView, edge: &EdgeView) -> Rank {
    match share_in_use(fleet, edge) {
        Some(share) => Rank { unmeasured: false, share },
        None => Rank { unmeasured: true, share: edge.pending() as f64 / edge.weight },
    }
}

/// The worst resource's share, with pending redirects counted as viewers that have come.
fn share_in_use(fleet: &FleetView, edge: &EdgeView) -> Option<f64> {
    let load = if fleet.mode == Mode::Panic { &fleet.estimates.load } else { &edge.load };
    let estimates = &fleet.estimates;
    let pending = edge.pending() as f64;
    let viewer_bps = estimates.viewer_bps.unwrap_or(NOMINAL_VIEWER_BPS);
    let viewers = load.viewers.map(|viewers| f64::from(viewers) + pending);
    let bandwidth = load.bandwidth_out_bps.map(|bps| bps as f64 + pending * viewer_bps);

    let viewers_capacity = edge.capacity.viewers.map(f64::from).or(estimates.viewers);
    let bandwidth_capacity =
        edge.capacity.bandwidth_bps.map(|bps| bps as f64).or(estimates.bandwidth_bps);
    let worst = [share(viewers, viewers_capacity), share(bandwidth, bandwidth_capacity)]
        .into_iter()
        .flatten()
        .reduce(f64::max);
    // A resource whose capacity nobody knows is compared only where there is no other.
    worst
        .or_else(|| share(viewers, Some(NOMINAL_VIEWERS)))
        .or_else(|| share(bandwidth, Some(NOMINAL_BANDWIDTH_BPS)))
        .map(|share| share / edge.weight)
}

fn share(used: Option<f64>, capacity: Option<f64>) -> Option<f64> {
    Some(used? / capacity?)
}

fn explain(fleet: &FleetView, now: Duration) -> NoEdge {
    if fleet.edges.is_empty() {
        return NoEdge::EmptyFleet;
    }
    if fleet.edges.iter().all(|edge| edge.cell.is_drained() || edge.paused) {
        return NoEdge::AllDrained;
    }
    let any = |places: &[usize]| {
        places
            .iter()
            .filter_map(|place| fleet.edges.get(*place))
            .any(|edge| is_fresh(fleet, edge, now) && !edge.cell.is_drained())
    };
    if any(&fleet.eligible) || any(&fleet.fallback) {
        NoEdge::NoEndpoint
    } else {
        NoEdge::NoneHealthy
    }
}

#[cfg(test)]
mod tests;
