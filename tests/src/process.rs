//! One child process: its output goes to a file, and it never outlives the test.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::eventually;

/// The most of a log that a failing test shows, in bytes.
const SHOWN_LEN_MAX: usize = 8_000;

/// A running program. Dropping it kills it, and shows its output if the test is failing.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output is appended to `log`.
    #[track_caller]
    pub fn start(mut command: Command, log: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let out = File::options().create(true).append(true).open(log).expect("a log file");
        let err = out.try_clone().expect("a second handle of the log file");
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name, child, log: log.to_owned() }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether it still runs.
    #[track_caller]
    pub fn is_running(&mut self) -> bool {
        self.exited().is_none()
    }

    /// Its exit status, once it has one.
    #[track_caller]
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child that can be asked")
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM.
    #[track_caller]
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Any signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap_or_else(|error| panic!("signal {}: {error}", self.name));
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(deadline, &what, || self.exited().ok_or_else(|| "it still runs".to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let output = self.output();
            let cut = output.len().saturating_sub(SHOWN_LEN_MAX);
            let tail = String::from_utf8_lossy(&output.as_bytes()[cut..]).into_owned();
            eprintln!("--- output of {} (pid {}):\n{tail}---", self.name, self.child.id());
        }
    }
}

/// What a program that ran to its end left behind.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code; `None`: a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Standard output, if the exit code was 0.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.out
    }
}

/// Runs a program to its end. One that does not end within `deadline` is killed, which is a
/// failure.
#[track_caller]
pub fn run(mut command: Command, deadline: Duration) -> Ran {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let create = |path: &Path| File::create(path).expect("a file for output");
    command.stdin(Stdio::null()).stdout(create(&out)).stderr(create(&err));
    let began = Instant::now();
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child that can be asked") {
            break status;
        }
        if began.elapsed() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            let said = fs::read_to_string(&err).unwrap_or_default();
            panic!("{command:?} did not end within {deadline:?}; it said: {said}");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let text = |path: &Path| {
        String::from_utf8_lossy(&fs::read(path).expect("the output just written")).into_owned()
    };
    Ran { code: status.code(), out: text(&out), err: text(&err), took: began.elapsed() }
}

/// Resident memory of a process in bytes, as /proc/PID/status tells it.
#[track_caller]
pub fn resident_bytes(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_else(|| panic!("{path} has no VmRSS")) * 1_024
}

/// Processor time a process has used (user and system), counted in steps of 10 ms.
#[track_caller]
pub fn cpu_time(pid: u32) -> Duration {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The name in parentheses may hold blanks; fields 14 and 15 count from after it.
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let ticks = fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0);
    Duration::from_millis(ticks * 10)
}
