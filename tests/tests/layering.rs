//! Holds the sources to ARCHITECTURE.md: which crate may name which, what pure modules never touch,
//! who reads a clock, and how long a file may be.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use toml::Table;

/// Every arrow between crates there may be. The tests may name any of them.
const ARROWS: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("agent", &["tidegate-proto"]),
    ("control", &["tidegate-proto"]),
    ("redirector", &["tidegate-agent", "tidegate-control", "tidegate-proto"]),
];

/// What modules of the redirector name of one another, on the way of a heartbeat and of a client.
const REDIRECTOR_ARROWS: &[(&str, &[&str])] = &[
    ("answer", &["error_body", "figures", "front", "server_info"]),
    ("clients", &["answer", "figures", "front", "network", "rtmp", "shed"]),
    ("front", &["error_body", "figures", "network", "shed"]),
    ("gate", &["figures"]),
    ("ingest", &["figures", "gate"]),
    ("ops", &["error_body", "front"]),
    ("rtmp", &["figures"]),
];

/// Modules that decide and do nothing else: they are told the time and the randomness.
const PURE: &[&str] = &[
    "control/src/order",
    "control/src/pick",
    "control/src/registry",
    "control/src/resolve",
    "control/src/selection",
    "control/src/simulate",
    "control/src/snapshot",
    "proto/src/datagram",
    "proto/src/edge",
    "proto/src/heartbeat",
    "proto/src/seal",
    "proto/src/stream",
    "proto/src/window",
    "redirector/src/answer",
    "redirector/src/clients/loop_guard",
    "redirector/src/clients/tunnel/call",
    "redirector/src/clients/tunnel/exchange",
    "redirector/src/clients/tunnel/table",
    "redirector/src/front/guard",
    "redirector/src/front/proxy",
    "redirector/src/gate",
    "redirector/src/network",
    "redirector/src/rtmp",
    "redirector/src/server_info",
    "redirector/src/shed",
];

/// What a pure module never names: runtimes, stores, sockets, files, threads and clocks.
const IMPURE: &[&str] = &[
    "Clock",
    "Instant",
    "Store",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "env",
    "fs",
    "hyper",
    "process",
    "sled",
    "thread",
    "tokio",
    "tonic",
    "tracing",
    "warp",
];

/// Who reads a clock in the control plane and the data plane, and why it is not handed the time.
const CLOCK_READERS: &[(&str, &str)] = &[
    ("control/src/clock.rs", "it is the clock"),
    ("control/src/admin/watch.rs", "paces a stream in the runtime's time, and decides nothing"),
    ("control/src/bin/tidegatectl/simulate/judge.rs", "says how long the simulations took"),
    ("control/src/bin/tidegatectl/table.rs", "shows ages to a person"),
    ("control/src/fleet/keeper.rs", "measures how long the store took, for a metric"),
    ("control/src/store/folder.rs", "waits for the lock of a folder"),
    ("control/src/store/ladder.rs", "waits for the lock of a folder"),
    ("control/src/store/trees.rs", "waits for the lock of a folder"),
    ("redirector/src/front/http.rs", "tells old connections to end"),
    ("redirector/src/front/places.rs", "orders connections by how long they have waited"),
    ("redirector/src/demo/edge.rs", "stands for a media server, which has a clock of its own"),
];

/// A longer file tells more than one story.
const LINES_MAX: usize = 500;

/// A source file: its path in the checkout, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// What compiles into a program: without comments and without the tests at the end.
    fn code(&self) -> String {
        let program = self.text.lines().take_while(|line| !line.ends_with("mod tests {"));
        let lines = program.filter(|line| !line.trim_start().starts_with("//"));
        lines
            .map(|line| line.split(" // ").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn names(&self, word: &str) -> bool {
        self.code().split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|found| found == word)
    }

    /// The modules of its own crate that it names.
    fn modules(&self) -> BTreeSet<String> {
        self.code().split("crate::").skip(1).flat_map(roots).collect()
    }

    fn is_in(&self, module: &str) -> bool {
        self.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// The first name of a path, or of each path where several stand in braces.
fn roots(paths: &str) -> Vec<String> {
    let root = |path: &str| -> String {
        path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = paths.strip_prefix('{') else { return vec![root(paths)] };
    let mut depth = 1_u32;
    let mut outermost = String::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            _ if depth == 1 => outermost.push(c),
            _ => {}
        }
    }
    outermost.split(',').map(root).filter(|root| !root.is_empty()).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout")
}

/// Every Rust file below a folder, in the order of paths.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(source(path));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn source(path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).expect("a readable source");
    let path = path.strip_prefix(root()).expect("below the checkout");
    Source { path: path.to_str().expect("UTF-8").to_owned(), text }
}

/// What the programs are made of.
fn programs() -> Vec<Source> {
    let all = ARROWS.iter().flat_map(|(krate, _)| sources(&format!("{krate}/src")));
    let all: Vec<_> = all.filter(|source| !source.is_test()).collect();
    assert!(all.len() > 100, "only {} sources were found", all.len());
    all
}

/// Every dependency a manifest names, whatever it is for.
fn dependencies(manifest: &Table) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (key, value) in manifest {
        let Some(inner) = value.as_table() else { continue };
        if key.ends_with("dependencies") {
            found.extend(inner.keys().cloned());
        } else {
            found.extend(dependencies(inner));
        }
    }
    found
}

fn manifest(krate: &str) -> Table {
    let path = root().join(krate).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().expect("a manifest is TOML")
}

#[test]
fn every_member_has_its_arrows() {
    let workspace = manifest(".");
    let members = workspace["workspace"]["members"].as_array().expect("members");
    let members: BTreeSet<&str> = members.iter().filter_map(|member| member.as_str()).collect();
    let known = ARROWS.iter().map(|(krate, _)| *krate).chain(["tests"]);
    assert_eq!(members, known.collect());
}

#[test]
fn crates_name_only_those_below_them() {
    for (krate, below) in ARROWS {
        let named = dependencies(&manifest(krate));
        let ours: BTreeSet<&str> =
            named.iter().map(String::as_str).filter(|name| name.starts_with("tidegate-")).collect();
        assert_eq!(ours, below.iter().copied().collect(), "{krate}/Cargo.toml");
    }
}

#[test]
fn modules_of_the_redirector_name_only_those_below_them() {
    let programs = programs();
    for (module, below) in REDIRECTOR_ARROWS {
        let path = format!("redirector/src/{module}");
        let files = programs.iter().filter(|source| source.is_in(&path));
        let mut named: BTreeSet<String> = files.flat_map(Source::modules).collect();
        named.remove(*module);
        let below: BTreeSet<String> = below.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(named, below, "{path}");
    }
}

#[test]
fn rtmp_knows_no_fleet() {
    for source in programs().iter().filter(|source| source.is_in("redirector/src/rtmp")) {
        for krate in ["tidegate_control", "tidegate_proto"] {
            assert!(!source.names(krate), "{} names {krate}", source.path);
        }
    }
}

#[test]
fn only_the_demo_links_the_agent() {
    let mut linked = 0;
    for source in sources("redirector").iter().filter(|source| source.names("tidegate_agent")) {
        assert!(source.is_in("redirector/src/demo"), "{} names the agent", source.path);
        linked += 1;
    }
    assert!(linked > 0, "nothing names the agent, so nothing was looked at");
}

#[test]
fn only_the_store_knows_sled() {
    for (krate, _) in ARROWS.iter().filter(|(krate, _)| *krate != "control") {
        assert!(!dependencies(&manifest(krate)).contains("sled"), "{krate}/Cargo.toml");
    }
    let mut knowing = 0;
    for source in sources("control").iter().filter(|source| source.names("sled")) {
        assert!(source.is_in("control/src/store"), "{} names sled", source.path);
        knowing += 1;
    }
    assert!(knowing > 0, "nothing names sled, so nothing was looked at");
}

#[test]
fn decisions_touch_nothing_outside() {
    let programs = programs();
    for module in PURE {
        let files: Vec<_> = programs.iter().filter(|source| source.is_in(module)).collect();
        assert!(!files.is_empty(), "there is no {module}");
        for source in files {
            for word in IMPURE {
                assert!(!source.names(word), "{} is pure and names {word}", source.path);
            }
        }
    }
}

#[test]
fn the_time_is_read_where_it_is_said_to_be() {
    let reads = |source: &&Source| {
        let code = source.code();
        code.contains("Instant::now") || code.contains("SystemTime::now")
    };
    let programs = programs();
    let planes = ["control/src/", "redirector/src/"];
    let found: BTreeSet<&str> = programs
        .iter()
        .filter(|source| planes.iter().any(|plane| source.path.starts_with(plane)))
        .filter(reads)
        .map(|source| source.path.as_str())
        .collect();
    let said: BTreeSet<&str> = CLOCK_READERS.iter().map(|(path, _)| *path).collect();
    assert_eq!(found, said, "found, and said in CLOCK_READERS with a reason");
}

#[test]
fn files_are_short() {
    for source in programs().iter().filter(|source| !source.path.starts_with("proto/src/gen/")) {
        let lines = source.text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; part it by story", source.path);
    }
}

#[test]
fn comments_and_tests_name_what_they_like() {
    let text = "//! On tokio.\nuse std::time::Duration; // Not sled.\nfn instant() {}\n\
                #[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    let source = Source { path: "x/src/gate.rs".into(), text: text.into() };
    assert!(source.names("Duration") && source.names("instant"));
    assert!(IMPURE.iter().all(|word| !source.names(word)));
    assert!(source.is_in("x/src/gate") && !source.is_in("x/src/gat"));
}

#[test]
fn modules_are_found_in_braces_and_without() {
    let text = "use crate::{\n    a::{b, c::D},\n    e,\n};\nuse crate::f::{g, h};\n\
                pub(in crate::i) fn j(k: crate::l::M) {}\n";
    let source = Source { path: "x/src/gate.rs".into(), text: text.into() };
    let found: Vec<_> = source.modules().into_iter().collect();
    assert_eq!(found, ["a", "e", "f", "i", "l"]);
}
