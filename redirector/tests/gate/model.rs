//! The gate against a network that loses, repeats, reorders, delays and changes datagrams.

use std::collections::{HashMap, HashSet};

use proptest::{prelude::*, test_runner::TestCaseError};
use tidegate_control::{
    clock::Now,
    store::{BeatRow, Seen},
};
use tidegate_proto::{
    datagram::{SessionId, parse},
    edge::EdgeId,
};
use tidegate_redirector::gate::Gate;

use crate::sender::{SOURCE, Sender, at, gate, hear};

/// One step of the network.
#[derive(Debug, Clone)]
enum Step {
    /// An agent makes a heartbeat; it is in flight from then on.
    Beat(usize),
    /// The agent starts a new session, maybe with a clock that is off.
    Restart(usize, i64),
    /// The n-th datagram ever made arrives, perhaps again.
    Arrive(usize),
    /// It arrives with a bit flipped.
    Flip(usize, usize),
    /// Time passes.
    Wait(u64),
    /// The receiver restarts with the marks it had stored.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let agent = 0usize..3;
    let clock_off_ms = prop_oneof![Just(0), -100_000i64..40_000];
    let step = prop_oneof![
        8 => agent.clone().prop_map(Step::Beat),
        2 => (agent.clone(), clock_off_ms).prop_map(|(agent, off)| Step::Restart(agent, off)),
        12 => (0usize..1_000).prop_map(Step::Arrive),
        2 => (0usize..1_000, 0usize..10_000).prop_map(|(n, bit)| Step::Flip(n, bit)),
        4 => prop_oneof![0u64..5_000, 20_000u64..70_000].prop_map(Step::Wait),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..200)
}

struct World {
    gate: Gate,
    agents: Vec<Sender>,
    made: Vec<Vec<u8>>,
    applied: HashSet<(EdgeId, SessionId, u64)>,
    marks: HashMap<EdgeId, BeatRow>,
    now_ms: u64,
    sessions: u8,
}

impl World {
    fn new() -> Self {
        Self {
            gate: gate(),
            agents: (1..=3).map(|n| Sender::new(n, 0)).collect(),
            made: Vec::new(),
            applied: HashSet::new(),
            marks: HashMap::new(),
            now_ms: 0,
            // Beyond what tells the first sessions apart.
            sessions: 100,
        }
    }

    fn now(&self) -> Now {
        at(self.now_ms)
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let now = self.now();
        match step {
            Step::Beat(agent) => self.made.push(self.agents[agent].beat(now)),
            Step::Restart(agent, off_ms) => self.restart(agent, off_ms),
            Step::Wait(ms) => {
                self.now_ms += ms;
                self.gate.tick(self.now());
            }
            Step::Crash => {
                self.gate = gate();
                let marks: Vec<_> = self.marks.values().copied().collect();
                self.gate.resume(&marks, now);
            }
            Step::Arrive(_) | Step::Flip(..) if self.made.is_empty() => {}
            Step::Arrive(n) => self.arrive(n % self.made.len())?,
            Step::Flip(n, bit) => {
                let mut changed = self.made[n % self.made.len()].clone();
                let place = bit / 8 % changed.len();
                changed[place] ^= 1 << (bit % 8);
                prop_assert!(hear(&mut self.gate, &changed, now).is_some(), "a flipped bit passed");
            }
        }
        Ok(())
    }

    fn restart(&mut self, agent: usize, off_ms: i64) {
        self.sessions = self.sessions.wrapping_add(1);
        let start = self.now().unix_ms.saturating_add_signed(off_ms);
        let agent = &mut self.agents[agent];
        agent.session = SessionId::new(start, [self.sessions; 8]);
        agent.sequence = 0;
        // What it stamps on datagrams stays within freshness; its start may not.
        agent.clock_off_ms = off_ms.clamp(-29_000, 29_000);
    }

    fn arrive(&mut self, n: usize) -> Result<(), TestCaseError> {
        let (now, datagram) = (self.now(), &self.made[n]);
        let Ok(report) = self.gate.admit(datagram, SOURCE, now).outcome else { return Ok(()) };
        let header = parse(datagram).expect("as it was made").header;
        prop_assert!(header.sent_at_unix_ms.abs_diff(now.unix_ms) <= 30_000);
        prop_assert_eq!(report.edge, header.edge_id());
        let place = (report.edge, report.session, report.sequence);
        prop_assert!(self.applied.insert(place), "applied twice: {:?}", place);
        let mark = self.marks.entry(report.edge).or_insert(BeatRow {
            id: report.edge,
            last_heard_unix_ms: now.unix_ms,
            session: report.session,
            sequence: 0,
            seen: Seen::Alive,
            empty_reports: 0,
        });
        let highest = if mark.session == report.session { mark.sequence } else { 0 };
        mark.session = report.session;
        mark.sequence = highest.max(report.sequence);
        Ok(())
    }
}

proptest! {
    /// Only as it was sent, too, and only while it is fresh.
    #[test]
    fn each_sequence_of_a_session_is_applied_at_most_once(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.take(step)?;
        }
        prop_assert!(world.gate.session_count() <= 3);
    }

    #[test]
    fn any_bytes_are_refused_and_leave_nothing(
        junk in prop::collection::vec(any::<u8>(), 0..1_300),
    ) {
        let mut gate = gate();
        prop_assert!(hear(&mut gate, &junk, at(0)).is_some());
        prop_assert_eq!(gate.session_count(), 0);
    }

    #[test]
    fn a_datagram_cut_short_or_drawn_out_is_refused(len in 0usize..1_200) {
        let (mut gate, mut sender) = (gate(), Sender::new(1, 0));
        let mut datagram = sender.beat(at(0));
        prop_assume!(len != datagram.len());
        datagram.resize(len, 0);
        prop_assert!(hear(&mut gate, &datagram, at(0)).is_some());
        prop_assert_eq!(gate.session_count(), 0);
    }
}
