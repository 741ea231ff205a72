//! Clients that come and go over some minutes, two redirectors, and edges that report.

use rand::RngExt;

use super::*;

const EDGES: usize = 30;
const ROOM: u32 = 400;
const STREAMS: usize = 60;
const JOINS_PER_S: usize = 60;
const STAY_S: usize = 120;
const REPORTS_EVERY: usize = 25;

#[derive(Default, Clone)]
struct Edge {
    viewers: HashMap<usize, u32>,
}

struct Course {
    redirectors: Vec<Redirector>,
    edges: Vec<Edge>,
    leaving: Vec<Vec<(usize, usize)>>,
    random: SmallRng,
    pulls: usize,
    peak: f64,
}

impl Course {
    fn run(policy: Policy) -> Self {
        let empty = fleet(&vec![(0, NO_STREAMS); EDGES]);
        let settings = selection(|s| (s.policy, s.redirectors) = (policy, 2));
        let redirector = || Redirector::new(&elsewhere(&empty), Arc::clone(&settings));
        let mut course = Self {
            redirectors: (0..2).map(|_| redirector()).collect(),
            edges: vec![Edge::default(); EDGES],
            leaving: vec![Vec::new(); 3 * STAY_S * 10 + STAY_S * 20],
            random: SmallRng::seed_from_u64(1),
            pulls: 0,
            peak: 0.0,
        };
        (0..3 * STAY_S * 10).for_each(|tenth| course.pass(tenth));
        course
    }

    /// A tenth of a second.
    fn pass(&mut self, tenth: usize) {
        for (edge, stream) in std::mem::take(&mut self.leaving[tenth]) {
            let viewers = self.edges[edge].viewers.get_mut(&stream).expect("somebody watches");
            *viewers -= 1;
            if *viewers == 0 {
                self.edges[edge].viewers.remove(&stream);
            }
        }
        for _ in 0..JOINS_PER_S / 10 {
            self.join(tenth);
        }
        for redirector in &mut self.redirectors {
            redirector.now += Duration::from_millis(100);
            let now = redirector.now;
            let mut fleet = redirector.snapshot.fleet.as_ref().clone();
            for (at, edge) in self.edges.iter().enumerate() {
                if at % REPORTS_EVERY == tenth % REPORTS_EVERY {
                    edge.report(&mut fleet.edges[at], now);
                }
            }
            redirector.plan(&Arc::new(fleet));
        }
        if tenth > STAY_S * 20 {
            let loads = self.edges.iter().map(Edge::load);
            let mean = loads.clone().sum::<f64>() / EDGES as f64;
            self.peak = self.peak.max(loads.fold(0.0, f64::max) / mean);
        }
    }

    fn join(&mut self, tenth: usize) {
        // Few streams have most viewers.
        let share: f64 = self.random.random();
        let stream = (STREAMS as f64).powf(share) as usize;
        let by = self.random.random_range(0..self.redirectors.len());
        let edge = usize::from(self.redirectors[by].send(&format!("live/{stream}")));
        let viewers = self.edges[edge].viewers.entry(stream).or_default();
        self.pulls += usize::from(*viewers == 0);
        *viewers += 1;
        let stay = self.random.random_range(STAY_S * 5..STAY_S * 15);
        self.leaving[tenth + stay].push((edge, stream));
    }
}

impl Edge {
    fn load(&self) -> f64 {
        f64::from(self.viewers.values().sum::<u32>()) / f64::from(ROOM)
    }

    fn report(&self, view: &mut Arc<EdgeView>, now: Duration) {
        let names: Vec<_> = self.viewers.iter().map(|(s, n)| (format!("live/{s}"), *n)).collect();
        let streams = Streams::of_names(names.iter().map(|(name, n)| (name.as_str(), *n)));
        *view = Arc::new(EdgeView {
            load: Load { viewers: Some(self.viewers.values().sum()), ..Load::default() },
            capacity: Capacity { viewers: Some(ROOM), bandwidth_bps: None },
            streams: Some(Arc::new(streams)),
            heard: now,
            handed_at_report: view.cell.handed(),
            session_reports: 100,
            ..view.as_ref().clone()
        });
    }
}

#[test]
fn sticky_pulls_a_fraction_of_what_fill_does_and_is_nearly_as_even() {
    let (sticky, fill) = (Course::run(Policy::Sticky), Course::run(Policy::Fill));
    let least = EDGES + STREAMS - 1;
    assert!(sticky.pulls <= least * 2, "{} pulls, and {least} are needed", sticky.pulls);
    assert!(fill.pulls >= sticky.pulls * 8, "{} and {} pulls", sticky.pulls, fill.pulls);
    assert!(sticky.peak < 1.08 && fill.peak < 1.06, "{} and {}", sticky.peak, fill.peak);
}
