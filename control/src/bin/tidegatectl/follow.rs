//! Watching: one redirector's stream, and the next one's when it breaks.

use std::time::Duration;

use tidegate_proto::admin::{WatchFleetRequest, WatchFleetResponse, watch_fleet_response::Kind};
use tokio::time::sleep;

use crate::{
    args::Output,
    connect::{Refusal, connect},
    failure::Failure,
    reads::json,
    show::{say, tell},
    table::{self, Table},
    target::Target,
};

const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Rounds through all redirectors before giving up, once one of them could be watched: long enough
/// for a restart.
const ROUNDS: usize = 10;

/// Why a stream ended.
enum Stop {
    /// The redirector's fault. Whether it had shown the whole fleet before.
    Broken { refusal: Refusal, was_synced: bool },
    /// This program's.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Follows the fleet until interrupted, or until no redirector can be watched any more.
pub(crate) async fn watch(targets: &[Target], output: Output) -> Result<(), Failure> {
    let (mut failures, mut rounds) = (0, 1);
    for target in targets.iter().cycle() {
        let (refusal, was_synced) = match follow(target, output).await {
            Stop::Broken { refusal, was_synced } => (refusal, was_synced),
            Stop::Failed(failure) => return Err(failure),
        };
        let said = format!("{}: {refusal}", target.name);
        if was_synced {
            (failures, rounds) = (0, ROUNDS);
        } else {
            failures += 1;
        }
        if !refusal.is_worth_another() || failures >= rounds * targets.len() {
            return Err(Failure::Failed(said));
        }
        tell(&said);
        sleep(AGAIN_AFTER).await;
    }
    Ok(())
}

async fn follow(target: &Target, output: Output) -> Stop {
    let mut lines = Lines { table: Table::with_event(), synced: false, output };
    match stream(target, &mut lines).await {
        Ok(()) => {
            let refusal = Refusal::Unreachable("the stream ended".into());
            Stop::Broken { refusal, was_synced: lines.synced }
        }
        Err(Stop::Broken { refusal, .. }) => Stop::Broken { refusal, was_synced: lines.synced },
        Err(failed) => failed,
    }
}

async fn stream(target: &Target, lines: &mut Lines) -> Result<(), Stop> {
    let broken = |refusal| Stop::Broken { refusal, was_synced: false };
    let mut client = connect(target).await.map_err(broken)?;
    let stream = client.watch_fleet(WatchFleetRequest {}).await;
    let mut stream = stream.map_err(|status| broken(status.into()))?.into_inner();
    while let Some(message) = stream.message().await.map_err(|status| broken(status.into()))? {
        lines.show(&message)?;
    }
    Ok(())
}

/// What is shown of a stream. A table is collected until the fleet is whole, then grows by a line
/// a change.
struct Lines {
    table: Table,
    synced: bool,
    output: Output,
}

impl Lines {
    fn show(&mut self, message: &WatchFleetResponse) -> Result<(), Failure> {
        self.synced |= message.kind() == Kind::Synced;
        if self.output == Output::Json {
            return say(&json("WatchFleetResponse", message)?);
        }
        let Some(edge) = &message.edge else {
            return if message.kind() == Kind::Synced { say(&self.table.take()) } else { Ok(()) };
        };
        let event = match message.kind() {
            Kind::Removed => "REMOVED",
            Kind::Updated => "CHANGED",
            _ => "IS",
        };
        let mut cells = vec![event.to_owned()];
        cells.extend(table::row(edge, table::now()));
        if self.synced {
            return say(&self.table.line(&cells));
        }
        self.table.push(cells);
        Ok(())
    }
}
