//! Who watches where: redirects land after their time, the edges' agents are told, and the level of
//! the fleet is watched meanwhile.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::mpsc::{Receiver, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use super::{Sent, arrivals::name_of};
use crate::programs::{Agent, Figures};

/// How exactly landings are timed, and how often agents' files are replaced.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Below this share of the fleet's capacity chance looks like an imbalance: of the few viewers on the
/// smallest edges, and as many on their way, a tenth more or fewer have landed even where every pick
/// is perfect.
const SCORED_FROM: f64 = 0.5;

/// How full the fleet is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Everybody by everything that can be carried.
    pub mean: f64,
    /// The fullest edge, as a share of its capacity.
    pub max: f64,
}

impl Level {
    /// How much fuller the fullest edge is than the fleet; 1 is level.
    #[must_use]
    pub fn max_over_mean(&self) -> f64 {
        self.max / self.mean
    }
}

/// The edges as they are, whatever anybody believes.
#[derive(Debug)]
pub(super) struct Audience {
    edges: Vec<Edge>,
    landing: BinaryHeap<Reverse<(Instant, usize, usize)>>,
    worst: f64,
    peak: f64,
}

#[derive(Debug)]
struct Edge {
    agent: Agent,
    capacity: u32,
    viewers: u32,
    streams: BTreeMap<usize, u32>,
    is_told: bool,
}

impl Audience {
    pub(super) fn new(capacities: &[u32], agents: Vec<Agent>) -> Self {
        let edge = |(agent, capacity): (Agent, &u32)| Edge {
            agent,
            capacity: *capacity,
            viewers: 0,
            streams: BTreeMap::new(),
            is_told: true,
        };
        let edges = agents.into_iter().zip(capacities).map(edge).collect();
        Self { edges, landing: BinaryHeap::new(), worst: 0.0, peak: 0.0 }
    }

    /// Takes redirects until there are no more and all have landed.
    pub(super) fn take(&mut self, sent: Receiver<Sent>) {
        let mut tell_at = Instant::now();
        let mut is_open = true;
        while is_open || !self.landing.is_empty() {
            is_open = self.expect(&sent);
            let now = Instant::now();
            self.land(now);
            if now >= tell_at {
                self.tell();
                tell_at = now + TELL_EVERY;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Notes who is on the way; whether more can come.
    fn expect(&mut self, sent: &Receiver<Sent>) -> bool {
        loop {
            match sent.try_recv() {
                Ok(Sent { edge, at, arrival }) => {
                    if let Some(delay) = arrival.lands_after {
                        self.landing.push(Reverse((at + delay, edge, arrival.stream)));
                    }
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn land(&mut self, now: Instant) {
        while let Some(Reverse((at, edge, stream))) = self.landing.pop() {
            if at > now {
                self.landing.push(Reverse((at, edge, stream)));
                return;
            }
            let edge = &mut self.edges[edge];
            edge.viewers += 1;
            *edge.streams.entry(stream).or_default() += 1;
            edge.is_told = false;
            self.watch();
        }
    }

    fn watch(&mut self) {
        let level = self.level();
        self.peak = self.peak.max(level.max);
        if level.mean >= SCORED_FROM {
            self.worst = self.worst.max(level.max_over_mean());
        }
    }

    fn tell(&mut self) {
        for edge in self.edges.iter_mut().filter(|edge| !edge.is_told) {
            let streams = edge.streams.iter();
            let streams = streams.map(|(stream, viewers)| (name_of(*stream), *viewers)).collect();
            edge.agent.set_figures(&Figures::of_streams(streams));
            edge.is_told = true;
        }
    }

    pub(super) fn level(&self) -> Level {
        let sum =
            |figure: fn(&Edge) -> u32| self.edges.iter().map(figure).map(f64::from).sum::<f64>();
        let load = |edge: &Edge| f64::from(edge.viewers) / f64::from(edge.capacity);
        Level {
            mean: sum(|edge| edge.viewers) / sum(|edge| edge.capacity),
            max: self.edges.iter().map(load).fold(0.0, f64::max),
        }
    }

    pub(super) fn worst(&self) -> f64 {
        self.worst
    }

    pub(super) fn peak(&self) -> f64 {
        self.peak
    }

    pub(super) fn pulls(&self) -> usize {
        self.edges.iter().map(|edge| edge.streams.len()).sum()
    }
}
