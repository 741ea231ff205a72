//! An order is on the disk before it is answered: the order of system calls, seen by strace.

use std::{fs, path::Path};

use tidegate_tests::{
    edge::{LiveEdges, SimulatedEdge},
    programs::Redirector,
    rpc::Rpc,
    tools::tool,
    wait::{SOON, eventually},
};

const CALLS: &str = "trace=fsync,fdatasync,sync_file_range,rename,renameat,renameat2,openat,write,\
                     writev,sendto,sendmsg,pwrite64";
const SIDECAR: &str = "admin.snapshot";

/// The command that starts the redirector and records its calls.
fn watcher(record: &Path) -> Vec<String> {
    // -D: strace is the grandchild, so the child that is killed and waited for is the redirector.
    let options = ["-D", "-f", "-yy", "-tt", "-s", "512", "-e", CALLS, "-o"];
    let strace = tool("strace").display().to_string();
    let mut command = vec![strace];
    command.extend(options.map(str::to_owned));
    command.push(record.display().to_string());
    command
}

#[test]
fn an_order_is_synced_to_the_store_and_the_sidecar_before_it_is_answered() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let record = home.path().join("strace");
    let redirector = Redirector::start_under(&watcher(&record));
    let edge = SimulatedEdge::new(redirector.key(), "edge-1");
    let _edges = LiveEdges::start(vec![edge], redirector.ports().heartbeat);
    redirector.until_liveness("edge-1", "UP");
    let mut rpc = Rpc::connect(redirector.ports().admin).expect("a connection");
    rpc.get("edge-1").expect("the connection is warm");
    for (verb, drain) in [("DrainEdge", true), ("UndrainEdge", false)] {
        let before = read(&record).len();
        rpc.order("edge-1", drain).expect(verb);
        let admin = redirector.ports().admin.to_string();
        let lines = eventually(SOON, "the answer is in the record", || {
            let lines: Vec<String> = read(&record)[before..].lines().map(str::to_owned).collect();
            match answer(&lines, &admin) {
                Some(_) => Ok(lines),
                None => Err(format!("{} calls", lines.len())),
            }
        });
        check_order(verb, &lines, &admin);
    }
}

fn read(record: &Path) -> String {
    String::from_utf8_lossy(&fs::read(record).unwrap_or_default()).into_owned()
}

/// Where the answer is written: the first write to the admin connection that names the edge.
fn answer(lines: &[String], admin: &str) -> Option<usize> {
    let writes = ["write(", "writev(", "sendto(", "sendmsg("];
    let to_client = format!("[{admin}->");
    lines.iter().position(|line| {
        writes.iter().any(|call| line.contains(call))
            && line.contains(&to_client)
            && line.contains("edge-1")
    })
}

fn check_order(verb: &str, lines: &[String], admin: &str) {
    let answer = answer(lines, admin).expect("awaited before");
    let from = |start: usize, holds: &dyn Fn(&str) -> bool| {
        lines.iter().skip(start).position(|line| holds(line)).map(|place| start + place)
    };
    let renamed =
        from(0, &|line| line.contains("rename") && line.contains(&format!("/{SIDECAR}\"")));
    let folder = renamed.map(|at| format!("{}>", sidecar_folder(&lines[at])));
    let steps = [
        ("the store's file is synced", from(0, &|line| is_sync(line) && line.contains("/db>"))),
        (
            "the sidecar's new file is synced",
            from(0, &|line| is_sync(line) && line.contains(&format!("/{SIDECAR}"))),
        ),
        ("the sidecar is renamed", renamed),
        (
            "the sidecar's folder is synced",
            folder.and_then(|folder| {
                from(renamed.unwrap_or(0), &|line| is_sync(line) && line.contains(&folder))
            }),
        ),
    ];
    for (what, place) in steps {
        let begun = place.unwrap_or_else(|| panic!("{verb}: {what}: not in {lines:#?}"));
        let done = finished(lines, begun);
        eprintln!("{verb}: {what}: {}", lines[begun]);
        assert!(done < answer, "{verb}: {what} only after the answer: {lines:#?}");
    }
    eprintln!("{verb}: answered: {}", lines[answer]);
    let [_, synced, renamed, folder] = steps.map(|(_, place)| place.expect("found above"));
    assert!(finished(lines, synced) < renamed && finished(lines, renamed) < folder, "{lines:#?}");
}

fn is_sync(line: &str) -> bool {
    line.contains("fsync(") || line.contains("fdatasync(")
}

/// The folder that a rename's target is in.
fn sidecar_folder(line: &str) -> &str {
    let target = line.split('"').nth(3).expect("a rename has two paths");
    target.strip_suffix(SIDECAR).map_or(target, |folder| folder.trim_end_matches('/'))
}

/// The line on which a call has returned; strace splits calls that others interrupt.
fn finished(lines: &[String], begun: usize) -> usize {
    if !lines[begun].contains("<unfinished ...>") {
        return begun;
    }
    let thread = lines[begun].split_whitespace().next().expect("a thread id");
    let resumed = lines.iter().skip(begun).position(|line| {
        line.split_whitespace().next() == Some(thread) && line.contains(" resumed>")
    });
    begun + resumed.expect("a call returns")
}
