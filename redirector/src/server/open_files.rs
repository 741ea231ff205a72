//! How the files this process may open are shared out, so that no crowd of clients takes those that
//! the store, the operators and the heartbeat port need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// What clients get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Connections at once.
    pub(super) connections: usize,
    /// Of these, how many may be spliced; each takes a second file.
    pub(super) splices: usize,
}

/// Asks for as many files as the system grants: shells and containers often begin with far fewer.
/// Where it grants none, what there is has to do.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

impl Room {
    /// What is configured, as far as there are files for it. Says so where there are not.
    pub(super) fn of(config: &Config) -> Self {
        let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let open_files = usize::try_from(open_files).unwrap_or(usize::MAX);
        let client = &config.client;
        let room =
            Self::within(open_files, client.connections_max as usize, client.splices_max as usize);
        for fault in room.falls_short(config, open_files) {
            tracing::warn!("{fault}");
        }
        room
    }

    /// What there is less of than configured. Who splices nothing need not know about splices.
    fn falls_short(self, config: &Config, open_files: usize) -> Vec<String> {
        let client = &config.client;
        let (connections_max, splices_max) = (client.connections_max, client.splices_max);
        let splices = client.rtmp_app.iter().any(|app| app.mode == "splice");
        let mut faults = Vec::new();
        if self.connections < connections_max as usize {
            faults.push(format!(
                "client.connections_max is {connections_max}, but this process may open \
                 {open_files} files, which is room for {}; raise its limit of open files \
                 (LimitNOFILE)",
                self.connections
            ));
        }
        if splices && self.splices < splices_max as usize {
            faults.push(format!(
                "client.splices_max is {splices_max}, but half of the connections and an eighth of \
                 {open_files} open files are room for {}; raise client.connections_max and the \
                 limit of open files (LimitNOFILE)",
                self.splices
            ));
        }
        faults
    }

    /// Three quarters of the files for connections and an eighth for their splices. Since a splice
    /// is never ended for a newcomer, half of the connections at least are none.
    fn within(open_files: usize, connections: usize, splices: usize) -> Self {
        let connections = connections.min(open_files / 4 * 3).max(1);
        let splices = splices.min(open_files / 8).min(connections.div_ceil(2));
        Self { connections, splices }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_had_where_there_are_files() {
        let room = Room::within(1_048_576, 20_000, 1_000);
        assert_eq!(room, Room { connections: 20_000, splices: 1_000 });
    }

    #[test]
    fn clients_and_their_splices_leave_an_eighth_of_the_files() {
        for open_files in [0, 64, 1_024, 4_096, 20_000, 1 << 20, usize::MAX] {
            let Room { connections, splices } = Room::within(open_files, 10_000_000, 1_000_000);
            let taken = connections + splices;
            assert!(taken <= (open_files - open_files / 8).max(1), "{taken} of {open_files}");
        }
        assert_eq!(Room::within(1_024, 20_000, 1_000), Room { connections: 768, splices: 128 });
    }

    #[test]
    fn what_falls_short_is_said_where_it_matters() {
        let said = |toml: &str, open_files| {
            let config: Config = toml::from_str(toml).expect("a configuration");
            Room::within(open_files, 20_000, 1_000).falls_short(&config, open_files)
        };
        let splicing = "[[client.rtmp_app]]\nmode = \"splice\"\n";
        assert!(said(splicing, 1 << 20).is_empty());
        assert!(matches!(&said("", 4_096)[..], [one] if one.contains("client.connections_max")));
        let both = said(splicing, 4_096);
        assert!(both.len() == 2 && both[1].contains("client.splices_max"), "{both:?}");
        assert!(both.iter().all(|fault| fault.contains("4096")), "{both:?}");
    }

    #[test]
    fn splices_leave_half_of_the_connections_to_others() {
        assert_eq!(Room::within(1 << 20, 500, 1_000), Room { connections: 500, splices: 250 });
        assert_eq!(Room::within(1 << 20, 1, 1_000), Room { connections: 1, splices: 1 });
    }
}
