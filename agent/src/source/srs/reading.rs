//! What SRS's answers mean.

use std::{collections::BTreeMap, time::Duration};

use tidegate_proto::heartbeat::{Load, Trouble};

use super::Found;
use crate::source::{Server, json::Part, meter::Counters, page::Reading};

/// Puts the answers together.
pub(super) fn reading(
    summaries: &Found,
    streams: &[Found],
    clients: &[Found],
) -> Result<Reading, Trouble> {
    let mut reading = summary(summaries.part())?;
    let mut known = BTreeMap::new();
    for stream in streams.iter().map(Found::part) {
        known.insert(stream.id("id")?, Stream::read(stream)?);
    }
    let (mut viewers, mut fed, mut publishers) = (0, 0, 0);
    for client in clients.iter().map(Found::part) {
        if client.flag("publish")? {
            publishers += 1;
            continue;
        }
        viewers += 1;
        let stream = known.get_mut(&client.id("stream")?);
        fed += u32::from(is_fed(client)? && stream.as_ref().is_some_and(|s| s.flows));
        // A stream that began between the two lists has its name the next time.
        if let Some(stream) = stream {
            stream.viewers += 1;
        }
    }
    reading.load.viewers = Some(viewers);
    reading.load.publishers = Some(publishers);
    reading.viewers_fed = Some(fed);
    reading.streams = Some(named(known.into_values()));
    Ok(reading)
}

/// One stream.
struct Stream {
    name: String,
    /// Published by a client, or pulled from an origin.
    live: bool,
    /// Sound or pictures have come: an edge pulls whatever name a player asks for.
    flows: bool,
    viewers: u32,
}

impl Stream {
    fn read(stream: Part<'_>) -> Result<Self, Trouble> {
        let live = stream.get("publish").map(|publish| publish.flag("active")).transpose()?;
        let name = format!("{}/{}", stream.text("app")?, stream.text("name")?);
        let live = live == Some(true);
        let flows = live && (stream.get("video").is_some() || stream.get("audio").is_some());
        Ok(Self { name, live, flows, viewers: 0 })
    }
}

/// Whether bytes that SRS counts must flow to a player all the time. One of HLS fetches a piece every
/// few seconds, those of WebRTC and SRT are not counted by every version, and versions before 5 call
/// every player `Play`.
fn is_fed(client: Part<'_>) -> Result<bool, Trouble> {
    Ok(matches!(client.text("type")?, "rtmp-play" | "flv-play"))
}

/// The same name in two virtual hosts is one stream to those who ask for `application/stream`.
fn named(streams: impl Iterator<Item = Stream>) -> BTreeMap<String, u32> {
    let mut named = BTreeMap::new();
    for stream in streams.filter(|stream| stream.live || stream.viewers > 0) {
        *named.entry(stream.name).or_default() += stream.viewers;
    }
    named
}

/// What SRS says of itself and of its machine.
fn summary(page: Part<'_>) -> Result<Reading, Trouble> {
    let data = page.part("data")?;
    let (own, system) = (data.part("self")?, data.part("system")?);
    let mut reading = Reading {
        server: Server {
            version: Some(format!("SRS/{}", own.text("version")?)),
            uptime: own.number("srs_uptime")?.and_then(|s| Duration::try_from_secs_f64(s).ok()),
        },
        ..Reading::default()
    };
    // Where it is not all right, SRS shows zeros for what it could not find out.
    if data.flag("ok")? {
        reading.load = Load {
            cpu_utilization: system.number("cpu_percent")?,
            memory_utilization: system.number("mem_ram_percent")?,
            ..Load::default()
        };
    }
    // SRS adds its bytes up every three seconds; before the first time it has none.
    let counted_ms = system.whole("srs_sample_time")?.filter(|ms| *ms > 0);
    reading.counted_at = counted_ms.map(Duration::from_millis);
    if counted_ms.is_some() {
        reading.bytes_out = system.whole("srs_send_bytes")?.map(counters);
        reading.bytes_in = system.whole("srs_recv_bytes")?.map(counters);
    }
    Ok(reading)
}

fn counters(bytes: u64) -> Counters {
    [(String::new(), bytes)].into()
}
