//! The program's life: read the command line, bind, say where, serve, and leave in good order.

use std::{io, path::PathBuf, process};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tidegate_proto::{ports_file, program::Failure, settings};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinError,
};

use crate::{
    config::{Config, ENVIRONMENT, SETTINGS, TelemetryConfig},
    demo::{Demo, DemoDir},
    server::{Ended, Server, StartError, open_files},
    telemetry::{Collector, Telemetry, TelemetryError},
};

const LONG_ABOUT: &str = "\
Sends each viewer to the least loaded edge of a live-streaming fleet.

It hears sealed heartbeats from the agents beside the edges (UDP 1934), answers clients with \
redirects (TCP 1935), takes operators' orders over gRPC (TCP 1936), and shows probes and metrics \
(TCP 1937). Drains are on disk before they are answered.";

const EXAMPLES: &str = "\
Examples:
  Try it with three edges on this machine:
    $ tidegate-redirector --demo

  For real (make a key first; agents get theirs from `tidegatectl key issue`):
    $ tidegatectl key generate > /etc/tidegate/keys && chmod 600 /etc/tidegate/keys
    $ tidegate-redirector --config /etc/tidegate/redirector.toml

Keys, tokens, certificates and selection.geoip_file are read again when they change, at once on \
SIGHUP. SIGTERM stops in good order, a second one at once.
Exit codes: 0 clean stop, 64 bad configuration, 1 failure to start or to go on.";

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Configuration(said) => Self::Configuration(said),
            StartError::System(said) => Self::StartUp(said),
        }
    }
}

/// The command line.
#[must_use]
pub fn command() -> Command {
    let switch = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let path = |name: &'static str| {
        Arg::new(name).long(name).value_name("PATH").value_parser(value_parser!(PathBuf))
    };
    let command = Command::new("tidegate-redirector")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Sends each viewer to the least loaded edge of a live-streaming fleet.")
        .long_about(LONG_ABOUT)
        .after_help(EXAMPLES)
        .arg(path("config").help("Configuration file (TOML)"))
        .arg(switch("check").help("Check the configuration and the files it names, and exit"))
        .arg(path("ports-file").help("Write the bound addresses here as JSON, once all listen"))
        .arg(switch("demo").help("Run a redirector and three edges on this machine"))
        .arg(path("demo-dir").help("Where the demo keeps its store and identities"))
        .arg(switch("demo-reset").help("Forget what earlier demos kept, then start"));
    settings::add_flags(command, ENVIRONMENT, SETTINGS, &Config::default())
}

/// What the command line asks for.
#[derive(Debug)]
pub struct Task {
    config: Config,
    demo: Option<DemoDir>,
    ports_file: Option<PathBuf>,
}

/// Reads and checks the configuration.
pub fn configure(matches: &ArgMatches) -> Result<Task, Failure> {
    let file = matches.get_one::<PathBuf>("config").map(PathBuf::as_path);
    let mut config: Config =
        settings::load(file, matches, SETTINGS).map_err(Failure::configuration)?;
    let mut demo = None;
    if matches.get_flag("demo") {
        let dir = DemoDir::new(matches.get_one::<PathBuf>("demo-dir").cloned());
        if matches.get_flag("demo-reset") {
            dir.clear().map_err(Failure::start_up)?;
        }
        config = dir.adapt(config).map_err(Failure::start_up)?;
        demo = Some(dir);
    }
    config.check().map_err(Failure::configuration)?;
    Ok(Task { config, demo, ports_file: matches.get_one::<PathBuf>("ports-file").cloned() })
}

/// What `--check` says when all is well.
pub fn check(task: &Task) -> Result<String, Failure> {
    let notes = Server::check(&task.config)?;
    let mut said = "the configuration is valid".to_owned();
    for note in notes {
        said.push_str("\nwarning: ");
        said.push_str(&note);
    }
    Ok(said)
}

/// Serves until SIGTERM or SIGINT. `print` shows a text to whoever started the program.
pub fn run(task: Task, print: impl Fn(&str)) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::cannot_start)?;
    let outcome = runtime.block_on(serve(task, print));
    runtime.shutdown_background();
    outcome
}

async fn serve(task: Task, print: impl Fn(&str)) -> Result<(), Failure> {
    open_files::raise();
    let telemetry = start_telemetry(&task.config.telemetry).map_err(Failure::configuration)?;
    let mut signals = Signals::new().map_err(Failure::cannot_start)?;
    // From here on: a SIGHUP that nobody listens for would end the process.
    let reloads = signal(SignalKind::hangup()).map_err(Failure::cannot_start)?;
    let server = Server::bind(task.config).await?;
    let addresses = server.addresses();
    print(&addresses.to_string());
    if let Some(path) = &task.ports_file {
        ports_file::write(path, &addresses.by_name()).map_err(Failure::start_up)?;
    }
    let demo = match &task.demo {
        None => None,
        Some(dir) => {
            let demo = Demo::start(dir, addresses.heartbeat, &server.demo_key()?)
                .await
                .map_err(Failure::start_up)?;
            print(&demo.guide(addresses.first_client(), addresses.admin, addresses.ops));
            Some(demo)
        }
    };
    let (stop, stopping) = tokio::sync::oneshot::channel();
    let mut serving = tokio::spawn(server.run(stopping, reloads));
    tokio::select! {
        () = signals.stop() => tracing::info!("stopping"),
        ended = &mut serving => {
            telemetry.shutdown().await;
            return how_it_went(ended);
        }
    }
    let leave = async {
        if let Some(demo) = demo {
            demo.stop().await;
        }
        let _ = stop.send(());
        let ended = serving.await;
        telemetry.shutdown().await;
        how_it_went(ended)
    };
    tokio::select! {
        went = leave => went,
        () = signals.stop() => process::exit(1),
    }
}

fn how_it_went(ended: Result<Result<(), Ended>, JoinError>) -> Result<(), Failure> {
    ended
        .map_err(|error| Failure::Ended(format!("the server ended badly: {error}")))?
        .map_err(|ended| Failure::Ended(ended.to_string()))
}

fn start_telemetry(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let collector = Collector::parse(&config.otlp_endpoint)?;
    Telemetry::init(&config.log, &config.log_format, collector.as_ref())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }
}
