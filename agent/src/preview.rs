//! What would be sent, as JSON with plain numbers: `--once --print`. Nothing is sent or written.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
    thread,
    time::Duration,
};

use serde::Serialize;
use tidegate_proto::{
    edge::EdgeId,
    heartbeat::{Heartbeat, Load, Trouble},
};

use crate::{
    config::Checked,
    identity,
    redirect::Inquiry,
    report::{Redirect, State, heartbeat},
    sender::local_address_towards,
    source::measure_checked,
    targets::{Target, TargetsFile, edge_of},
};

/// Sources that give rates need two measurements this far apart.
const BETWEEN_MEASUREMENTS: Duration = Duration::from_millis(500);

/// One heartbeat in words; unknown is null.
#[derive(Debug, Serialize)]
pub struct Preview {
    name: String,
    /// Null until the first start makes it.
    edge_id: Option<String>,
    redirect_address: Option<String>,
    endpoints: Vec<EndpointRow>,
    labels: tidegate_proto::edge::Labels,
    capacity: CapacityRow,
    #[serde(flatten)]
    load: Load,
    /// Viewers by stream, as the source names them; null: unknown.
    streams: Option<BTreeMap<String, u32>>,
    trouble: Option<Trouble>,
    interval_ms: u64,
    agent_version: String,
    /// What the media server says it is; null: unknown.
    server_version: Option<String>,
    target_count: u32,
}

#[derive(Debug, Serialize)]
struct EndpointRow {
    scheme: &'static str,
    port: u16,
}

#[derive(Debug, Serialize)]
struct CapacityRow {
    viewers: Option<u32>,
    bandwidth_bps: Option<u64>,
}

/// Measures and tells what would be sent. The targets matter for the address and the UUID only, so
/// a fault there is returned beside the preview. Blocks for about half a second.
#[must_use]
pub fn preview(mut checked: Checked) -> (Preview, Vec<String>) {
    let mut faults = Vec::new();
    let targets = TargetsFile::new(checked.targets_file.clone()).read().unwrap_or_else(|error| {
        faults.push(error.to_string());
        Vec::new()
    });
    let edge_id = edge_of(&targets).ok().flatten().or_else(|| {
        identity::load(&checked.state_dir).unwrap_or_else(|error| {
            faults.push(error.to_string());
            None
        })
    });
    if checked.profile.drop_labels_that_do_not_fit() {
        faults.push("labels: too long for a heartbeat, so they are not sent".to_owned());
    }
    let state = settled(&checked, &targets, &mut faults);
    let (heartbeat, streams) = measured(&checked, state);
    (Preview::new(heartbeat, streams, edge_id), faults)
}

/// What is known before anything is measured.
fn settled(checked: &Checked, targets: &[Target], faults: &mut Vec<String>) -> State {
    let first = targets.first();
    let local_address = match checked.profile.redirect {
        Redirect::Automatic => {
            first.and_then(|first| addresses(first).find_map(local_address_towards))
        }
        Redirect::Fixed(_) | Redirect::Followed => None,
    };
    let asked = checked.inquiry.as_ref().map(Inquiry::ask);
    let speed = checked
        .link
        .as_ref()
        .map(|link| link.speed_bps(|| first.and_then(|first| addresses(first).next())));
    State {
        target_count: u32::try_from(targets.len()).unwrap_or(u32::MAX),
        local_address,
        redirect: asked.and_then(|asked| known(asked, faults)),
        link_bps: speed.and_then(|speed| known(speed, faults)),
        ..State::default()
    }
}

fn known<T, E: ToString>(answer: Result<T, E>, faults: &mut Vec<String>) -> Option<T> {
    answer.map_err(|error| faults.push(error.to_string())).ok()
}

fn measured(checked: &Checked, mut state: State) -> (Heartbeat, Option<BTreeMap<String, u32>>) {
    let mut source = checked.source.open(checked.profile.interval);
    if measure_checked(source.as_mut(), &checked.profile.capacity).is_ok() {
        thread::sleep(BETWEEN_MEASUREMENTS);
    }
    let mut streams = None;
    match measure_checked(source.as_mut(), &checked.profile.capacity) {
        Ok(measurement) => {
            (state.load, state.server) = (measurement.load, measurement.server);
            streams = measurement.streams;
        }
        Err(trouble) => state.trouble = Some(trouble),
    }
    (heartbeat(&checked.profile, &state, None), streams)
}

fn addresses(target: &Target) -> impl Iterator<Item = SocketAddr> {
    (target.host(), target.port()).to_socket_addrs().into_iter().flatten()
}

impl Preview {
    fn new(
        heartbeat: Heartbeat,
        streams: Option<BTreeMap<String, u32>>,
        edge_id: Option<EdgeId>,
    ) -> Self {
        let endpoints = heartbeat.endpoints.iter().map(|endpoint| EndpointRow {
            scheme: endpoint.scheme.as_str(),
            port: endpoint.port.get(),
        });
        Self {
            name: heartbeat.name.map(|name| name.to_string()).unwrap_or_default(),
            edge_id: edge_id.map(|id| id.to_string()),
            redirect_address: heartbeat.redirect_address.map(|host| host.to_string()),
            endpoints: endpoints.collect(),
            labels: heartbeat.labels,
            capacity: CapacityRow {
                viewers: heartbeat.capacity.viewers,
                bandwidth_bps: heartbeat.capacity.bandwidth_bps,
            },
            load: heartbeat.load,
            streams,
            trouble: heartbeat.trouble,
            interval_ms: u64::try_from(heartbeat.interval.as_millis()).unwrap_or(u64::MAX),
            agent_version: heartbeat.agent_version,
            server_version: Some(heartbeat.server_version).filter(|text| !text.is_empty()),
            target_count: heartbeat.target_count,
        }
    }
}
