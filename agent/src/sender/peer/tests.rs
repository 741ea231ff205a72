use proptest::prelude::*;
use tidegate_proto::{
    datagram::BLOCK_LEN,
    heartbeat::{INTERVAL_DEFAULT, Trouble},
    seal::FleetKey,
};

use super::*;

const BOOT: [u8; 16] = [9; 16];

/// A redirector that acks on demand, and a clock set by hand.
struct Scene {
    peer: Peer,
    key: SendKey,
    edge: EdgeId,
    start: Instant,
    at: Duration,
    ack_sequence: u64,
}

/// What the peer put into a datagram.
struct Sent {
    header: Header,
    len_bytes: usize,
    heartbeat: Heartbeat,
}

impl Scene {
    fn new() -> Self {
        let (edge, start) = (EdgeId([1; 16]), Instant::now());
        let key = SendKey::Fleet { key: FleetKey::from_bytes([3; 32]), weak: false };
        let at = Duration::ZERO;
        let peer = Peer::new(edge, &key, INTERVAL_DEFAULT, &moment(start, at));
        Self { peer, key, edge, start, at, ack_sequence: 0 }
    }

    fn now(&self) -> Instant {
        self.start + self.at
    }

    fn moment(&self) -> Moment {
        moment(self.start, self.at)
    }

    fn beat(&mut self) -> Sent {
        let moment = self.moment();
        let sealed = self.peer.beat(&Heartbeat::default(), &moment).expect("short");
        self.open(&sealed)
    }

    fn open(&self, sealed: &[u8]) -> Sent {
        let datagram = parse(sealed).expect("well formed");
        let key = self.key.edge_key(self.edge).heartbeat_key(datagram.header.session);
        let payload = key.open(&datagram).expect("authentic");
        let heartbeat = Heartbeat::decode(&payload).expect("within bounds");
        Sent { header: datagram.header, len_bytes: sealed.len(), heartbeat }
    }

    fn ack(&mut self, sent: &Sent, boot: [u8; 16], order: Order) -> Vec<u8> {
        self.ack_sequence += 1;
        let key = self.key.edge_key(self.edge).ack_key(sent.header.session, boot);
        ack(&key, &sent.header, boot, self.ack_sequence, order)
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), Ignored> {
        self.peer.hear(bytes, self.now())
    }

    fn beat_and_ack(&mut self) -> Sent {
        let sent = self.beat();
        if sent.header.want_ack {
            let ack = self.ack(&sent, BOOT, Order::Active);
            self.hear(&ack).expect("authentic");
        }
        sent
    }
}

fn moment(start: Instant, at: Duration) -> Moment {
    let unix_ms = 1_700_000_000_000 + u64::try_from(at.as_millis()).expect("small");
    Moment {
        instant: start + at,
        unix_ms,
        salt: [0; 4],
        session: unix_ms.to_be_bytes(),
        jitter: 0.0,
    }
}

fn ack(key: &SessionKey, of: &Header, boot: [u8; 16], sequence: u64, order: Order) -> Vec<u8> {
    let header =
        Header { kind: Kind::Ack, want_ack: false, sender: boot, sequence, salt: [5; 4], ..*of };
    let ack = Ack {
        sequence: of.sequence,
        sent_at_unix_ms: of.sent_at_unix_ms,
        order,
        order_revision: sequence,
        lease: Duration::from_secs(8),
        known_for: Duration::ZERO,
    };
    key.seal(&header, &ack.encode(), 1).expect("short")
}

#[test]
fn acks_are_asked_on_the_first_three_and_then_one_in_four() {
    let mut scene = Scene::new();
    let asked: Vec<bool> = (0..12).map(|_| scene.beat_and_ack().header.want_ack).collect();
    let one_in_four: Vec<bool> = (1..=12).map(|n| n <= 3 || n % 4 == 3).collect();
    assert_eq!(asked, one_in_four);
}

#[test]
fn every_heartbeat_asks_while_acks_are_missing_or_the_edge_is_unknown() {
    let mut scene = Scene::new();
    assert!((0..9).all(|_| scene.beat().header.want_ack));
    let sent = scene.beat();
    let unknown = scene.ack(&sent, BOOT, Order::Unknown);
    scene.hear(&unknown).expect("authentic");
    assert!(scene.beat().header.want_ack);
}

#[test]
fn an_asking_heartbeat_is_padded_so_that_no_ack_outgrows_it() {
    let mut scene = Scene::new();
    let sent = scene.beat();
    assert!(sent.len_bytes >= 80 + WANT_ACK_BLOCKS_MIN * BLOCK_LEN);
    assert!(scene.ack(&sent, BOOT, Order::Active).len() <= sent.len_bytes);
}

#[test]
fn heartbeats_keep_their_pace_without_acks() {
    let mut scene = Scene::new();
    for _ in 0..100 {
        let before = scene.now();
        scene.beat();
        assert_eq!(scene.peer.due(), before + INTERVAL_DEFAULT);
        scene.at += INTERVAL_DEFAULT;
    }
    assert!(!scene.peer.is_registered(scene.now()));
    assert!(scene.peer.loss(scene.now()).is_some_and(|loss| loss > 0.99));
}

#[test]
fn an_ack_tells_order_round_trip_and_registration() {
    let mut scene = Scene::new();
    let sent = scene.beat();
    scene.at += Duration::from_millis(40);
    let ack = scene.ack(&sent, BOOT, Order::Draining);
    scene.hear(&ack).expect("authentic");
    let standing = scene.peer.standing();
    assert_eq!((standing.order, standing.order_revision), (Order::Draining, 1));
    assert_eq!(standing.round_trip, Some(Duration::from_millis(40)));
    assert!(scene.peer.is_registered(scene.now()));
    assert_eq!(scene.peer.loss(scene.now()), Some(0.0));
}

#[test]
fn acks_that_are_forged_repeated_foreign_or_unexpected_change_nothing() {
    let mut scene = Scene::new();
    let sent = scene.beat();
    let good = scene.ack(&sent, BOOT, Order::Active);
    scene.hear(&good).expect("authentic");

    let foreign_key = FleetKey::from_bytes([4; 32]).edge_key(scene.edge);
    let forged =
        ack(&foreign_key.ack_key(sent.header.session, BOOT), &sent.header, BOOT, 7, Order::Drained);
    let mut other_boot = scene.ack(&sent, BOOT, Order::Drained);
    other_boot[12] ^= 1;
    let own_key = scene.key.edge_key(scene.edge);
    let other_session = Header { session: SessionId::new(1, [0; 8]), ..sent.header };
    let unasked = Header { sequence: 77, ..sent.header };
    let session_key = own_key.ack_key(sent.header.session, BOOT);
    for (bytes, why) in [
        (good, Ignored::Repeated),
        (forged, Ignored::Forged),
        (other_boot, Ignored::Forged),
        (
            ack(
                &own_key.ack_key(other_session.session, BOOT),
                &other_session,
                BOOT,
                8,
                Order::Drained,
            ),
            Ignored::OtherSession,
        ),
        (ack(&session_key, &unasked, BOOT, 9, Order::Drained), Ignored::UnknownSequence),
        (vec![0; 144], Ignored::Malformed),
    ] {
        assert_eq!(scene.hear(&bytes), Err(why));
        assert_eq!(scene.peer.standing().order, Order::Active, "{why:?} changed the order");
    }
}

#[test]
fn an_ack_that_comes_after_half_a_minute_is_too_late() {
    let mut scene = Scene::new();
    let sent = scene.beat();
    scene.at += Duration::from_secs(31);
    let late = scene.ack(&sent, BOOT, Order::Active);
    assert_eq!(scene.hear(&late), Err(Ignored::UnknownSequence));
    assert!(!scene.peer.is_registered(scene.now()));
}

#[test]
fn a_late_ack_does_not_bring_an_older_order_back() {
    let mut scene = Scene::new();
    let (first, second) = (scene.beat(), scene.beat());
    let older = scene.ack(&first, BOOT, Order::Active);
    let newer = scene.ack(&second, BOOT, Order::Drained);
    scene.hear(&newer).expect("authentic");
    scene.hear(&older).expect("late, but authentic");
    assert_eq!(scene.peer.standing().order, Order::Drained);
}

#[test]
fn only_so_many_redirector_runs_are_remembered() {
    let mut scene = Scene::new();
    let sent = scene.beat();
    for boot in 0..40 {
        let ack = scene.ack(&sent, [boot; 16], Order::Active);
        scene.hear(&ack).expect("authentic");
        assert!(scene.peer.session.boots.len() <= BOOTS_MAX);
        assert_eq!(scene.hear(&ack), Err(Ignored::Repeated));
    }
}

#[test]
fn strangers_take_no_memory() {
    let mut scene = Scene::new();
    let sent = scene.beat();
    for boot in 0..40 {
        let mut forged = scene.ack(&sent, [boot; 16], Order::Active);
        forged[70] ^= 1;
        assert_eq!(scene.hear(&forged), Err(Ignored::Forged));
    }
    assert!(scene.peer.session.boots.is_empty());
}

#[test]
fn a_session_ends_after_a_day_or_a_million_heartbeats() {
    let mut scene = Scene::new();
    let first = scene.beat_and_ack();
    scene.at += SESSION_AGE_MAX;
    let second = scene.beat_and_ack();
    assert!(second.header.session != first.header.session && second.header.sequence == 1);
    assert!(second.header.session.start_unix_ms() > first.header.session.start_unix_ms());

    scene.peer.session.next_sequence = SESSION_SEQUENCE_MAX - 1;
    scene.at += INTERVAL_DEFAULT;
    assert_eq!(scene.beat_and_ack().header.sequence, SESSION_SEQUENCE_MAX - 1);
    let third = scene.beat();
    assert!(third.header.session != second.header.session && third.header.sequence == 1);
    let stale = scene.ack(&second, BOOT, Order::Drained);
    assert_eq!(scene.hear(&stale), Err(Ignored::OtherSession));
}

#[test]
fn silence_asks_for_another_address_every_half_minute() {
    let mut scene = Scene::new();
    scene.beat();
    assert_eq!(scene.peer.take_remedy(scene.now()), None);
    scene.at += SILENCE_MAX;
    assert_eq!(scene.peer.take_remedy(scene.now()), Some(Remedy::Address));
    assert_eq!(scene.peer.take_remedy(scene.now()), None);
    scene.at += SILENCE_MAX;
    assert_eq!(scene.peer.take_remedy(scene.now()), Some(Remedy::Address));
    let sent = scene.beat();
    let ack = scene.ack(&sent, BOOT, Order::Active);
    scene.hear(&ack).expect("authentic");
    scene.at += SILENCE_MAX;
    assert_eq!(scene.peer.take_remedy(scene.now()), None);
}

/// Beats at the usual pace, asking for a remedy before each as a link does: which it was, if any.
fn remedies(scene: &mut Scene, beats: usize, pace: Duration) -> Vec<Option<Remedy>> {
    let mut taken = Vec::new();
    for _ in 0..beats {
        scene.at += pace;
        taken.push(scene.peer.take_remedy(scene.now()));
        scene.beat();
    }
    taken
}

#[test]
fn a_way_that_leads_nowhere_is_left_one_interval_after_the_first_ask_in_vain() {
    let (none, port) = (None, Some(Remedy::Port));
    // Whatever the heartbeat was after which the acks stop.
    for heard in 3..11_u64 {
        let mut scene = Scene::new();
        (0..heard).for_each(|_| drop(scene.beat_and_ack()));
        // Nobody answers any more: at worst three heartbeats do not ask, the fourth asks in vain, and
        // the fifth leaves by another port, as all do that follow.
        let unasked =
            (heard + 1..).take_while(|sequence| sequence % ASK_EVERY != ASK_FIRST).count();
        let mut expected = vec![none; unasked + 1];
        expected.extend([port; 3]);
        let taken = remedies(&mut scene, expected.len(), INTERVAL_DEFAULT);
        assert_eq!(taken, expected, "after {heard} heartbeats");
        assert!(scene.peer.is_registered(scene.now()), "half a minute has not passed");
    }
}

#[test]
fn what_the_network_refuses_is_asked_about_at_once() {
    let mut scene = Scene::new();
    let unasked = (0..8).map(|_| scene.beat_and_ack()).last().expect("eight");
    assert!(!unasked.header.want_ack);
    scene.beat_and_ack();
    scene.at += INTERVAL_DEFAULT;
    assert!(!scene.beat().header.want_ack);
    scene.peer.note_refusal(scene.now());
    scene.peer.note_refusal(scene.now());
    assert_eq!(remedies(&mut scene, 1, INTERVAL_DEFAULT), [Some(Remedy::Port)]);

    let answered = scene.beat();
    scene.peer.note_refusal(scene.now());
    let ack = scene.ack(&answered, BOOT, Order::Active);
    scene.hear(&ack).expect("authentic");
    assert_eq!(remedies(&mut scene, 2, INTERVAL_DEFAULT), [None; 2]);
}

#[test]
fn after_a_refusal_every_heartbeat_asks_until_an_ack_comes_by_whatever_port() {
    let mut scene = Scene::new();
    (0..7).for_each(|_| drop(scene.beat_and_ack()));
    assert!(!scene.beat().header.want_ack);
    scene.peer.note_refusal(scene.now());
    scene.at += INTERVAL_DEFAULT;
    assert_eq!(scene.peer.take_remedy(scene.now()), Some(Remedy::Port));
    assert!(scene.beat_and_ack().header.want_ack, "the new port has not proved itself");
    assert!(!scene.beat().header.want_ack);
}

#[test]
fn acks_that_take_longer_than_two_short_intervals_are_waited_for() {
    let mut scene = Scene::new();
    let first = scene.beat();
    let pace = INTERVAL_MIN;
    assert_eq!(remedies(&mut scene, 9, pace), [None; 9]);
    let ack = scene.ack(&first, BOOT, Order::Active);
    scene.hear(&ack).expect("late, but by the port that is still open");
    assert_eq!(remedies(&mut scene, 10, pace), [None; 10]);
    assert_eq!(remedies(&mut scene, 1, pace), [Some(Remedy::Port)]);
}

#[test]
fn a_change_of_state_goes_out_at_once_and_no_other_change_does() {
    let mut scene = Scene::new();
    scene.beat();
    scene.at += Duration::from_secs(1);
    let mut heartbeat = Heartbeat::default();
    heartbeat.load.viewers = Some(7);
    scene.peer.consider(&heartbeat, scene.now());
    assert!(scene.peer.due() > scene.now());
    heartbeat.status = Status::Paused;
    scene.peer.consider(&heartbeat, scene.now());
    assert_eq!(scene.peer.due(), scene.now());

    let moment = scene.moment();
    scene.peer.beat(&heartbeat, &moment).expect("short");
    heartbeat.trouble = Some(Trouble { code: "source_slow".into(), text: String::new() });
    scene.peer.consider(&heartbeat, scene.now());
    assert_eq!(scene.peer.due(), scene.now() + INTERVAL_MIN, "changes are not a way to flood");
}

#[test]
fn a_goodbye_says_stopped_asks_and_takes_the_next_sequence() {
    let mut scene = Scene::new();
    scene.beat_and_ack();
    for sequence in 2..=4 {
        let moment = scene.moment();
        let sealed = scene.peer.goodbye(Heartbeat::default(), &moment).expect("short");
        let sent = scene.open(&sealed);
        assert_eq!((sent.header.kind, sent.header.sequence), (Kind::Goodbye, sequence));
        assert!(sent.header.want_ack);
        assert_eq!(sent.heartbeat.status, Status::Stopped);
    }
}

proptest! {
    #[test]
    fn jitter_stays_within_a_tenth(jitter in -1.0f64..=1.0) {
        let mut scene = Scene::new();
        let moment = Moment { jitter, ..scene.moment() };
        scene.peer.beat(&Heartbeat::default(), &moment).expect("short");
        let pause = (scene.peer.due() - moment.instant).as_secs_f64();
        prop_assert!((2.25..=2.75).contains(&pause), "{pause}");
    }

    #[test]
    fn no_bytes_are_a_panic_or_an_ack(bytes in prop::collection::vec(any::<u8>(), 0..1_400)) {
        let mut scene = Scene::new();
        scene.beat();
        prop_assert!(scene.hear(&bytes).is_err());
    }
}
