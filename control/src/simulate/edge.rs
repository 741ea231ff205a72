//! A simulated edge: what it carries, and what it says of itself.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use tidegate_proto::{
    datagram::SessionId,
    edge::{Capacity, EdgeId},
    heartbeat::{Heartbeat, Load, Status},
    seal::PAYLOAD_LEN_MAX,
    stream::{StreamCount, StreamHash, StreamPart, Streams},
};

use super::{measure::SAMPLES_OF_A_SECOND, viewers::Traits};
use crate::{registry::Report, selection::stream_of};

/// Bytes of a heartbeat for what is not known when an edge is made.
const HEARTBEAT_GROWS: usize = 64;

/// What state an edge is in, whoever knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// In service.
    Up,
    /// Sends its viewers away and refuses new ones.
    Draining,
    /// Not there: not yet, or restarting.
    Off,
    /// Died without a word.
    Dead,
    /// Reports health and admits nobody.
    Sink,
}

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) condition: Condition,
    pub(super) capacity_bps: f64,
    pub(super) traffic_bps: u64,
    /// What clients that are on their way here and will arrive are going to take.
    pub(super) bound_bps: u64,
    /// Starts so far; events of an earlier run mean nothing.
    pub(super) boot: u32,
    /// Reports sent so far, over all runs.
    pub(super) reports: u64,
    place: u32,
    viewers: u32,
    streams: Vec<u32>,
    pulled: Vec<bool>,
    heartbeat: Heartbeat,
    /// The streams by hash, where reports are to name them.
    named: Arc<[(StreamHash, u16)]>,
    /// What joined in each of the last samples, and where the present one is.
    joined: [u64; SAMPLES_OF_A_SECOND],
    joined_at: usize,
}

impl Edge {
    /// An empty edge. Its reports name the streams of `named`, which stand in the order of their
    /// hashes.
    pub(super) fn new(
        place: usize,
        capacity_bps: f64,
        streams: usize,
        named: &Arc<[(StreamHash, u16)]>,
    ) -> Self {
        let heartbeat = Heartbeat {
            name: format!("edge-{place:05}").parse().ok(),
            capacity: Capacity { viewers: None, bandwidth_bps: Some(capacity_bps as u64) },
            ..Heartbeat::default()
        };
        Self {
            condition: Condition::Up,
            capacity_bps,
            traffic_bps: 0,
            bound_bps: 0,
            boot: 0,
            reports: 0,
            place: place as u32,
            viewers: 0,
            streams: vec![0; streams],
            pulled: vec![false; streams],
            heartbeat,
            named: Arc::clone(named),
            joined: [0; SAMPLES_OF_A_SECOND],
            joined_at: 0,
        }
    }

    /// Whether it is there to carry viewers.
    pub(super) fn is_present(&self) -> bool {
        matches!(self.condition, Condition::Up | Condition::Draining | Condition::Sink)
    }

    /// Traffic by capacity.
    pub(super) fn load(&self) -> f64 {
        self.traffic_bps as f64 / self.capacity_bps
    }

    /// Counts a viewer, with its nominal bit rate from the first moment.
    pub(super) fn admit(&mut self, viewer: &Traits) {
        self.traffic_bps += u64::from(viewer.bps);
        self.viewers += 1;
        self.joined[self.joined_at] += u64::from(viewer.bps);
        self.streams[usize::from(viewer.stream)] += 1;
        self.pulled[usize::from(viewer.stream)] = true;
    }

    /// Lets a viewer go.
    pub(super) fn release(&mut self, viewer: &Traits) {
        self.traffic_bps -= u64::from(viewer.bps);
        self.viewers -= 1;
        self.streams[usize::from(viewer.stream)] -= 1;
    }

    /// How many streams it ever carried.
    pub(super) fn pulls(&self) -> u64 {
        self.pulled.iter().filter(|pulled| **pulled).count() as u64
    }

    /// What joined within the last second. To be asked once a sample.
    pub(super) fn joined_in_a_second(&mut self) -> f64 {
        let joined: u64 = self.joined.iter().sum();
        self.joined_at = (self.joined_at + 1) % SAMPLES_OF_A_SECOND;
        self.joined[self.joined_at] = 0;
        joined as f64
    }

    /// What was admitted while the fleet was founded joined long ago.
    pub(super) fn forget_joins(&mut self) {
        self.joined = [0; SAMPLES_OF_A_SECOND];
    }

    /// The streams, or the part of them whose turn it is.
    fn part(&self) -> Option<StreamPart> {
        if self.named.is_empty() {
            return None;
        }
        let used = self.heartbeat.encode().len() + HEARTBEAT_GROWS;
        let count = |(stream, at): &(StreamHash, u16)| StreamCount {
            stream: *stream,
            viewers: self.streams[usize::from(*at)],
        };
        let carried = self.named.iter().map(count).filter(|count| count.viewers > 0);
        carried.collect::<Streams>().part(self.reports, PAYLOAD_LEN_MAX.saturating_sub(used))
    }

    /// What it says now, to so many redirectors.
    pub(super) fn report(
        &mut self,
        interval: Duration,
        redirectors: usize,
        goodbye: bool,
    ) -> Arc<Report> {
        self.reports += 1;
        let is_leaving = self.condition == Condition::Draining;
        let mut heartbeat = self.heartbeat.clone();
        heartbeat.status = if is_leaving { Status::Paused } else { Status::Running };
        heartbeat.interval = interval;
        heartbeat.target_count = redirectors as u32;
        heartbeat.load = Load {
            viewers: Some(self.viewers),
            bandwidth_out_bps: Some(self.traffic_bps),
            ..Load::default()
        };
        heartbeat.streams = self.part();
        let mut session = [0; 16];
        session[..4].copy_from_slice(&(self.boot + 1).to_be_bytes());
        Arc::new(Report {
            edge: id_of(self.place),
            session: SessionId(session),
            sequence: self.reports,
            goodbye,
            heartbeat,
            source: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + self.place)),
        })
    }
}

/// Streams by hash, as reports name them.
pub(super) fn named(paths: &[String]) -> Arc<[(StreamHash, u16)]> {
    let hashes = paths.iter().zip(0_u16..).filter_map(|(path, at)| Some((stream_of(path)?, at)));
    let mut named: Vec<_> = hashes.collect();
    named.sort_unstable();
    named.into()
}

/// The id of the edge at a place.
pub(super) fn id_of(place: u32) -> EdgeId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&place.to_be_bytes());
    EdgeId(id)
}

/// The place of an edge, by its id.
pub(super) fn place_of(id: EdgeId) -> usize {
    let [a, b, c, d, ..] = id.0;
    u32::from_be_bytes([a, b, c, d]) as usize
}
