//! What an edge says of itself: the standing profile and the passing state, made into a heartbeat.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tidegate_proto::{
    edge::{Capacity, EdgeName, Endpoint, Host, Labels, NAME_LEN_MAX},
    heartbeat::{
        Heartbeat, INTERVAL_DEFAULT, Load, SERVER_VERSION_LEN_MAX, Status, Trouble, Unacceptable,
    },
    seal::PAYLOAD_LEN_MAX,
    stream::Streams,
};

use crate::source::Server;

/// The longest trouble code that is sent, in bytes.
const TROUBLE_CODE_LEN_MAX: usize = 40;
/// The longest trouble sentence that is sent, in bytes. With it every heartbeat without labels
/// fits a datagram.
const TROUBLE_TEXT_LEN_MAX: usize = 200;

/// Where clients are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// To this host.
    Fixed(Host),
    /// To the address of the interface that reaches the first target.
    Automatic,
    /// To the host the state names, which may change.
    Followed,
}

/// What does not change while an edge runs.
#[derive(Debug, Clone)]
pub struct Profile {
    /// What operators call the edge.
    pub name: EdgeName,
    /// Where clients are sent.
    pub redirect: Redirect,
    /// What clients may be sent to; none: any scheme, on the client's port.
    pub endpoints: Vec<Endpoint>,
    /// The operator's labels.
    pub labels: Labels,
    /// What the edge can carry.
    pub capacity: Capacity,
    /// The time between two heartbeats.
    pub interval: Duration,
}

impl Profile {
    /// A profile of nothing but a name.
    #[must_use]
    pub fn new(name: EdgeName) -> Self {
        Self {
            name,
            redirect: Redirect::Automatic,
            endpoints: Vec::new(),
            labels: Labels::new(),
            capacity: Capacity::default(),
            interval: INTERVAL_DEFAULT,
        }
    }

    /// Drops the labels if the longest heartbeat of this profile would not fit a datagram with
    /// them, and tells whether it did. Decided once, so that labels do not come and go.
    pub fn drop_labels_that_do_not_fit(&mut self) -> bool {
        let fits = self.longest_heartbeat().encode().len() <= PAYLOAD_LEN_MAX;
        if !fits {
            self.labels.clear();
        }
        !fits
    }

    /// Whether a redirector would take heartbeats of this profile.
    pub fn check(&self) -> Result<(), Unacceptable> {
        Heartbeat::decode(&heartbeat(self, &State::default(), None).encode()).map(|_| ())
    }

    fn longest_heartbeat(&self) -> Heartbeat {
        heartbeat(self, &State::longest(), None)
    }
}

/// What changes while an edge runs.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The operator beside the edge paused it.
    pub paused: bool,
    /// It reached its viewer limit.
    pub full: bool,
    /// Whether the source answered once.
    pub measured: bool,
    /// The last figures.
    pub load: Load,
    /// The streams of the last figures; `None`: unknown.
    pub streams: Option<Arc<Streams>>,
    /// What the media server said of itself.
    pub server: Server,
    /// Why there are none.
    pub trouble: Option<Trouble>,
    /// The address of the interface that reaches the first target.
    pub local_address: Option<IpAddr>,
    /// Where clients are sent, when the profile says that this is followed.
    pub redirect: Option<Host>,
    /// What the link carries, in bits per second; stands in where no capacity is configured.
    pub link_bps: Option<u64>,
    /// How many redirectors are reported to.
    pub target_count: u32,
    /// Why the targets file was not taken when it changed.
    pub targets_fault: Option<String>,
}

impl State {
    /// The most there can be to say, less what is left out where there is no room.
    fn longest() -> Self {
        Self {
            paused: true,
            load: Load {
                viewers: Some(u32::MAX),
                publishers: Some(u32::MAX),
                bandwidth_out_bps: Some(u64::MAX),
                bandwidth_in_bps: Some(u64::MAX),
                cpu_utilization: Some(1.0),
                memory_utilization: Some(1.0),
            },
            trouble: Some(Trouble {
                code: "x".repeat(TROUBLE_CODE_LEN_MAX),
                text: "x".repeat(TROUBLE_TEXT_LEN_MAX),
            }),
            local_address: Some(IpAddr::from([0xffff; 8])),
            redirect: format!("{}a", "a.".repeat(NAME_LEN_MAX / 2)).parse().ok(),
            link_bps: Some(u64::MAX),
            target_count: u32::MAX,
            ..Self::default()
        }
    }
}

/// Makes the heartbeat without its streams. `link_address` stands in until the first target's interface is known.
#[must_use]
pub fn heartbeat(profile: &Profile, state: &State, link_address: Option<IpAddr>) -> Heartbeat {
    let redirect_address = match &profile.redirect {
        Redirect::Fixed(host) => Some(host.clone()),
        Redirect::Automatic => state.local_address.or(link_address).map(Host::Address),
        Redirect::Followed => state.redirect.clone(),
    };
    let capacity = Capacity {
        bandwidth_bps: profile.capacity.bandwidth_bps.or(state.link_bps),
        ..profile.capacity
    };
    let heartbeat = Heartbeat {
        status: if state.paused || state.full { Status::Paused } else { Status::Running },
        name: Some(profile.name.clone()),
        redirect_address,
        endpoints: profile.endpoints.clone(),
        labels: profile.labels.clone(),
        capacity,
        load: state.load,
        interval: profile.interval,
        trouble: state.trouble.as_ref().map(|trouble| Trouble {
            code: cut(&trouble.code, TROUBLE_CODE_LEN_MAX),
            text: cut(&trouble.text, TROUBLE_TEXT_LEN_MAX),
        }),
        agent_version: crate::VERSION.to_owned(),
        server_version: String::new(),
        target_count: state.target_count,
        streams: None,
    };
    with_server_version(heartbeat, state)
}

/// Adds the media server's version where there is room, since it is for the eyes alone.
fn with_server_version(heartbeat: Heartbeat, state: &State) -> Heartbeat {
    let Some(version) = &state.server.version else { return heartbeat };
    let server_version = cut(version, SERVER_VERSION_LEN_MAX);
    let told = Heartbeat { server_version, ..heartbeat };
    if told.encode().len() <= PAYLOAD_LEN_MAX {
        told
    } else {
        Heartbeat { server_version: String::new(), ..told }
    }
}

/// Adds the streams, or the part of them whose turn it is: what fits beside everything else.
#[must_use]
pub fn with_streams(mut heartbeat: Heartbeat, state: &State, turn: u64) -> Heartbeat {
    let room_bytes = PAYLOAD_LEN_MAX.saturating_sub(heartbeat.encode().len());
    heartbeat.streams = state.streams.as_ref().and_then(|streams| streams.part(turn, room_bytes));
    heartbeat
}

/// Cuts at a character's border.
fn cut(text: &str, len_max: usize) -> String {
    text[..text.floor_char_boundary(len_max)].to_owned()
}

#[cfg(test)]
mod tests {
    use tidegate_proto::{
        edge::{ENDPOINTS_MAX, LABEL_LEN_MAX, LABELS_MAX, Scheme},
        heartbeat::{BANDWIDTH_BPS_MAX, VIEWERS_MAX},
    };

    use super::*;

    fn widest_profile() -> Profile {
        let name = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        Profile {
            redirect: Redirect::Fixed(name.parse().expect("a host")),
            endpoints: vec![
                Endpoint { scheme: Scheme::Rtmpts, port: std::num::NonZeroU16::MAX };
                ENDPOINTS_MAX
            ],
            capacity: Capacity {
                viewers: Some(VIEWERS_MAX),
                bandwidth_bps: Some(BANDWIDTH_BPS_MAX),
            },
            interval: Duration::from_secs(60),
            ..Profile::new(name.parse().expect("a name"))
        }
    }

    #[test]
    fn the_widest_heartbeat_without_labels_fits_a_datagram() {
        assert!(!widest_profile().drop_labels_that_do_not_fit());
    }

    #[test]
    fn labels_that_do_not_fit_are_dropped_and_others_kept() {
        let mut profile = widest_profile();
        profile.labels =
            (0..LABELS_MAX).map(|n| (format!("{n}"), "x".repeat(LABEL_LEN_MAX))).collect();
        assert!(profile.drop_labels_that_do_not_fit());
        assert!(profile.labels.is_empty());

        let mut profile = Profile::new("edge-1".parse().expect("a name"));
        profile.labels.insert("zone".into(), "a".into());
        assert!(!profile.drop_labels_that_do_not_fit());
        assert_eq!(profile.labels.len(), 1);
    }

    #[test]
    fn streams_go_out_in_turns_that_fit_beside_everything_else() {
        let names: Vec<_> = (0..500).map(|n| format!("live/{n}")).collect();
        let streams = Streams::of_names(names.iter().map(|name| (name.as_str(), 200)));
        let state = State { streams: Some(Arc::new(streams.clone())), ..State::default() };
        for profile in [Profile::new("edge-1".parse().expect("a name")), widest_profile()] {
            let mut told = Streams::default();
            for turn in 7..7 + 64 {
                let sent = with_streams(heartbeat(&profile, &state, None), &state, turn);
                assert!(sent.encode().len() <= PAYLOAD_LEN_MAX);
                told.replace(sent.streams.as_ref().expect("there is room"));
            }
            assert_eq!(told, streams);
        }
        let silent = State::default();
        let sent = with_streams(heartbeat(&widest_profile(), &silent, None), &silent, 0);
        assert_eq!(sent.streams, None);
    }

    #[test]
    fn the_server_version_gives_way_where_there_is_no_room() {
        let version = "x".repeat(SERVER_VERSION_LEN_MAX);
        let server = Server { version: Some(version.clone()), ..Server::default() };
        let quiet = State { server: server.clone(), ..State::default() };
        let longest = State { server, ..State::longest() };
        for (state, told) in [(quiet, version.as_str()), (longest, "")] {
            let sent = heartbeat(&widest_profile(), &state, None);
            assert!(sent.encode().len() <= PAYLOAD_LEN_MAX);
            assert_eq!(sent.server_version, told);
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let trouble = Trouble { code: "é".repeat(400), text: "é".repeat(400) };
        let server = Server { version: Some("é".repeat(400)), ..Server::default() };
        let state = State { trouble: Some(trouble), server, ..State::default() };
        let sent = heartbeat(&widest_profile(), &state, None);
        assert!(sent.encode().len() <= PAYLOAD_LEN_MAX);
        assert_eq!(Heartbeat::decode(&sent.encode()), Ok(sent));
    }
}
