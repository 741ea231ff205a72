//! What reaches the fleet and what does not, whatever the network does to datagrams.

mod model;
mod sender;

use std::{collections::HashSet, time::Duration};

use tidegate_control::{
    clock::Now,
    store::{BeatRow, Seen},
};
use tidegate_proto::{
    datagram::{Header, Kind, SessionId, parse},
    edge::EdgeId,
    heartbeat::{Ack, Heartbeat, Order},
    seal::FleetKey,
};
use tidegate_redirector::{
    figures::Counters,
    gate::{AllowedHosts, Entropy, Gate, Limits, Reject, Rules, Told},
};

use crate::sender::{
    HOUR_MS, SOURCE, Sender, T0_MS, at, fleet_key, gate, gate_with, hear, reason, ring,
};

#[test]
fn a_heartbeat_becomes_a_report() {
    let (mut gate, mut sender) = (gate(), Sender::new(1, 0));
    let heartbeat = Heartbeat { target_count: 3, ..Heartbeat::default() };
    let datagram = sender.say(&heartbeat, at(0));
    let mapped = "::ffff:192.0.2.7".parse().expect("an address");
    let verdict = gate.admit(&datagram, mapped, at(10));
    assert_eq!(verdict.opened_by, Some(fleet_key().id()));
    assert_eq!(verdict.ack, None);
    let report = verdict.outcome.expect("admitted");
    assert_eq!((report.edge, report.session, report.sequence), (sender.edge, sender.session, 1));
    assert_eq!((report.heartbeat, report.goodbye), (heartbeat, false));
    assert_eq!(report.source, SOURCE, "a mapped address is the IPv4 one");
}

#[test]
fn a_goodbye_says_so() {
    let (mut gate, sender) = (gate(), Sender::new(1, 0));
    let header = Header { kind: Kind::Goodbye, sequence: 1, ..sender.header(at(0)) };
    let datagram = sender.seal(&header, &Heartbeat::default().encode());
    let report = gate.admit(&datagram, SOURCE, at(0)).outcome.expect("admitted");
    assert!(report.goodbye);
}

#[test]
fn a_datagram_counts_once_and_may_come_late() {
    let (mut gate, mut sender) = (gate(), Sender::new(1, 0));
    let [first, second, third] = [0, 1, 2].map(|_| sender.beat(at(0)));
    assert_eq!(hear(&mut gate, &third, at(0)), None);
    assert_eq!(hear(&mut gate, &first, at(0)), None);
    assert_eq!(hear(&mut gate, &second, at(0)), None);
    for datagram in [&first, &second, &third] {
        assert_eq!(hear(&mut gate, datagram, at(1)), Some(Reject::Replayed));
    }
    sender.sequence = 5_000;
    assert_eq!(hear(&mut gate, &sender.beat(at(1)), at(1)), None);
    sender.sequence = 3_000;
    assert_eq!(hear(&mut gate, &sender.beat(at(1)), at(1)), Some(Reject::TooOld));
}

#[test]
fn each_outer_check_has_its_reason_and_changes_nothing() {
    let (mut gate, mut sender) = (gate(), Sender::new(1, 0));
    let good = sender.beat(at(0));
    let changed = |place: usize, byte: u8| {
        let mut changed = good.clone();
        changed[place] = byte;
        changed
    };
    let mut stranger = Sender { key: FleetKey::from_bytes([8; 32]), ..Sender::new(1, 0) };
    let ack = Header { kind: Kind::Ack, ..sender.header(at(0)) };
    for (datagram, expected) in [
        (good[1..].to_vec(), Reject::BadLength),
        (Vec::new(), Reject::BadLength),
        (changed(0, b'X'), Reject::BadMagic),
        (changed(3, 2), Reject::UnknownVersion),
        (changed(4, 9), Reject::UnknownType),
        (changed(5, 128), Reject::ReservedBits),
        (changed(7, 1), Reject::ReservedBits),
        (sender.seal(&ack, &[8, 1]), Reject::UnexpectedType),
        (stranger.beat(at(0)), Reject::UnknownKey),
        (Sender::new(1, 0).beat(at(30_001)), Reject::StaleTime),
        (changed(20, 0), Reject::Forged),
        (changed(80, good[80] ^ 1), Reject::Forged),
    ] {
        let verdict = gate.admit(&datagram, SOURCE, at(0));
        assert_eq!(reason(&verdict), Some(expected));
        assert_eq!((verdict.opened_by, verdict.ack), (None, None), "{expected:?}");
    }
    assert_eq!(gate.session_count(), 0);
    assert_eq!(hear(&mut gate, &good, at(30_000)), None, "the good one still counts");
}

#[test]
fn a_refused_payload_has_used_its_sequence_and_gets_its_ack() {
    let (mut gate, sender) = (gate(), Sender::new(1, 0));
    let header = Header { sequence: 1, want_ack: true, ..sender.header(at(0)) };
    let verdict = gate.admit(&sender.seal(&header, &[0xff]), SOURCE, at(0));
    assert_eq!(reason(&verdict), Some(Reject::Undecodable));
    assert!(verdict.ack.is_some());
    let verdict = gate.admit(&sender.seal(&header, &[0x08, 0x01]), SOURCE, at(0));
    assert_eq!(reason(&verdict), Some(Reject::Replayed));
    assert!(verdict.ack.is_none());
    let second = Header { sequence: 2, ..header };
    let verdict = gate.admit(&sender.seal(&second, &[0x08, 0x63]), SOURCE, at(0));
    assert_eq!(reason(&verdict), Some(Reject::BadStatus));
}

#[test]
fn an_edge_may_announce_allowed_hosts_only() {
    let hosts = AllowedHosts::parse(&["example.com", "192.0.2.0/24"]).expect("entries");
    let mut gate = gate_with(Rules { hosts, ..Rules::default() });
    let mut sender = Sender::new(1, 0);
    let mut announce = |host: Option<&str>| {
        let redirect_address = host.map(|host| host.parse().expect("a host"));
        let heartbeat = Heartbeat { redirect_address, ..Heartbeat::default() };
        hear(&mut gate, &sender.say(&heartbeat, at(0)), at(0))
    };
    assert_eq!(announce(Some("edge.example.com")), None);
    assert_eq!(announce(None), None, "the source is in an allowed network");
    assert_eq!(announce(Some("evil.net")), Some(Reject::HostNotAllowed));
    assert_eq!(announce(Some("10.0.0.1")), Some(Reject::HostNotAllowed));
}

#[test]
fn a_restarted_agent_takes_over_and_its_old_session_is_stale() {
    let mut gate = gate();
    let (mut before, mut after) = (Sender::new(1, 0), Sender::new(1, 5_000));
    let late = before.beat(at(4_000));
    assert_eq!(hear(&mut gate, &before.beat(at(4_500)), at(4_500)), None);
    assert_eq!(hear(&mut gate, &after.beat(at(5_000)), at(5_000)), None);
    assert_eq!(hear(&mut gate, &late, at(5_100)), Some(Reject::StaleSession));
    assert_eq!(hear(&mut gate, &after.beat(at(5_200)), at(5_200)), None);
    assert_eq!(gate.session_count(), 1);
}

#[test]
fn of_two_agents_with_one_id_the_newer_counts_and_the_other_is_told_apart() {
    let mut gate = gate();
    let (mut older, mut newer) = (Sender::new(1, 0), Sender::new(1, 1_000));
    newer.session = SessionId::new(T0_MS + 1_000, [99; 8]);
    for round in 1..4 {
        let now = at(round * 2_500);
        assert_eq!(hear(&mut gate, &newer.beat(now), now), None);
        let later = at(round * 2_500 + 100);
        assert_eq!(hear(&mut gate, &older.beat(later), later), Some(Reject::DuplicateEdgeId));
    }
}

#[test]
fn an_edge_whose_clock_was_set_back_is_heard_after_a_minute_of_silence() {
    let mut gate = gate();
    let mut before = Sender { clock_off_ms: 20_000, ..Sender::new(1, 20_000) };
    assert_eq!(hear(&mut gate, &before.beat(at(0)), at(0)), None);
    let start_ms = T0_MS - HOUR_MS;
    let mut after = Sender { session: SessionId::new(start_ms, [2; 8]), ..Sender::new(1, 0) };
    let mut heard_at = None;
    for ms in (2_500..=70_000).step_by(2_500) {
        match hear(&mut gate, &after.beat(at(ms)), at(ms)) {
            None => heard_at = heard_at.or(Some(ms)),
            Some(refused) => {
                assert!(matches!(refused, Reject::StaleSession | Reject::DuplicateEdgeId))
            }
        }
    }
    assert_eq!(heard_at, Some(62_500));
    let replay = hear(&mut gate, &before.beat(at(0)), at(70_000));
    assert_eq!(replay, Some(Reject::StaleTime), "nothing of the old session is fresh");
}

#[test]
fn after_a_restart_old_sequences_are_refused_and_the_next_is_taken() {
    let mut sender = Sender::new(1, 0);
    let heard: Vec<_> = (0..10).map(|_| sender.beat(at(0))).collect();
    let mark = BeatRow {
        id: sender.edge,
        last_heard_unix_ms: T0_MS,
        session: sender.session,
        sequence: 10,
        seen: Seen::Alive,
        empty_reports: 0,
    };
    let mut gate = gate();
    gate.resume(&[mark], at(0));
    for datagram in &heard {
        assert_eq!(hear(&mut gate, datagram, at(1)), Some(Reject::Replayed));
    }
    let mut other = Sender { session: SessionId::new(T0_MS - 1, [3; 8]), ..Sender::new(1, 0) };
    other.sequence = 0;
    let older = other.seal(&Header { sequence: 1, ..other.header(at(0)) }, &[8, 1]);
    assert!(matches!(
        hear(&mut gate, &older, at(1)),
        Some(Reject::StaleSession | Reject::DuplicateEdgeId)
    ));
    assert_eq!(hear(&mut gate, &sender.beat(at(2)), at(2)), None);
    assert_eq!(gate.session_count(), 1);
}

#[test]
fn a_flood_of_forgeries_leaves_no_trace_and_silences_nobody_known() {
    const FLOOD: u64 = 200_000;
    let (mut gate, mut sender) = (gate(), Sender::new(1, 0));
    assert_eq!(hear(&mut gate, &sender.beat(at(0)), at(0)), None);
    let counters = Counters::<Reject>::default();
    let mut forgery = Sender::new(2, 0).beat(at(0));
    for n in 0..FLOOD {
        forgery[12..20].copy_from_slice(&n.to_be_bytes());
        let now = at(n / 200);
        counters.count(hear(&mut gate, &forgery, now).expect("refused"));
        if n % 20_000 == 0 {
            assert_eq!(hear(&mut gate, &sender.beat(now), now), None, "same network, known");
        }
    }
    let forged = counters.get(Reject::Forged);
    assert!((128..=200).contains(&forged), "{forged} were tried");
    assert_eq!(forged + counters.get(Reject::RateLimited), FLOOD);
    assert_eq!(gate.session_count(), 1);
}

#[test]
fn one_edge_cannot_crowd_out_the_others() {
    let (mut gate, mut loud) = (gate(), Sender::new(1, 0));
    let flood = |gate: &mut Gate, loud: &mut Sender, count: usize, now| {
        (0..count).filter(|_| hear(gate, &loud.beat(now), now).is_none()).count()
    };
    let first = flood(&mut gate, &mut loud, 1_000, at(0));
    assert!((50..=100).contains(&first), "{first} were taken");
    assert_eq!(hear(&mut gate, &loud.beat(at(0)), at(0)), Some(Reject::TooFrequent));
    let mut restarted = Sender::new(1, 1);
    assert_eq!(flood(&mut gate, &mut restarted, 10, at(0)), 0, "a new session gains nothing");
    assert_eq!(hear(&mut gate, &Sender::new(2, 0).beat(at(0)), at(0)), None);
    assert_eq!(flood(&mut gate, &mut loud, 1_000, at(1_000)), 20, "the shortest interval fits");
}

#[test]
fn edges_and_sessions_are_limited() {
    let limits = Limits { edges_max: 3, session_burst: 4, sessions_per_second: 1 };
    let listed: HashSet<_> = (1..=4).map(|n| EdgeId([n; 16])).collect();
    let mut gate = gate_with(Rules { edges: Some(listed), limits, ..Rules::default() });
    assert_eq!(
        hear(&mut gate, &Sender::new(9, 0).beat(at(0)), at(0)),
        Some(Reject::EdgeNotAllowed)
    );
    for n in 1..=3 {
        assert_eq!(hear(&mut gate, &Sender::new(n, 0).beat(at(0)), at(0)), None);
    }
    assert_eq!(hear(&mut gate, &Sender::new(4, 0).beat(at(0)), at(0)), Some(Reject::EdgeLimit));
    let mut restarted = |start_ms, now| hear(&mut gate, &Sender::new(1, start_ms).beat(now), now);
    assert_eq!(restarted(1, at(10)), None);
    assert_eq!(restarted(2, at(10)), Some(Reject::SessionLimit));
    assert_eq!(restarted(2, at(1_010)), None, "a refused session may try again");
}

#[test]
fn a_session_is_dropped_after_a_day_of_silence() {
    let mut gate = gate();
    assert_eq!(hear(&mut gate, &Sender::new(1, 0).beat(at(0)), at(0)), None);
    gate.tick(at(24 * HOUR_MS));
    assert_eq!(gate.session_count(), 1);
    gate.tick(at(24 * HOUR_MS + 60_000));
    assert_eq!(gate.session_count(), 0);
}

#[test]
fn keys_rotate_without_a_lost_heartbeat_and_a_removed_key_opens_nothing() {
    let (old, new) = (fleet_key(), FleetKey::from_bytes([9; 32]));
    let (mut gate, mut sender) = (gate(), Sender::new(1, 0));
    let expect = |gate: &mut Gate, sender: &mut Sender, expected| {
        assert_eq!(hear(gate, &sender.beat(at(0)), at(0)), expected);
    };
    expect(&mut gate, &mut sender, None);
    gate.set_keys(ring(&[old.clone(), new.clone()]));
    expect(&mut gate, &mut sender, None);
    sender.key = new.clone();
    expect(&mut gate, &mut sender, None);
    gate.set_keys(ring(&[new]));
    expect(&mut gate, &mut sender, None);
    sender.key = old;
    expect(&mut gate, &mut sender, Some(Reject::UnknownKey));
    assert_eq!(gate.session_count(), 1);
}

#[test]
fn when_our_own_clock_jumps_known_sessions_are_heard_and_new_ones_are_not() {
    let mut gate = gate();
    let mut fleet: Vec<_> = (1..=6).map(|n| Sender::new(n, 0)).collect();
    let mut round = |gate: &mut Gate, ms: u64, off_ms: i64| -> Vec<_> {
        let sent = at(ms);
        let seen = Now { unix_ms: sent.unix_ms.saturating_add_signed(off_ms), ..sent };
        let heard = fleet.iter_mut().map(|s| hear(gate, &s.beat(sent), seen)).collect();
        gate.tick(seen);
        heard
    };
    let hour = HOUR_MS as i64;
    assert_eq!(round(&mut gate, 0, 0), [None; 6]);
    assert_eq!(round(&mut gate, 2_500, hour), [Some(Reject::StaleTime); 6]);
    assert!(gate.is_clock_suspect());
    assert_eq!(round(&mut gate, 5_000, hour), [None; 6]);
    let ours = Now { unix_ms: T0_MS + HOUR_MS, ..at(5_000) };
    let newcomer = Sender::new(50, 0).beat(at(5_000));
    assert_eq!(hear(&mut gate, &newcomer, ours), Some(Reject::StaleTime));
    assert_eq!(round(&mut gate, 7_500, 0), [None; 6]);
    assert!(!gate.is_clock_suspect());
}

#[test]
fn replays_and_forgeries_prove_nothing_about_our_clock() {
    let mut gate = gate();
    let mut fleet: Vec<_> = (1..=6).map(|n| Sender::new(n, 0)).collect();
    let old: Vec<_> = fleet.iter_mut().map(|s| s.beat(at(0))).collect();
    for datagram in &old {
        assert_eq!(hear(&mut gate, datagram, at(0)), None);
    }
    let later = at(HOUR_MS);
    for (sender, replay) in fleet.iter_mut().zip(&old) {
        assert_eq!(hear(&mut gate, &sender.beat(later), later), None);
        assert_eq!(hear(&mut gate, replay, later), Some(Reject::StaleTime));
        let mut forged = sender.clone().beat(at(0));
        forged[70] ^= 1;
        assert_eq!(hear(&mut gate, &forged, later), Some(Reject::StaleTime));
    }
    gate.tick(later);
    assert!(!gate.is_clock_suspect());
}

#[test]
fn an_ack_opens_at_the_edge_and_never_repeats_its_sequence() {
    let boot = [5; 16];
    let entropy = Entropy { boot, ..Entropy::random() };
    let mut gate = Gate::new(ring(&[fleet_key()]), Rules::default(), entropy);
    let sender = Sender::new(1, 0);
    let told = Told {
        order: Order::Draining,
        order_revision: u64::MAX,
        lease: Duration::from_secs(8),
        known_for: Duration::from_secs(86_400),
    };
    let mut sequences = Vec::new();
    for sequence in 1..=3 {
        let header = Header { want_ack: true, sequence, ..sender.header(at(0)) };
        let request = sender.seal(&header, &[0x08, 0x01]);
        let due = gate.admit(&request, SOURCE, at(20)).ack.expect("an ack is due");
        assert_eq!(due.edge, sender.edge);
        let sealed = gate.ack(&due, &told, at(20), [9; 4]).expect("it is short");
        assert!(sealed.len() <= request.len());
        let datagram = parse(&sealed).expect("well formed");
        let key = fleet_key().edge_key(sender.edge).ack_key(sender.session, boot);
        let ack = Ack::decode(&key.open(&datagram).expect("authentic")).expect("an ack");
        assert_eq!((ack.sequence, ack.sent_at_unix_ms), (sequence, T0_MS));
        assert_eq!((ack.order, ack.lease), (Order::Draining, told.lease));
        assert_eq!(datagram.header.sender, boot);
        sequences.push(datagram.header.sequence);
    }
    assert_eq!(sequences, [1, 2, 3]);
}
