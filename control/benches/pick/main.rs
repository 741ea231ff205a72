//! What a pick costs, and what a table costs.
//!
//! `cargo bench -p tidegate-control --bench pick` prints, for each policy and size of fleet, the time
//! and the allocations of a pick beside a scan over all edges in the same process, which says how
//! fast this machine is today; and the time to make a table. With `-- --instructions` it counts the
//! instructions of a pick under callgrind instead, which no other load disturbs.

mod fleet;

use std::{
    collections::HashSet,
    hint::black_box,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::SmallRng};
use tidegate_control::{
    pick::{Wanted, pick},
    publish::Snapshot,
    selection::{Planner, Policy, Selection},
    snapshot::FleetView,
};
use tidegate_proto::edge::Scheme;

const SIZES: [usize; 3] = [10, 1_000, 100_000];
/// Picks between two tables.
const BATCH: usize = 20_000;
const BATCHES: usize = 20;
/// What a scan needs at the largest size is known well enough after so many.
const SCANS: usize = 20;
/// Tables made to time one.
const PLANS: usize = 15;
/// Picks counted under callgrind.
const COUNTED: usize = 20_000;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => times(),
        ["--instructions"] => instructions(),
        ["--picks", policy, edges, picks] => {
            let policy = policy.parse().expect("a policy");
            only_pick(policy, number(edges), number(picks));
        }
        _ => say("usage: pick [--instructions]".into()),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

#[allow(clippy::print_stdout)]
fn say(line: String) {
    println!("{line}");
}

struct Course {
    planner: Planner,
    fleet: Arc<FleetView>,
    now: Duration,
    random: SmallRng,
    own: HashSet<(std::net::IpAddr, u16)>,
}

impl Course {
    fn new(policy: Policy, edges: usize) -> Self {
        let selection = Selection { policy, ..Selection::default() };
        Self {
            planner: Planner::new(Arc::new(selection)),
            fleet: Arc::new(fleet::of(edges)),
            now: Duration::from_secs(100),
            random: SmallRng::seed_from_u64(1),
            own: HashSet::new(),
        }
    }

    /// A table, after 100 ms in which the usual share of the edges has reported.
    fn plan(&mut self) -> (Snapshot, Duration) {
        self.now += Duration::from_millis(100);
        self.fleet = Arc::new(fleet::reported(&self.fleet, self.now));
        let begun = Instant::now();
        let table = Arc::new(self.planner.plan(&self.fleet, self.now));
        (Snapshot { fleet: Arc::clone(&self.fleet), table }, begun.elapsed())
    }

    fn pick(&mut self, snapshot: &Snapshot) {
        let wanted =
            Wanted { path: "/live/cam.m3u8", ..Wanted::new(Some(Scheme::Http), 80, &self.own) };
        let picked = pick(snapshot, black_box(&wanted), self.now, &mut self.random);
        let _ = black_box(picked.expect("there is an edge"));
    }
}

fn times() {
    say("policy    edges   pick ns   scan ns   scan/pick   allocations   table ms".into());
    for edges in SIZES {
        let scan_ns = scan_ns(edges);
        for policy in Policy::ALL {
            let mut course = Course::new(policy, edges);
            let (pick_ns, allocations) = course.time_picks();
            let table_ms = course.time_tables();
            let ratio = scan_ns / pick_ns;
            say(format!(
                "{policy:<8} {edges:>6} {pick_ns:>9.1} {scan_ns:>9.0} {ratio:>11.1} {allocations:>13} {table_ms:>10.2}"
            ));
        }
    }
}

impl Course {
    /// The best batch, and all allocations.
    fn time_picks(&mut self) -> (f64, u64) {
        let (mut times, mut allocations) = (Vec::new(), 0);
        for _ in 0..BATCHES {
            let (snapshot, _) = self.plan();
            let mut spent = Duration::ZERO;
            let counted = allocation_counter::measure(|| {
                let begun = Instant::now();
                (0..BATCH).for_each(|_| self.pick(&snapshot));
                spent = begun.elapsed();
            });
            allocations += counted.count_total;
            times.push(spent.as_secs_f64() * 1e9 / BATCH as f64);
        }
        (best(times), allocations)
    }

    fn time_tables(&mut self) -> f64 {
        best((0..PLANS).map(|_| self.plan().1.as_secs_f64() * 1e3).collect())
    }
}

/// The way without a table: every edge is looked at for every client.
fn scan_ns(edges: usize) -> f64 {
    let fleet = fleet::of(edges);
    let mut times = Vec::new();
    for _ in 0..SCANS {
        let begun = Instant::now();
        black_box(fleet::scan(black_box(&fleet)));
        times.push(begun.elapsed().as_secs_f64() * 1e9);
    }
    best(times)
}

/// The best of many: what else the machine does can only add to it.
fn best(figures: Vec<f64>) -> f64 {
    figures.into_iter().fold(f64::INFINITY, f64::min)
}

fn only_pick(policy: Policy, edges: usize, picks: usize) {
    let mut course = Course::new(policy, edges);
    let (snapshot, _) = course.plan();
    (0..picks).for_each(|_| course.pick(&snapshot));
}

/// Two runs that differ in nothing but the number of picks.
fn instructions() {
    say("policy    edges   instructions a pick".into());
    for edges in SIZES {
        for policy in Policy::ALL {
            let few = callgrind(policy, edges, COUNTED / 2);
            let many = callgrind(policy, edges, COUNTED);
            let each = (many - few) / (COUNTED / 2) as f64;
            say(format!("{policy:<8} {edges:>6} {each:>13.0}"));
        }
    }
}

/// Instructions of a whole run, by callgrind's last line.
fn callgrind(policy: Policy, edges: usize, picks: usize) -> f64 {
    let program = std::env::current_exe().expect("this program has a path");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--picks", policy.as_str(), &edges.to_string(), &picks.to_string()])
        .output()
        .expect("valgrind is installed");
    let said = String::from_utf8_lossy(&run.stderr);
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1));
    collected.and_then(|count| count.trim().parse().ok()).expect("callgrind says what it collected")
}
