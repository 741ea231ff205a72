//! What an operator types beside a running agent: pause, unpause, status. It asks the agent's own
//! HTTP listener and says in words what came of it.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde::Deserialize;
use tidegate_proto::{
    program::Failure,
    settings::{self, Setting},
};
use ureq::Agent;

use crate::{
    config::{Config, ENVIRONMENT_PREFIX, SETTINGS},
    http,
};

/// The agent answers from memory.
const PATIENCE: Duration = Duration::from_secs(5);
/// The one setting that says where the agent listens.
const LISTEN: &str = "control.listen";

/// What can be asked of a running agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Take no new viewers.
    Pause,
    /// Take viewers again.
    Unpause,
    /// Tell how things are.
    Status,
}

impl Verb {
    const ALL: [Self; 3] = [Self::Pause, Self::Unpause, Self::Status];

    fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Status => "status",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Pause => "Tell the running agent to take no new viewers; those there stay",
            Self::Unpause => "Tell the running agent to take viewers again",
            Self::Status => "Show how the running agent and its redirectors are doing",
        }
    }
}

/// The commands for a running agent.
pub fn commands() -> impl Iterator<Item = Command> {
    Verb::ALL.into_iter().map(|verb| {
        let command = Command::new(verb.word())
            .about(verb.about())
            .arg(
                Arg::new("config")
                    .long("config")
                    .value_name("FILE")
                    .value_parser(value_parser!(PathBuf))
                    .help("The running agent's configuration file, which names control.listen"),
            )
            .arg(
                Arg::new("json")
                    .long("json")
                    .action(ArgAction::SetTrue)
                    .help("Print the agent's answer as it is"),
            );
        settings::add_flags(command, ENVIRONMENT_PREFIX, &listen(), &Config::default())
    })
}

fn listen() -> Vec<Setting> {
    SETTINGS.iter().copied().filter(|setting| setting.path == LISTEN).collect()
}

/// The verb that the command line asks for, with its own arguments.
#[must_use]
pub fn asked(matches: &ArgMatches) -> Option<(Verb, &ArgMatches)> {
    let (word, matches) = matches.subcommand()?;
    Some((Verb::ALL.into_iter().find(|verb| verb.word() == word)?, matches))
}

/// Asks the running agent; what to print.
pub fn obey(verb: Verb, matches: &ArgMatches) -> Result<String, Failure> {
    let file = matches.get_one::<PathBuf>("config").map(PathBuf::as_path);
    let config: Config =
        settings::load(file, matches, &listen()).map_err(Failure::configuration)?;
    let address = reachable(&config.control.listen).map_err(Failure::Configuration)?;
    let text = ask(verb, address).map_err(Failure::StartUp)?;
    if matches.get_flag("json") {
        return Ok(text);
    }
    let status: Shown = serde_json::from_str(&text).map_err(|error| {
        Failure::StartUp(format!("{address} is not a tidegate-agent of this version: {error}"))
    })?;
    Ok(match verb {
        Verb::Status => status.in_full(),
        Verb::Pause | Verb::Unpause => status.in_short(),
    })
}

/// Where a listener on this address can be reached from the same machine.
fn reachable(listen: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = listen.parse().map_err(|_| {
        format!("{LISTEN}: {listen:?} is not an address and port such as 127.0.0.1:1938")
    })?;
    if address.port() == 0 {
        return Err(format!(
            "{LISTEN}: port 0 is any free one; name the port that the agent said it listens on"
        ));
    }
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, address.port()))
}

fn ask(verb: Verb, address: SocketAddr) -> Result<String, String> {
    let config = http::asking().timeout_global(Some(PATIENCE)).build();
    let (agent, url) = (Agent::from(config), format!("http://{address}/{}", verb.word()));
    let answer = match verb {
        Verb::Status => agent.get(&url).call(),
        Verb::Pause | Verb::Unpause => agent.post(&url).send_empty(),
    };
    let mut answer = answer.map_err(|error| {
        format!("no agent answers at {address}: {error}; is it running, and is {LISTEN} right?")
    })?;
    let text = answer.body_mut().read_to_string().map_err(|error| format!("{address}: {error}"))?;
    match answer.status().as_u16() {
        200 => Ok(text),
        status => Err(format!("{url} answered {status}: {}", text.trim())),
    }
}

/// What is shown of a status.
#[derive(Debug, Deserialize)]
struct Shown {
    name: String,
    edge_id: String,
    paused: bool,
    full: bool,
    trouble: Option<Trouble>,
    load: Load,
    targets_fault: Option<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Trouble {
    code: String,
    text: String,
}

#[derive(Debug, Deserialize)]
struct Load {
    viewers: Option<u32>,
    bandwidth_out_bps: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Target {
    target: String,
    registered: bool,
    order: String,
    loss: Option<f64>,
    round_trip_ms: Option<f64>,
    error: Option<String>,
}

impl Shown {
    fn in_short(&self) -> String {
        let name = &self.name;
        match (self.paused, self.full, &self.trouble) {
            (true, ..) => format!("{name} is paused: it takes no new viewers"),
            (false, true, _) => format!("{name} is full: it takes no new viewers until some leave"),
            (.., Some(trouble)) => {
                format!("{name} takes no new viewers: {}: {}", trouble.code, trouble.text)
            }
            _ => format!("{name} takes viewers"),
        }
    }

    fn in_full(&self) -> String {
        let figure = |known: Option<String>| known.unwrap_or_else(|| "unknown".to_owned());
        let mut text = format!(
            "{}\nUUID        {}\nViewers     {}\nBandwidth   {}\n",
            self.in_short(),
            self.edge_id,
            figure(self.load.viewers.map(|viewers| viewers.to_string())),
            figure(
                self.load.bandwidth_out_bps.map(|bps| format!("{:.1} Mbit/s", bps as f64 / 1e6))
            ),
        );
        // Writing to a String cannot fail.
        for target in &self.targets {
            let _ = writeln!(text, "Redirector  {}", target.in_words());
        }
        if let Some(fault) = &self.targets_fault {
            let _ = writeln!(text, "Targets     the file was changed but not taken: {fault}");
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Target {
    fn in_words(&self) -> String {
        let mut words = format!(
            "{}: {}, order {}",
            self.target,
            if self.registered { "answers" } else { "DOES NOT ANSWER" },
            self.order
        );
        if let Some(loss) = self.loss {
            let _ = write!(words, ", loss {:.0} %", loss * 100.0);
        }
        if let Some(time) = self.round_trip_ms {
            let _ = write!(words, ", {time:.1} ms");
        }
        if let Some(error) = &self.error {
            let _ = write!(words, " ({error})");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_the_loopback_one() {
        let at = |listen| reachable(listen).map(|address| address.to_string());
        assert_eq!(at("0.0.0.0:1938").as_deref(), Ok("127.0.0.1:1938"));
        assert_eq!(at("[::]:1938").as_deref(), Ok("[::1]:1938"));
        assert_eq!(at("192.0.2.1:1938").as_deref(), Ok("192.0.2.1:1938"));
        assert!(at("127.0.0.1:0").expect_err("any port").contains("port 0"));
        assert!(at("here").expect_err("no address").contains("control.listen"));
    }

    #[test]
    fn a_status_is_told_in_words() {
        let status: Shown = serde_json::from_str(
            r#"{"name": "edge-1", "edge_id": "7bf5", "paused": false, "full": true,
                "trouble": null, "load": {"viewers": 200, "bandwidth_out_bps": 48000000},
                "targets_fault": "line 2", "targets": [{"target": "lb:1934", "registered": false,
                "order": "active", "loss": 0.25, "round_trip_ms": null, "error": "refused"}]}"#,
        )
        .expect("a status");
        assert_eq!(
            status.in_full(),
            "edge-1 is full: it takes no new viewers until some leave\n\
             UUID        7bf5\n\
             Viewers     200\n\
             Bandwidth   48.0 Mbit/s\n\
             Redirector  lb:1934: DOES NOT ANSWER, order active, loss 25 % (refused)\n\
             Targets     the file was changed but not taken: line 2"
        );
    }
}
