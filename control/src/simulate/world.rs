//! Lets it happen: events one after the other, in the order of their time.

use std::sync::Arc;

use super::{
    audience::Audience,
    chance::{Chance, Kind},
    edge::{Condition, Edge, id_of, named},
    founding::found,
    measure::{Measures, SAMPLE_EVERY, Sums},
    oracle,
    queue::{Micros, Queue, SECOND, micros},
    redirector::{Asker, Redirector},
    script::{Act, DRAIN, script},
    setup::{Scenario, Setup, Steering},
    viewers::{Viewer, Whereabouts, address_of},
};
use crate::{
    registry::Report,
    selection::{Evidence, Policy, Selection},
};

/// Redirectors hear the fleet for so long before anything is measured.
const WARM_UP: Micros = 25 * SECOND;
/// As the fleet's writer does it.
const PUBLISH_EVERY: Micros = 100_000;
const JUDGE_EVERY: Micros = 250_000;
/// A change of state that is reported at once is reported twice.
const PUSH_AGAIN: Micros = 50_000;
/// After which a client asks again that an edge refused, that reached nothing, that got no edge.
const REFUSED: Micros = SECOND / 2;
const UNANSWERED: Micros = 3 * SECOND;
const NO_EDGE: Micros = 2 * SECOND;

/// Lets a setup happen and says how it went.
#[must_use]
pub fn run(setup: &Setup) -> Measures {
    let mut world = World::new(setup);
    let end = WARM_UP + micros(setup.scenario.duration_s());
    while let Some((at, event)) = world.queue.pop() {
        if at > end {
            break;
        }
        world.now = at;
        world.happen(event);
    }
    world.measures.pulls = world.edges.iter().map(Edge::pulls).sum();
    world.measures.finish(&world.sums);
    world.measures
}

#[derive(Debug)]
enum Event {
    Arrive(u64),
    Ask(u32),
    Land { viewer: u32, place: u32 },
    Leave(u32),
    Move { viewer: u32, place: u32 },
    Report { place: u32, boot: u32 },
    Hear { redirector: u32, report: Arc<Report> },
    Publish(u32),
    Judge(u32),
    Sample,
    Act(Act),
}

struct World<'a> {
    setup: &'a Setup,
    now: Micros,
    queue: Queue<Event>,
    audience: Audience,
    paths: Vec<String>,
    edges: Vec<Edge>,
    viewers: Vec<Viewer>,
    redirectors: Vec<Redirector>,
    measures: Measures,
    sums: Sums,
}

impl<'a> World<'a> {
    fn new(setup: &'a Setup) -> Self {
        let audience = Audience::of(setup);
        let paths: Vec<_> = (0..super::audience::STREAMS).map(path).collect();
        let mut edges = lay_out(setup, &audience, &paths);
        let viewers = found(setup, &audience, &paths, &mut edges);
        let mut world = Self {
            setup,
            now: 0,
            queue: Queue::default(),
            audience,
            paths,
            edges,
            viewers,
            redirectors: redirectors(setup),
            measures: Measures::default(),
            sums: Sums::default(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for index in 0..self.redirectors.len() as u64 {
            let phase = index * PUBLISH_EVERY / self.redirectors.len() as u64;
            self.queue.push(phase, Event::Publish(index as u32));
            self.queue.push(phase, Event::Judge(index as u32));
        }
        for place in 0..self.edges.len() as u32 {
            let edge = &self.edges[place as usize];
            let mut chance = Chance::of(self.setup.seed, Kind::Report, place.into(), 0);
            let phase = chance.unit() * self.setup.interval.as_secs_f64();
            if edge.condition == Condition::Up {
                self.queue.push(micros(phase), Event::Report { place, boot: edge.boot });
            }
        }
        for index in 0..self.viewers.len() as u32 {
            let session = self.viewers[index as usize].traits.session;
            self.queue.push(WARM_UP + session, Event::Leave(index));
        }
        self.await_arrival(WARM_UP, 0);
        self.queue.push(WARM_UP, Event::Sample);
        for (at, act) in script(self.setup) {
            self.queue.push(WARM_UP + at, Event::Act(act));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(index) => {
                let viewer = self.viewers.len();
                self.viewers.push(Viewer::new(self.audience.traits(viewer, false)));
                self.ask(viewer as u32);
                self.await_arrival(self.now, index + 1);
            }
            Event::Ask(viewer) => self.ask(viewer),
            Event::Land { viewer, place } => self.land(viewer, place),
            Event::Leave(viewer) => {
                self.take_off(viewer);
                self.viewers[viewer as usize].whereabouts = Whereabouts::Gone;
            }
            Event::Move { viewer, place } => {
                if self.viewers[viewer as usize].whereabouts == Whereabouts::On(place) {
                    self.take_off(viewer);
                    self.ask(viewer);
                }
            }
            Event::Report { place, boot } => self.report_in_turn(place, boot),
            Event::Hear { redirector, report } => {
                self.redirectors[redirector as usize].hear(&report, self.now);
            }
            Event::Publish(redirector) => {
                self.redirectors[redirector as usize].publish(self.now);
                self.queue.push(self.now + PUBLISH_EVERY, Event::Publish(redirector));
            }
            Event::Judge(redirector) => {
                self.redirectors[redirector as usize].judge(self.now);
                self.queue.push(self.now + JUDGE_EVERY, Event::Judge(redirector));
            }
            Event::Sample => {
                let at_s = (self.now - WARM_UP) as f64 / SECOND as f64;
                let cold = self.cold();
                self.measures.sample(&mut self.edges, cold, at_s, &mut self.sums);
                self.queue.push(self.now + SAMPLE_EVERY, Event::Sample);
            }
            Event::Act(act) => self.act(act),
        }
    }

    /// The edge that joins a fleet in service, once it has.
    fn cold(&self) -> Option<usize> {
        let place = self.setup.edges;
        self.edges.get(place).filter(|edge| edge.is_present()).map(|_| place)
    }

    fn await_arrival(&mut self, after: Micros, index: u64) {
        self.queue.push(after + self.audience.gap(index), Event::Arrive(index));
    }

    /// A viewer asks for an edge and sets out for it.
    fn ask(&mut self, index: u32) {
        let viewer = self.viewers[index as usize];
        if viewer.whereabouts == Whereabouts::Gone {
            return;
        }
        let attempt = self.audience.attempt(index as usize, viewer.attempts);
        self.viewers[index as usize].attempts += 1;
        let Some(place) = self.choose(index, attempt.redirector) else {
            self.measures.refused += 1;
            self.viewers[index as usize].whereabouts = Whereabouts::Away;
            return self.queue.push(self.now + NO_EDGE, Event::Ask(index));
        };
        self.count_redirect(place, attempt.redirector);
        let viewer = &mut self.viewers[index as usize];
        let Some(landing) = attempt.landing else {
            viewer.whereabouts = Whereabouts::Gone;
            return;
        };
        viewer.whereabouts = Whereabouts::Bound;
        self.edges[place].bound_bps += u64::from(viewer.traits.bps);
        self.queue.push(self.now + landing, Event::Land { viewer: index, place: place as u32 });
    }

    fn choose(&mut self, index: u32, redirector: usize) -> Option<usize> {
        let viewer = &self.viewers[index as usize];
        if self.redirectors.is_empty() {
            return oracle::choose(&self.edges, viewer.traits.bps);
        }
        let asker = Asker {
            path: &self.paths[usize::from(viewer.traits.stream)],
            address: address_of(index as usize),
            failed_by: viewer.failed_by.filter(|_| self.setup.retries_name_edge).map(id_of),
        };
        self.redirectors[redirector].pick(&asker, self.now)
    }

    fn count_redirect(&mut self, place: usize, redirector: usize) {
        self.measures.redirects += 1;
        match self.edges[place].condition {
            Condition::Up | Condition::Off => {}
            Condition::Draining => {
                let by = self.redirectors.get(redirector);
                let is_known = by.is_some_and(|by| by.knows_leaving(id_of(place as u32)));
                self.measures.to_draining += 1;
                self.measures.to_draining_known += u64::from(is_known);
            }
            Condition::Dead => self.measures.to_dead += 1,
            Condition::Sink => self.measures.to_sink += 1,
        }
    }

    fn land(&mut self, index: u32, place: u32) {
        let viewer = &mut self.viewers[index as usize];
        let edge = &mut self.edges[place as usize];
        edge.bound_bps -= u64::from(viewer.traits.bps);
        if viewer.whereabouts == Whereabouts::Gone {
            return;
        }
        if edge.condition != Condition::Up {
            viewer.whereabouts = Whereabouts::Away;
            viewer.failed_by = Some(place);
            let says_so = edge.condition == Condition::Draining;
            let pause = if says_so { REFUSED } else { UNANSWERED };
            return self.queue.push(self.now + pause, Event::Ask(index));
        }
        edge.admit(&viewer.traits);
        viewer.whereabouts = Whereabouts::On(place);
        viewer.failed_by = None;
        if !viewer.has_watched {
            viewer.has_watched = true;
            self.queue.push(self.now + viewer.traits.session, Event::Leave(index));
        }
    }

    /// Takes a viewer off the edge it watches on.
    fn take_off(&mut self, index: u32) {
        let viewer = &mut self.viewers[index as usize];
        if let Whereabouts::On(place) = viewer.whereabouts {
            self.edges[place as usize].release(&viewer.traits);
            viewer.whereabouts = Whereabouts::Away;
        }
    }

    fn report_in_turn(&mut self, place: u32, boot: u32) {
        let edge = &self.edges[place as usize];
        if edge.boot != boot || !edge.is_present() {
            return;
        }
        let mut chance = Chance::of(self.setup.seed, Kind::Report, place.into(), edge.reports + 1);
        let pause = self.setup.interval.as_secs_f64() * chance.between(0.9, 1.1);
        self.queue.push(self.now + micros(pause), Event::Report { place, boot });
        self.report(place, false, self.now);
    }

    /// Sends a report of now at a time not before it.
    fn report(&mut self, place: u32, goodbye: bool, sent: Micros) {
        let setup = self.setup;
        let edge = &mut self.edges[place as usize];
        let report = edge.report(setup.interval, self.redirectors.len(), goodbye);
        for index in 0..self.redirectors.len() as u32 {
            let thing = u64::from(place) << 8 | u64::from(index);
            let mut chance = Chance::of(setup.seed, Kind::Network, thing, report.sequence);
            let (low, high) = setup.report_delay;
            let delay = chance.between(low.as_secs_f64(), high.as_secs_f64());
            if chance.unit() >= setup.report_loss {
                let report = Arc::clone(&report);
                self.queue.push(sent + micros(delay), Event::Hear { redirector: index, report });
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Drain(places) => {
                self.set(&places, Condition::Draining);
                self.push_state(&places, false);
                self.send_away(&places);
            }
            Act::Stop(places) => {
                self.push_state(&places, true);
                self.set(&places, Condition::Off);
            }
            Act::Start(places) => {
                self.set(&places, Condition::Up);
                for place in places {
                    let edge = &mut self.edges[place];
                    edge.boot += 1;
                    let report = Event::Report { place: place as u32, boot: edge.boot };
                    self.queue.push(self.now, report);
                }
                self.sums.cold_from_s = (self.now - WARM_UP) as f64 / SECOND as f64;
            }
            Act::Die(places) => {
                self.set(&places, Condition::Dead);
                self.strand(&places);
            }
            Act::Sink(places) => self.set(&places, Condition::Sink),
        }
    }

    fn set(&mut self, places: &std::ops::Range<usize>, condition: Condition) {
        for edge in &mut self.edges[places.clone()] {
            edge.condition = condition;
        }
    }

    /// Says a change of state at once and again, where edges do so; a goodbye always is.
    fn push_state(&mut self, places: &std::ops::Range<usize>, goodbye: bool) {
        if !self.setup.push && !goodbye {
            return;
        }
        for place in places.clone() {
            self.report(place as u32, goodbye, self.now);
            self.report(place as u32, goodbye, self.now + PUSH_AGAIN);
        }
    }

    /// Everybody on these edges moves within the time of a drain.
    fn send_away(&mut self, places: &std::ops::Range<usize>) {
        for (viewer, place) in self.watching(places) {
            let attempts = self.viewers[viewer as usize].attempts;
            let mut chance =
                Chance::of(self.setup.seed, Kind::Move, viewer.into(), attempts.into());
            let pause = (chance.unit() * DRAIN as f64) as Micros;
            self.queue.push(self.now + pause, Event::Move { viewer, place });
        }
    }

    /// Everybody on these edges sees nothing any more and asks again after a while.
    fn strand(&mut self, places: &std::ops::Range<usize>) {
        for (viewer, place) in self.watching(places) {
            let mut chance = Chance::of(self.setup.seed, Kind::Move, viewer.into(), 0);
            let pause = micros(chance.between(2.0, 6.0));
            self.take_off(viewer);
            self.viewers[viewer as usize].failed_by = Some(place);
            self.queue.push(self.now + pause, Event::Ask(viewer));
        }
    }

    fn watching(&self, places: &std::ops::Range<usize>) -> Vec<(u32, u32)> {
        let on = |(index, viewer): (usize, &Viewer)| match viewer.whereabouts {
            Whereabouts::On(place) if places.contains(&(place as usize)) => {
                Some((index as u32, place))
            }
            _ => None,
        };
        self.viewers.iter().enumerate().filter_map(on).collect()
    }
}

fn path(stream: usize) -> String {
    format!("/live/s{stream}/playlist.m3u8")
}

/// Edges whose capacities the viewers fill to the scenario's share.
fn lay_out(setup: &Setup, audience: &Audience, paths: &[String]) -> Vec<Edge> {
    const PROPORTION: [f64; 4] = [1.0, 4.0, 2.0, 3.0];
    let shares = || (0..setup.edges).map(|place| PROPORTION[place % PROPORTION.len()]);
    let traffic = f64::from(setup.viewers) * audience.viewer_bps();
    let unit = traffic / setup.scenario.fill() / shares().sum::<f64>();
    // Only affinity asks for streams; the others need not wait for them to be written.
    let wants_streams = setup.steering == Steering::By(Policy::Sticky);
    let named = if wants_streams { named(paths) } else { Arc::default() };
    let streams = paths.len();
    let mut edges: Vec<_> = shares()
        .enumerate()
        .map(|(place, share)| Edge::new(place, unit * share, streams, &named))
        .collect();
    if setup.scenario == Scenario::Cold {
        let mut cold = Edge::new(setup.edges, unit * 2.0, streams, &named);
        cold.condition = Condition::Off;
        edges.push(cold);
    }
    edges
}

/// None where an oracle chooses.
fn redirectors(setup: &Setup) -> Vec<Redirector> {
    let Steering::By(policy) = setup.steering else { return Vec::new() };
    let selection = || Selection {
        policy,
        // Each weighs what its own clients say.
        failure_evidence: setup.failure_evidence.then(|| Arc::new(Evidence::new())),
        ..setup.selection.clone()
    };
    let one = |index| Redirector::new(Arc::new(selection()), setup.seed, index as u64);
    (0..setup.shares.len()).map(one).collect()
}
