//! What a pick costs, and what a table costs.
//!
//! `cargo bench -p tidegate-control --bench pick` prints, for each policy and size of fleet, the time
//! of a choice (the edge is settled, its drain asked for again, the redirect counted), that of a
//! whole pick (the edge is handed out too), a pick's allocations, and the time to make a table; and
//! beside them the time of a scan over all edges in the same process, which says how fast this
//! machine is today. The first choices after a table have a column of their own: making it, on the
//! same processor here, has just swept the caches, and a large fleet waits for its memory again. Each
//! is the median of many batches that take turns. With `-- --instructions` it
//! counts instructions under callgrind instead, which no other load disturbs. Both can be asked of one
//! policy and size of fleet: `-- --times fill 100000`.

mod fleet;

use std::{
    collections::HashSet,
    hint::black_box,
    net::IpAddr,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::SmallRng};
use tidegate_control::{
    pick::{Wanted, choose, pick},
    publish::Snapshot,
    selection::{Planner, Policy, Selection},
    snapshot::FleetView,
};
use tidegate_proto::edge::Scheme;

const SIZES: [usize; 3] = [10, 1_000, 100_000];
/// Under callgrind a large fleet takes minutes to be made, so that it is counted only when asked for.
const SIZES_COUNTED: [usize; 2] = [10, 1_000];
/// Choices that meet the memory as a new table leaves it.
const FIRST: usize = 5_000;
/// Choices, and picks, between two tables after those.
const BATCH: usize = 20_000;
const BATCHES: usize = 20;
/// Tables made to time one.
const PLANS: usize = 15;
/// Picks counted under callgrind.
const COUNTED: usize = 10_000;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => SIZES.into_iter().for_each(|edges| times(&Policy::ALL, edges)),
        ["--times", policy, edges] => times(&[policy.parse().expect("a policy")], number(edges)),
        ["--instructions"] => SIZES_COUNTED.into_iter().for_each(|n| instructions(&Policy::ALL, n)),
        ["--instructions", policy, edges] => {
            instructions(&[policy.parse().expect("a policy")], number(edges));
        }
        ["--picks", policy, edges, picks] => {
            let mut course = Course::new(policy.parse().expect("a policy"), number(edges));
            let (snapshot, _) = course.plan();
            (0..number(picks)).for_each(|_| course.pick(&snapshot));
        }
        ["--plans", policy, edges, plans] => {
            let mut course = Course::new(policy.parse().expect("a policy"), number(edges));
            (0..number(plans)).for_each(|_| drop(course.plan()));
        }
        _ => say("usage: pick [--times POLICY EDGES | --instructions [POLICY EDGES]]".into()),
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
    own: HashSet<(IpAddr, u16)>,
}

impl Course {
    fn new(policy: Policy, edges: usize) -> Self {
        let selection = Selection { policy, ..Selection::default() };
        Self {
            planner: Planner::new(Arc::new(selection)),
            fleet: Arc::new(fleet::of(edges)),
            now: Duration::from_secs(100),
            random: SmallRng::seed_from_u64(1),
            own: HashSet::from([([10, 200, 0, 1].into(), 80), ([127, 0, 0, 1].into(), 80)]),
        }
    }

    /// A table, after 100 ms in which the usual share of the edges has reported.
    fn plan(&mut self) -> (Snapshot, Duration) {
        self.now += Duration::from_millis(100);
        let next = Arc::new(fleet::reported(&self.fleet, self.now));
        // The snapshot before keeps its views until it is replaced by this one.
        let _before = std::mem::replace(&mut self.fleet, next);
        let begun = Instant::now();
        let table = Arc::new(self.planner.plan(&self.fleet, self.now));
        (Snapshot { fleet: Arc::clone(&self.fleet), table }, begun.elapsed())
    }

    fn pick(&mut self, snapshot: &Snapshot) {
        let wanted = wanted(&self.own);
        let picked = pick(snapshot, black_box(&wanted), self.now, &mut self.random);
        let _ = black_box(picked.expect("there is an edge"));
    }

    fn choose(&mut self, snapshot: &Snapshot) {
        let wanted = wanted(&self.own);
        let chosen = choose(snapshot, black_box(&wanted), self.now, &mut self.random);
        let _ = black_box(chosen.expect("there is an edge"));
    }
}

fn wanted(own: &HashSet<(IpAddr, u16)>) -> Wanted<'_> {
    Wanted { path: "/live/cam.m3u8", ..Wanted::new(Some(Scheme::Http), 80, own) }
}

fn times(policies: &[Policy], edges: usize) {
    say("policy    edges  first ns  choice ns   pick ns   scan ns  allocations   table ms".into());
    for &policy in policies {
        let mut course = Course::new(policy, edges);
        let Times { first_ns, choice_ns, pick_ns, scan_ns, allocations } = course.time_picks();
        let table_ms = course.time_tables();
        say(format!(
            "{policy:<8} {edges:>6} {first_ns:>9.1} {choice_ns:>10.1} {pick_ns:>9.1} {scan_ns:>9.0} {allocations:>12} {table_ms:>10.2}"
        ));
    }
}

/// Medians, and all allocations.
struct Times {
    first_ns: f64,
    choice_ns: f64,
    pick_ns: f64,
    scan_ns: f64,
    allocations: u64,
}

impl Course {
    fn time_picks(&mut self) -> Times {
        let empty = || Vec::with_capacity(BATCHES);
        let (mut firsts, mut choices, mut picks, mut scans) = (empty(), empty(), empty(), empty());
        let mut allocations = 0;
        for _ in 0..BATCHES {
            let (snapshot, _) = self.plan();
            let counted = allocation_counter::measure(|| {
                firsts.push(each_ns(FIRST, || self.choose(&snapshot)));
                choices.push(each_ns(BATCH, || self.choose(&snapshot)));
                picks.push(each_ns(BATCH, || self.pick(&snapshot)));
            });
            allocations += counted.count_total;
            scans.push(each_ns(1, || _ = black_box(scan(black_box(&snapshot.fleet)))));
        }
        Times {
            first_ns: median(firsts),
            choice_ns: median(choices),
            pick_ns: median(picks),
            scan_ns: median(scans),
            allocations,
        }
    }

    fn time_tables(&mut self) -> f64 {
        median((0..PLANS).map(|_| self.plan().1.as_secs_f64() * 1e3).collect())
    }
}

/// What one of so many takes, in nanoseconds.
fn each_ns(count: usize, mut one: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..count).for_each(|_| one());
    begun.elapsed().as_secs_f64() * 1e9 / count as f64
}

/// The way without a table: every edge is looked at for every client.
///
/// The place of the edge with the lowest share of its capacity in use.
fn scan(fleet: &FleetView) -> Option<usize> {
    let share = |place: &usize| {
        let edge = &fleet.edges[*place];
        let viewers = edge.load.viewers.map(|viewers| f64::from(viewers) + edge.pending() as f64);
        let capacity = edge.capacity.viewers.map(f64::from).or(fleet.estimates.viewers);
        let is_out = edge.cell.is_drained() || edge.fresh_until.is_zero();
        (!is_out).then(|| viewers.unwrap_or(0.0) / capacity.unwrap_or(4_000.0) / edge.weight)
    };
    let shares = fleet.eligible.iter().filter_map(|place| Some((share(place)?, *place)));
    shares.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, place)| place)
}

/// Half of them are above it: what else the machine does takes part in few batches, or in all.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Two runs each that differ in nothing but the number of picks, or of tables.
fn instructions(policies: &[Policy], edges: usize) {
    say("policy    edges   instructions a pick   a table".into());
    for &policy in policies {
        let each = |what: &str, few: usize| {
            let [fewer, more] = [few, 2 * few].map(|n| callgrind(what, policy, edges, n));
            (more - fewer) / few as f64
        };
        let (pick, table) = (each("--picks", COUNTED), each("--plans", 4));
        say(format!("{policy:<8} {edges:>6} {pick:>21.0} {table:>9.0}"));
    }
}

/// Instructions of a whole run, by callgrind's last line.
fn callgrind(what: &str, policy: Policy, edges: usize, count: usize) -> f64 {
    let program = std::env::current_exe().expect("this program has a path");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([what, policy.as_str(), &edges.to_string(), &count.to_string()])
        .output()
        .expect("valgrind is installed");
    let said = String::from_utf8_lossy(&run.stderr);
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1));
    collected.and_then(|count| count.trim().parse().ok()).expect("callgrind says what it collected")
}
