//! What can be asked on the command line.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use tidegate_control::admin::tokens::Role;

use crate::simulate::Simulate;

const EXAMPLES: &str = "\
Examples:
  tidegatectl edges                                   every edge, its state and its load
  tidegatectl edges --filter 'liveness=UP label.zone=a name=edge-*'
  tidegatectl drain edge-1 --reason 'kernel update'   no new viewers; wait for DRAINED, then stop it
  tidegatectl explain --path /live/cam --client 192.0.2.7   who would get that client, and why
  tidegatectl watch                                   every change as it happens
  tidegatectl undrain edge-1
  tidegatectl weight edge-1 0.5                       half the viewers it would get otherwise
  tidegatectl --admin lb-1,lb-2 drain edge-1          an order to both redirectors
  tidegatectl simulate --scenario flash --plot flash.svg
  tidegatectl --output json edges | jq -r '.edges[].name'

Exit codes: 0 done, 1 failed (the message says what and where), 64 not understood.";

/// Shows and steers the edges of a Tidegate fleet.
#[derive(Debug, Parser)]
#[command(name = "tidegatectl", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) reach: Reach,
    /// How to show the answer.
    #[arg(long, global = true, value_enum, default_value = "table")]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the redirectors are reached.
#[derive(Debug, Group, Default)]
pub(crate) struct Reach {
    /// Admin addresses of the redirectors, joined by commas: HOST, HOST:PORT, http:// or https://.
    /// Orders go to all of them, questions to the first that answers.
    #[arg(
        long,
        global = true,
        env = "TIDEGATECTL_ADMIN",
        hide_env_values = true,
        value_name = "ADDR[,ADDR…]",
        default_value = "127.0.0.1:1936"
    )]
    pub(crate) admin: String,
    /// File with the bearer token; only its owner may read it.
    #[arg(
        long,
        global = true,
        env = "TIDEGATECTL_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// PEM file of the authority that signed the redirectors' certificates; turns TLS on.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// PEM file of this caller's certificate, for redirectors that ask for one.
    #[arg(long, global = true, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// PEM file of its key; only its owner may read it.
    #[arg(long, global = true, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// The name to expect in the redirectors' certificates [default: the host of the address].
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,
    /// Send the token even where nothing encrypts it.
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs: the API's messages as canonical protobuf JSON.
    Json,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists edges.
    Edges {
        /// Terms joined by blanks, all of which must hold: admin_state=, liveness=, name= and
        /// label.KEY= (both with *), edge_id=, paused=, eligible= (true or false).
        #[arg(long, default_value = "")]
        filter: String,
        /// Shows UUIDs too.
        #[arg(long)]
        wide: bool,
    },
    /// Shows everything about one edge.
    Edge {
        /// Its name or its UUID.
        name: String,
    },
    /// Stops sending viewers to an edge; those it has stay. Done again, it changes nothing.
    Drain(Order),
    /// Takes a drain back.
    Undrain(Order),
    /// Gives an edge a larger or smaller share of the viewers than its capacity asks for.
    Weight {
        #[command(flatten)]
        order: Order,
        /// 0.01 to 100; 1 is usual, 2 gets twice the viewers. Nobody at all is what `drain` is for.
        #[arg(allow_negative_numbers = true)]
        weight: f64,
    },
    /// Shows every edge, then every change, until interrupted.
    Watch,
    /// Says for every edge whether the next client would be sent to it, and why or why not.
    Explain(Explain),
    /// Removes an edge that is DOWN or GONE and not drained.
    Forget {
        /// Its name or its UUID.
        name: String,
    },
    /// Makes heartbeat keys (offline).
    #[command(subcommand)]
    Key(Key),
    /// Makes tokens for the admin API (offline).
    #[command(subcommand)]
    Token(Token),
    /// Tries policies on a simulated fleet (offline).
    Simulate(Box<Simulate>),
}

/// Which client's edge is to be explained.
#[derive(Debug, Clone, Group, Default)]
pub(crate) struct Explain {
    /// What it asks for: a path such as /live/cam/playlist.m3u8, or a URL, whose scheme counts too.
    #[arg(long, default_value = "")]
    pub(crate) path: String,
    /// Its IP address, which says what zone it belongs to.
    #[arg(long, value_name = "IP", default_value = "")]
    pub(crate) client: String,
    /// http, https, rtmp, rtmps, rtmpt or rtmpts [default: the URL's, or none].
    #[arg(long, default_value = "")]
    pub(crate) scheme: String,
    /// Only this edge, by its name or its UUID.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) edge: String,
    /// How many edges are shown, best first; at most 1000.
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) top: i32,
}

/// What orders take.
#[derive(Debug, Clone, Group)]
pub(crate) struct Order {
    /// The edge's name or UUID.
    pub(crate) name: String,
    /// Why, for colleagues and for the audit log; up to 512 characters.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Refuse unless the edge is still as it was shown with this etag; with one redirector only.
    #[arg(long, default_value = "")]
    pub(crate) etag: String,
    /// Names this order, so that a repetition gets its answer [default: a new UUID].
    #[arg(long)]
    pub(crate) request_id: Option<String>,
}

/// Heartbeat keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Prints a new fleet key, for the redirectors' keys file.
    Generate,
    /// Prints the key of one edge, for its targets file.
    Issue {
        /// The edge's UUID, or `new` for an edge that has none yet.
        #[arg(long, value_name = "UUID|new")]
        edge: String,
        /// The redirectors' keys file.
        #[arg(long, value_name = "FILE")]
        keys_file: PathBuf,
        /// Which of its keys, by fingerprint [default: the last one].
        #[arg(long, value_name = "KEYID")]
        key_id: Option<String>,
    },
}

/// Tokens for the admin API.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Prints a new token on the first line, and its line for the redirectors' tokens file on the
    /// second.
    Generate {
        /// viewer may look, operator may give orders.
        #[arg(long)]
        role: Role,
        /// Whose it is, as the audit log shall show it.
        #[arg(long)]
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn global_flags_may_follow_the_verb() {
        let words = ["tidegatectl", "drain", "edge-1", "--reason", "x", "--admin", "a,b"];
        let args = Args::try_parse_from(words).expect("understood");
        assert_eq!(args.reach.admin, "a,b");
        assert!(matches!(args.command, Command::Drain(order) if order.reason == "x"));
    }

    #[test]
    fn a_client_to_explain_may_be_any_or_one() {
        let words =
            ["tidegatectl", "explain", "--path", "/live/cam", "--client", "::1", "--top", "5"];
        let args = Args::try_parse_from(words).expect("understood");
        let Command::Explain(client) = args.command else { panic!("{args:?}") };
        assert_eq!(
            (client.path.as_str(), client.client.as_str(), client.top),
            ("/live/cam", "::1", 5)
        );
        assert!(Args::try_parse_from(["tidegatectl", "explain"]).is_ok());
        assert!(Args::try_parse_from(["tidegatectl", "explain", "--top", "0"]).is_err());
    }

    #[test]
    fn a_weight_follows_its_edge() {
        let words = ["tidegatectl", "weight", "edge-1", "0.5", "--reason", "x", "--etag", "7"];
        let args = Args::try_parse_from(words).expect("understood");
        let Command::Weight { order, weight } = args.command else { panic!("{args:?}") };
        assert_eq!((order.name.as_str(), weight), ("edge-1", 0.5));
        assert_eq!((order.reason.as_str(), order.etag.as_str()), ("x", "7"));
        // Out of bounds is for the redirector to judge, so that it says the same to everybody.
        assert!(Args::try_parse_from(["tidegatectl", "weight", "edge-1", "-1"]).is_ok());
        for words in [["weight", "edge-1", "much"].as_slice(), &["weight", "edge-1"]] {
            let words = ["tidegatectl"].iter().chain(words);
            assert!(Args::try_parse_from(words).is_err());
        }
    }
}
