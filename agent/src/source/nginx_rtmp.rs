//! nginx with its RTMP module, asked for the page that `rtmp_stat all` makes.

mod stat;

use std::time::Duration;

use tidegate_proto::heartbeat::{Load, Trouble};

use super::{
    Server,
    fetch::{Fetch, absurd, misread},
    page::{Page, Reading},
    trouble,
};
use stat::{Stat, Wrong, parse};

/// Reads the page, and notices when several workers answer in turn.
#[derive(Debug, Default)]
pub(super) struct NginxRtmp {
    worker: Worker,
}

impl Page for NginxRtmp {
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble> {
        let text = fetch.text("").inspect_err(|_| self.worker = Worker::default())?;
        let stat = parse(&text).map_err(|wrong| match wrong {
            Wrong::Form(why) => misread(fetch.place(), why),
            Wrong::Figure { name, value } => absurd(fetch.place(), &name, value),
        })?;
        if self.worker.is_one_of_several(&stat) {
            return Err(several_workers(fetch.place(), stat.pid));
        }
        Ok(reading(stat))
    }
}

fn several_workers(place: &str, pid: u64) -> Trouble {
    let text = format!(
        "{place} is the page of one nginx worker (pid {pid}) of several, each of which counts its \
         own viewers only; set worker_processes 1"
    );
    trouble("source_absurd", text)
}

/// What of a page is the server's load. Its own rates are means over ten seconds and not taken.
fn reading(stat: Stat) -> Reading {
    let whole = |bytes| Some([(String::new(), bytes)].into());
    Reading {
        load: Load {
            viewers: Some(stat.viewers),
            publishers: Some(stat.publishers),
            ..Load::default()
        },
        viewers_fed: Some(stat.viewers_fed),
        bytes_out: whole(stat.bytes_out),
        bytes_in: whole(stat.bytes_in),
        streams: Some(stat.streams),
        server: Server { version: stat.version, uptime: Some(Duration::from_secs(stat.uptime_s)) },
        ..Reading::default()
    }
}

/// Whose page it was. Each worker of nginx has a page of its own, and which one answers is chance.
#[derive(Debug, Default)]
struct Worker {
    pid: Option<u64>,
    /// Who answered before this one, since nginx was started.
    before: Option<u64>,
    uptime_s: u64,
    several: bool,
}

impl Worker {
    /// Whether another worker than the last time answers. Workers share the uptime, so one that goes on
    /// is no new start. A worker that replaces a crashed one is told once; one that answers again after
    /// another proves that there are several.
    fn is_one_of_several(&mut self, stat: &Stat) -> bool {
        if stat.uptime_s < self.uptime_s {
            *self = Self::default();
        }
        self.uptime_s = stat.uptime_s;
        let changed = self.pid.is_some_and(|pid| pid != stat.pid);
        if changed {
            self.several |= self.before == Some(stat.pid);
            self.before = self.pid;
        }
        self.pid = Some(stat.pid);
        self.several |= stat.has_other_workers;
        changed || self.several
    }
}

#[cfg(test)]
mod tests;
