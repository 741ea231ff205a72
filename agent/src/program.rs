//! The program's life: read the command line, bind, report, and leave with a goodbye.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process,
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use tidegate_proto::{edge::Host, ports_file, program::Failure, settings};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    EdgeSender, StartError,
    config::{Checked, Config, ENVIRONMENT_PREFIX, SETTINGS},
    control, identity, operator, prepare,
    redirect::{ASK_EVERY, Inquiry},
    targets::{Target, TargetsFile, edge_of, is_weak},
    telemetry,
    variables::process_environment,
};

const ABOUT: &str =
    "Runs beside one edge, measures it, and tells every redirector how it is doing.";

const LONG_ABOUT: &str = "\
Runs beside one edge, measures it, and tells every redirector how it is doing.

It sends a sealed heartbeat over UDP to each redirector in the targets file, every 2.5 s. On SIGTERM
it says goodbye, and the redirectors send no more viewers here. It never needs an open port.";

const EXAMPLES: &str = "\
Examples:
  Two redirectors, the edge's key for both (mode 0600; `tidegatectl key issue` makes it):
    $ cat loadbalancertargets.txt
    lb1.example.com,1934,ehb1e:…
    lb2.example.com,1934,ehb1e:…

  See what would be sent, then send it:
    $ tidegate-agent --config agent.toml --once --print
    $ tidegate-agent --config agent.toml

  Take no new viewers for a while:
    $ tidegate-agent pause
    $ tidegate-agent unpause

  See how it and its redirectors are doing:
    $ tidegate-agent status

Exit codes: 0 clean stop, 64 bad configuration, 1 failure to start or to go on.";

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Identity(_) | StartError::Thread(_) => Self::StartUp(error.to_string()),
            _ => Self::Configuration(error.to_string()),
        }
    }
}

/// The command line.
#[must_use]
pub fn command() -> Command {
    let command = Command::new("tidegate-agent")
        .version(crate::VERSION)
        .about(ABOUT)
        .long_about(LONG_ABOUT)
        .after_help(EXAMPLES)
        .arg(path("config", "Configuration file (TOML)"))
        .arg(path("ports-file", "Write the bound address here as JSON, once it listens"))
        .arg(switch("check", "Check the configuration, the targets file and its keys, and exit"))
        .arg(switch("once", "Measure once, send nothing, and exit").requires("print"))
        .arg(switch("print", "With --once: print what would be sent, as JSON").requires("once"));
    let command = command
        .subcommands(operator::commands())
        .subcommand(prepare::command())
        .args_conflicts_with_subcommands(true);
    settings::add_flags(command, ENVIRONMENT_PREFIX, SETTINGS, &Config::default())
}

fn path(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Reads and checks the configuration.
pub fn configure(matches: &ArgMatches) -> Result<Checked, Failure> {
    let file = matches.get_one::<PathBuf>("config").map(PathBuf::as_path);
    let config: Config = settings::load(file, matches, SETTINGS).map_err(Failure::configuration)?;
    config
        .check(process_environment, || sysinfo::System::host_name().ok())
        .map_err(Failure::configuration)
}

/// Reads the targets file with its keys; text keys take a while.
pub fn read_targets(checked: &Checked) -> Result<(TargetsFile, Vec<Target>), Failure> {
    let mut file = TargetsFile::new(checked.targets_file.clone());
    let targets = file.read().map_err(Failure::configuration)?;
    Ok((file, targets))
}

/// What `--check` says when all is well: one line, and one for each thing that could be better.
pub fn check(mut checked: Checked) -> Result<String, Failure> {
    let (_, targets) = read_targets(&checked)?;
    if edge_of(&targets).ok().flatten().is_none() {
        identity::load(&checked.state_dir).map_err(Failure::configuration)?;
    }
    let (name, count) = (checked.profile.name.clone(), targets.len());
    let mut said = format!("the configuration is valid: {name} reports to {count} target(s)");
    if checked.profile.drop_labels_that_do_not_fit() {
        said.push_str("\nwarning: the labels are too long for a heartbeat and are not sent");
    }
    for variable in checked.inquiry.iter().flat_map(Inquiry::variables) {
        said.push_str(&format!("\nredirect_address: {variable} is asked for at the start"));
    }
    for target in targets.iter().filter(|target| is_weak(target.key())) {
        said.push_str(&format!(
            "\nwarning: {target} has a text key, which can be guessed; `tidegatectl key generate` makes a strong one"
        ));
    }
    Ok(said)
}

/// Reports until SIGTERM or SIGINT.
pub fn run(checked: Checked, ports_file: Option<&Path>) -> Result<(), Failure> {
    let (file, targets) = read_targets(&checked)?;
    let host = checked.inquiry.as_ref().map(Inquiry::ask).transpose().map_err(Failure::start_up)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::cannot_start)?;
    let outcome = runtime.block_on(report(checked, host, file, targets, ports_file));
    // A resolver that hangs must not hold the exit up.
    runtime.shutdown_background();
    outcome
}

async fn report(
    checked: Checked,
    host: Option<Host>,
    file: TargetsFile,
    targets: Vec<Target>,
    ports_file: Option<&Path>,
) -> Result<(), Failure> {
    telemetry::start(checked.log, checked.log_format);
    let listen = checked.control_listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::StartUp(format!("cannot listen on {listen}: {error}; set control.listen"))
    })?;
    let bound = listener.local_addr().map_err(Failure::cannot_start)?;
    let mut signals = Signals::new().map_err(Failure::cannot_start)?;
    if !bound.ip().is_loopback() {
        tracing::warn!(%bound, "others can reach control.listen and pause this edge");
    }
    let source = checked.source.open(checked.profile.interval);
    let mut edge = EdgeSender::of_profile(checked.profile)
        .state_dir(checked.state_dir)
        .targets_file(file, targets)
        .boxed_source(source)
        .viewer_limit(checked.limit);
    if let (Some(host), Some(inquiry)) = (host, checked.inquiry) {
        tracing::info!(redirect_address = %host, "clients are sent here");
        let ask = move || inquiry.ask().map_err(|error| error.to_string());
        edge = edge.redirect_followed(host, ASK_EVERY, ask);
    }
    if let Some(link) = checked.link {
        edge = edge.capacity_of_link(link);
    }
    let edge = edge.spawn()?;
    if let Some(path) = ports_file {
        ports_file::write(path, &BTreeMap::from([("control_tcp", bound.to_string())]))
            .map_err(Failure::start_up)?;
    }
    tracing::info!(edge_id = %edge.edge_id(), control = %bound, "reporting");
    let serving = tokio::spawn(control::serve(listener, edge.controls()));
    signals.next().await;
    tracing::info!("saying goodbye");
    tokio::select! {
        () = edge.stop() => {}
        () = signals.next() => process::exit(1),
    }
    serving.abort();
    Ok(())
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

    async fn next(&mut self) {
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

    #[test]
    fn once_and_print_belong_together() {
        let parse = |words: &[&str]| command().try_get_matches_from(words).map(|_| ()).is_ok();
        assert!(parse(&["x", "--once", "--print"]));
        assert!(!parse(&["x", "--once"]) && !parse(&["x", "--print"]));
    }
}
