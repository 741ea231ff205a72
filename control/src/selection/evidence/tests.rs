use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

use rand::{SeedableRng, rngs::SmallRng};
use tidegate_proto::heartbeat::Load;

use super::*;
use crate::{
    admin::sample,
    pick::{Wanted, pick},
    publish::Snapshot,
    selection::{Planner, Selection},
};

fn fleet(edges: u8) -> FleetView {
    let edge = |n| EdgeView {
        load: Load { viewers: Some(100), ..Load::default() },
        ..sample::edge(n, &format!("edge-{n}"))
    };
    FleetView {
        edges: (0..edges).map(|n| Arc::new(edge(n))).collect(),
        eligible: (0..usize::from(edges)).collect(),
        ..FleetView::default()
    }
}

/// The host `host` of network `network`.
fn client(network: u16, host: u8) -> IpAddr {
    let [high, low] = network.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, high, low, host))
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sends a client to an edge and lets it say that the edge failed.
fn fail(
    evidence: &Evidence,
    fleet: &FleetView,
    place: usize,
    client: IpAddr,
    now: Duration,
) -> Vote {
    let edge = &fleet.edges[place];
    evidence.sent(client, edge.id, now);
    evidence.vote(client, edge, now)
}

/// Enough networks vote against an edge. They are different ones for each edge.
fn fail_by_many(evidence: &Evidence, fleet: &FleetView, place: usize, now: Duration) {
    for n in 0..3 {
        let network = u16::try_from(place * 8 + n).expect("few edges");
        assert_eq!(fail(evidence, fleet, place, client(network, 1), now), Vote::Accepted);
    }
}

fn count(evidence: &Evidence, vote: Vote) -> u64 {
    evidence.figures().find(|(name, _)| *name == vote.as_str()).expect("it is counted").1
}

#[test]
fn three_networks_take_an_edge_out_until_its_next_report() {
    let (evidence, mut fleet) = (Evidence::new(), fleet(3));
    let now = at(10_500);
    for n in 0..2 {
        assert_eq!(fail(&evidence, &fleet, 1, client(n, 1), now), Vote::Accepted);
    }
    assert!(evidence.out(&fleet).is_empty(), "two are not enough");
    assert_eq!(fail(&evidence, &fleet, 1, client(2, 1), now), Vote::Accepted);
    assert_eq!((evidence.out(&fleet), evidence.edges_out()), (vec![1], 1));
    let reported = |heard| {
        let edge = EdgeView { heard, ..(*fleet.edges[1]).clone() };
        let mut fleet = fleet.clone();
        fleet.edges[1] = Arc::new(edge);
        fleet
    };
    assert_eq!(evidence.out(&reported(at(10_499))), [1], "a report from before the votes");
    assert_eq!(evidence.out(&reported(at(10_500))), [1], "or of the same moment");
    fleet = reported(at(10_501));
    assert!(evidence.out(&fleet).is_empty());
    assert_eq!(evidence.edges_out(), 0);
}

#[test]
fn a_busy_edge_needs_half_a_percent_of_its_viewers() {
    let evidence = Evidence::new();
    let mut fleet = fleet(2);
    let load = Load { viewers: Some(801), ..Load::default() };
    fleet.edges[0] = Arc::new(EdgeView { load, ..(*fleet.edges[0]).clone() });
    for n in 0..5 {
        assert!(evidence.out(&fleet).is_empty(), "{n} votes");
        fail(&evidence, &fleet, 0, client(n, 1), at(10_500));
    }
    assert_eq!(evidence.out(&fleet), [0]);
}

#[test]
fn a_network_with_many_addresses_has_one_vote_in_a_window() {
    let (evidence, fleet) = (Evidence::new(), fleet(3));
    let votes: Vec<_> =
        (0..=255).map(|host| fail(&evidence, &fleet, 0, client(7, host), at(10_500))).collect();
    assert_eq!(votes.iter().filter(|vote| **vote == Vote::Accepted).count(), 1);
    assert_eq!((count(&evidence, Vote::Accepted), count(&evidence, Vote::Again)), (1, 255));
    assert!(evidence.out(&fleet).is_empty());
    // Nor against another edge, and its votes of several windows are not added up.
    assert_eq!(fail(&evidence, &fleet, 1, client(7, 9), at(10_500)), Vote::Again);
    for window in 6..20 {
        let vote = fail(&evidence, &fleet, 0, client(7, 9), at(window * 2_000));
        assert_eq!(vote, Vote::Accepted);
    }
    assert!(evidence.out(&fleet).is_empty());
}

#[test]
fn of_ipv6_a_56_is_one_network_and_ipv4_inside_it_is_ipv4() {
    let (evidence, fleet) = (Evidence::new(), fleet(3));
    for (client, expected) in [
        ("2001:db8:0:100::1", Vote::Accepted),
        ("2001:db8:0:1ff::2", Vote::Again),
        ("2001:db8:0:200::1", Vote::Accepted),
        ("10.1.2.3", Vote::Accepted),
        ("::ffff:10.1.2.4", Vote::Again),
    ] {
        let client = client.parse().expect("an address");
        assert_eq!(fail(&evidence, &fleet, 0, client, at(10_500)), expected, "{client}");
    }
}

#[test]
fn who_was_not_sent_to_an_edge_of_late_has_no_vote_against_it() {
    let (evidence, fleet) = (Evidence::new(), fleet(3));
    let now = at(10_000);
    for n in 0..50 {
        assert_eq!(evidence.vote(client(n, 1), &fleet.edges[0], now), Vote::NotSent);
        evidence.sent(client(n, 1), fleet.edges[1].id, now);
        assert_eq!(evidence.vote(client(n, 1), &fleet.edges[0], now), Vote::NotSent, "elsewhere");
        let other = client(n, 2);
        assert_eq!(evidence.vote(other, &fleet.edges[1], now), Vote::NotSent, "another client");
    }
    assert!(evidence.out(&fleet).is_empty());
    let last = client(1, 1);
    assert_eq!(evidence.vote(last, &fleet.edges[1], now + at(60_999)), Vote::Accepted);
    assert_eq!(evidence.vote(last, &fleet.edges[1], now + at(62_000)), Vote::NotSent, "too late");
    assert_eq!(count(&evidence, Vote::NotSent), 151);
}

#[test]
fn a_client_is_known_however_its_address_is_written_and_takes_one_place() {
    let (evidence, fleet) = (Evidence::new(), fleet(1));
    let written = |text: &str| text.parse::<IpAddr>().expect("an address");
    for secs in 1..9 {
        evidence.sent(written("10.1.2.3"), fleet.edges[0].id, at(secs * 1_000));
    }
    assert_eq!(evidence.sent.iter().filter(|slot| slot.load(Relaxed) != 0).count(), 1);
    let vote = evidence.vote(written("::ffff:10.1.2.3"), &fleet.edges[0], at(9_000));
    assert_eq!(vote, Vote::Accepted);
}

#[test]
fn what_was_sent_is_as_old_as_it_is_when_the_seconds_wrap() {
    let (evidence, fleet) = (Evidence::new(), fleet(1));
    let wraps = Duration::from_secs(SECONDS_MASK + 1);
    evidence.sent(client(1, 1), fleet.edges[0].id, wraps - at(5_000));
    let vote = |ms| evidence.vote(client(1, 1), &fleet.edges[0], wraps + at(ms));
    assert_eq!((vote(50_000), vote(60_000)), (Vote::Accepted, Vote::NotSent));
}

#[test]
fn votes_for_more_than_a_tenth_of_the_fleet_take_nobody_out() {
    for (edges, most) in [(1, 0), (2, 1), (9, 1), (10, 1), (19, 1), (20, 2), (39, 3)] {
        let (evidence, fleet) = (Evidence::new(), fleet(edges));
        for place in 0..most {
            fail_by_many(&evidence, &fleet, place, at(10_500));
        }
        assert_eq!(evidence.out(&fleet), (0..most).collect::<Vec<_>>(), "{edges} edges");
        fail_by_many(&evidence, &fleet, most, at(10_500));
        assert!(evidence.out(&fleet).is_empty(), "{} of {edges} edges", most + 1);
        assert_eq!(evidence.edges_out(), 0);
    }
}

#[test]
fn an_edge_that_gets_no_viewers_anyway_does_not_count() {
    let (evidence, mut fleet) = (Evidence::new(), fleet(5));
    for place in 0..2 {
        fail_by_many(&evidence, &fleet, place, at(10_500));
    }
    fleet.eligible.remove(0);
    assert_eq!(evidence.out(&fleet), [1]);
}

#[test]
fn more_networks_than_can_be_told_apart_have_no_vote() {
    let (evidence, fleet) = (Evidence::new(), fleet(3));
    for n in 0..=u16::MAX {
        fail(&evidence, &fleet, 0, client(n, 1), at(10_500));
    }
    let accepted = count(&evidence, Vote::Accepted);
    assert!(accepted <= NETWORK_SLOTS as u64, "{accepted}");
    assert_eq!(accepted + count(&evidence, Vote::Crowded), 65_536);
    assert_eq!(
        fail(&evidence, &fleet, 0, client(1, 1), at(12_500)),
        Vote::Accepted,
        "a new window"
    );
}

#[test]
fn many_at_once_have_one_vote_for_their_network() {
    let (evidence, fleet) = (Evidence::new(), fleet(3));
    for round in 0..200 {
        let now = at(round * 2_000);
        let voters = 0..4_u8;
        std::thread::scope(|scope| {
            for host in voters {
                let (evidence, fleet) = (&evidence, &fleet);
                scope.spawn(move || fail(evidence, fleet, 0, client(3, host), now));
            }
        });
    }
    assert_eq!(count(&evidence, Vote::Accepted), 200);
    assert_eq!(count(&evidence, Vote::Again), 600);
}

/// The edges that 200 picks of a snapshot lead to.
fn picked(snapshot: &Snapshot, now: Duration) -> HashSet<u8> {
    let (own, mut random) = (HashSet::new(), SmallRng::seed_from_u64(1));
    let wanted = Wanted::new(None, 80, &own);
    (0..200)
        .map(|_| pick(snapshot, &wanted, now, &mut random).expect("an edge").edge.id.0[0])
        .collect()
}

#[test]
fn an_edge_that_is_voted_out_is_in_no_table_until_it_reports() {
    let evidence = Arc::new(Evidence::new());
    let on = Selection { failure_evidence: Some(Arc::clone(&evidence)), ..Selection::default() };
    let mut planner = Planner::new(Arc::new(on));
    let mut fleet = fleet(4);
    let mut snapshot = |fleet: &FleetView, now| {
        let fleet = Arc::new(fleet.clone());
        let table = Arc::new(planner.plan(&fleet, now));
        Snapshot { fleet, table }
    };
    let now = at(500);
    assert_eq!(picked(&snapshot(&fleet, now), now), HashSet::from([0, 1, 2, 3]));
    fail_by_many(&evidence, &fleet, 2, now);
    assert_eq!(picked(&snapshot(&fleet, now), now), HashSet::from([0, 1, 3]));
    for edge in &mut fleet.edges {
        *edge = Arc::new(EdgeView { heard: at(600), ..(**edge).clone() });
    }
    assert_eq!(picked(&snapshot(&fleet, at(700)), at(700)), HashSet::from([0, 1, 2, 3]));
}
