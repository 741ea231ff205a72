//! What SRS's answers mean.

use std::{collections::BTreeMap, time::Duration};

use tidegate_proto::heartbeat::{Load, Trouble};

use super::{Found, Publish};
use crate::source::{Server, json::Part, meter::Counters, page::Reading};

/// Puts the answers together.
pub(super) fn reading(
    summaries: &Found,
    streams: &[Found],
    vhosts: &Found,
    local: &BTreeMap<Publish, bool>,
) -> Result<Reading, Trouble> {
    let mut reading = summary(summaries.part())?;
    let mut named = BTreeMap::new();
    let (mut viewers, mut steady, mut publishers) = (0u64, 0u64, 0u64);
    for stream in streams.iter().map(Found::part) {
        let seen = audience(stream, local)?;
        viewers = viewers.saturating_add(seen.viewers);
        publishers += u64::from(seen.published);
        if seen.live {
            steady = steady.saturating_add(seen.viewers);
        }
        if seen.live || seen.viewers > 0 {
            let of_name: &mut u64 = named.entry(name(stream)?).or_default();
            *of_name = of_name.saturating_add(seen.viewers);
        }
    }
    let page = summaries.part();
    reading.load.viewers = Some(page.bounded("the number of viewers", viewers)?);
    reading.load.publishers = Some(page.bounded("the number of publishers", publishers)?);
    // An HLS player fetches a piece every few seconds, and SRS does not tell it from the others here.
    let steady = if cuts_hls(vhosts.part())? { 0 } else { steady };
    reading.steady_viewers = Some(page.bounded("the number of viewers", steady)?);
    reading.streams = Some(bounded_streams(page, named)?);
    Ok(reading)
}

/// Who publishes and watches one stream.
struct Audience {
    viewers: u64,
    /// By a client of this server.
    published: bool,
    /// Published by a client, or pulled from an origin.
    live: bool,
}

fn audience(stream: Part<'_>, local: &BTreeMap<Publish, bool>) -> Result<Audience, Trouble> {
    let publish = publishing(stream)?;
    let published = publish.as_ref().is_some_and(|publish| local.get(publish) == Some(&true));
    let clients = stream.whole("clients")?.unwrap_or(0);
    stream.bounded("clients", clients)?;
    // A publisher may have gone from the count and not yet from the stream.
    let viewers = clients.saturating_sub(u64::from(published));
    Ok(Audience { viewers, published, live: publish.is_some() })
}

/// The publish that a stream lives from, if it lives.
pub(super) fn publishing(stream: Part<'_>) -> Result<Option<Publish>, Trouble> {
    let Some(publish) = stream.get("publish") else { return Ok(None) };
    if !publish.flag("active")? {
        return Ok(None);
    }
    let publisher = if publish.get("cid").is_some() { publish.id("cid")? } else { String::new() };
    Ok(Some((stream.id("id")?, publisher)))
}

fn name(stream: Part<'_>) -> Result<String, Trouble> {
    Ok(format!("{}/{}", stream.text("app")?, stream.text("name")?))
}

/// The same name in two virtual hosts is one stream to those who ask for `application/stream`.
fn bounded_streams(
    page: Part<'_>,
    named: BTreeMap<String, u64>,
) -> Result<BTreeMap<String, u32>, Trouble> {
    let bounded = |(name, viewers)| Ok((name, page.bounded("the viewers of a stream", viewers)?));
    named.into_iter().map(bounded).collect()
}

fn cuts_hls(page: Part<'_>) -> Result<bool, Trouble> {
    for vhost in page.list("vhosts")? {
        if let Some(hls) = vhost.get("hls")
            && hls.flag("enabled")?
        {
            return Ok(true);
        }
    }
    Ok(false)
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
