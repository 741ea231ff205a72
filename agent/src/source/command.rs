//! Figures that a program prints each time it is asked. It is started directly, without a shell, and
//! it and whatever it started are killed when they outlast their time.

use std::{
    io,
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tidegate_proto::heartbeat::Trouble;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    runtime, time,
};

use super::{
    Measurement, Source,
    figures::{FIGURES_LEN_MAX, parse_moment},
    page::Scales,
    trouble,
};

/// How much of what a program complains about is kept.
const COMPLAINT_LEN_MAX: u64 = 4_096;
/// How much of its first line is shown.
const SHOWN_LEN_MAX: usize = 100;
/// The kernel has so long to bury what was killed.
const BURIAL_MAX: Duration = Duration::from_millis(100);

/// Runs one program at each measurement.
pub(super) struct CommandSource {
    words: Vec<String>,
    patience: Duration,
    scales: Scales,
}

/// What a program that ended left behind.
struct Left {
    status: ExitStatus,
    printed: Vec<u8>,
    complaint: Vec<u8>,
}

enum Fault {
    Io(io::Error),
    TooLong,
    TooLate,
}

impl CommandSource {
    /// A program and its arguments, which have to be done within `patience`.
    pub(super) fn new(words: Vec<String>, patience: Duration) -> Self {
        Self { words, patience, scales: Scales::default() }
    }

    /// The program without its arguments, which may be nobody's business.
    fn place(&self) -> String {
        format!("the command {}", self.words.first().map_or("", String::as_str))
    }

    fn print(&self) -> Result<String, Trouble> {
        let place = self.place();
        let left = self.run().map_err(|fault| match fault {
            Fault::Io(error) if error.kind() == io::ErrorKind::NotFound => trouble(
                "source_missing",
                format!("{place} does not exist, or what its first line names does not"),
            ),
            Fault::Io(error) => trouble("source_failed", format!("{place} cannot run: {error}")),
            Fault::TooLong => trouble("source_unreadable", format!("{place} prints over 1 MiB")),
            Fault::TooLate => {
                let text = format!("{place} was not done in {:?} and was killed", self.patience);
                trouble("source_failed", text)
            }
        })?;
        if !left.status.success() {
            let said = complaint(&left.complaint);
            return Err(trouble("source_failed", format!("{place}: {}{said}", left.status)));
        }
        String::from_utf8(left.printed)
            .map_err(|_| trouble("source_unreadable", format!("{place} prints what is no UTF-8")))
    }

    /// A runtime of its own on a thread of its own: whoever measures may be on one already.
    fn run(&self) -> Result<Left, Fault> {
        thread::scope(|scope| {
            let ran = thread::Builder::new().name("tidegate-command".to_owned()).spawn_scoped(
                scope,
                || {
                    let runtime = runtime::Builder::new_current_thread().enable_all().build();
                    runtime.map_err(Fault::Io)?.block_on(run(&self.words, self.patience))
                },
            );
            let gone = |_| Err(Fault::Io(io::Error::other("its thread broke down")));
            ran.map_err(Fault::Io)?.join().unwrap_or_else(gone)
        })
    }
}

impl Source for CommandSource {
    fn measure(&mut self) -> Result<Measurement, Trouble> {
        let text = self.print()?;
        let place = self.place();
        let reading = parse_moment(&text)
            .map_err(|(code, why)| trouble(code, format!("what {place} prints {why}")))?;
        self.scales.weigh(&place, reading, Instant::now())
    }
}

async fn run(words: &[String], patience: Duration) -> Result<Left, Fault> {
    let (program, arguments) = words.split_first().map_or(("", words), |(p, a)| (p.as_str(), a));
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(Fault::Io)?;
    // Its group has the number of the child, which stays taken until the child is waited for.
    let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let ended = time::timeout(patience, end(&mut child)).await.unwrap_or(Err(Fault::TooLate));
    if ended.is_err() {
        // Nobody is left to be killed where the group is gone already.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = time::timeout(BURIAL_MAX, child.wait()).await;
    }
    ended
}

/// Reads what it prints until the last one who can print is gone, and only then waits for it.
async fn end(child: &mut Child) -> Result<Left, Fault> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let printed = async {
        let printed = start(out, FIGURES_LEN_MAX + 1).await?;
        match printed.len() as u64 > FIGURES_LEN_MAX {
            true => Err(Fault::TooLong),
            false => Ok(printed),
        }
    };
    let complaint = async {
        let mut err = err;
        let complaint = start(err.as_mut(), COMPLAINT_LEN_MAX).await?;
        if let Some(mut rest) = err {
            // Unread, it would hold up a program that complains at length.
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map_err(Fault::Io)?;
        }
        Ok(complaint)
    };
    let (printed, complaint) = tokio::try_join!(printed, complaint)?;
    let status = child.wait().await.map_err(Fault::Io)?;
    Ok(Left { status, printed, complaint })
}

/// The first bytes of a stream.
async fn start(stream: Option<impl AsyncRead + Unpin>, most: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(most).read_to_end(&mut bytes).await.map_err(Fault::Io)?;
    }
    Ok(bytes)
}

/// The first line of what it complained about, for the end of a sentence.
fn complaint(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => format!(": {:?}", line.chars().take(SHOWN_LEN_MAX).collect::<String>()),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
