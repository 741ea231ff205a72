//! The control API: its paths, and what it knows of itself.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tidegate_proto::heartbeat::Trouble;

use super::{HLS_MUXER, HLS_SESSION, is_internal, timestamp};
use crate::source::{
    Server,
    fetch::{Fetch, misread},
    json::{self, Part},
    meter::Counters,
    page::Reading,
};

const INFO: &str = "/v3/info";
const PATHS: &str = "/v3/paths/list";
const HLS_MUXERS: &str = "/v3/hlsmuxers/list";

/// So many things are asked for at once; each path lists all of its readers.
const PAGE_LEN: usize = 200;
/// More pages than this are no end.
const PAGES_MAX: u64 = 100;
/// Nobody has fetched HLS for so long: nobody watches. Players ask at least once per piece.
const HLS_IDLE_MIN: Duration = Duration::from_secs(60);

/// Asks and reads at this moment.
pub(super) fn read(fetch: &Fetch, now: SystemTime) -> Result<Reading, Trouble> {
    let mut sum = Sum::default();
    each_page(fetch, PATHS, |page| sum.add_paths(page))?;
    if sum.has_muxers {
        each_page(fetch, HLS_MUXERS, |page| sum.add_muxers(page, now))?;
    }
    let mut reading = sum.reading(fetch.place())?;
    // Older versions do not tell about themselves.
    if let Some(text) = fetch.text_if_there(INFO)? {
        let place = format!("{}{INFO}", fetch.place());
        reading.server = server(Part::new(&place, &json::parse(&place, &text)?), now)?;
    }
    Ok(reading)
}

/// What one text is as a page of paths, of muxers, or of what the server says of itself.
pub(super) fn read_whole(place: &str, text: &str, now: SystemTime) -> Result<Reading, Trouble> {
    let value = json::parse(place, text)?;
    let (page, mut sum) = (Part::new(place, &value), Sum::default());
    let paths = sum.add_paths(page);
    let muxers = sum.add_muxers(page, now);
    let server = server(page, now);
    paths.or(muxers).and_then(|()| sum.reading(place)).or_else(|trouble| match server {
        Ok(server) => Ok(Reading { server, ..Reading::default() }),
        Err(_) => Err(trouble),
    })
}

/// Reads a list page after page.
fn each_page(
    fetch: &Fetch,
    path: &str,
    mut take: impl FnMut(Part<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let place = format!("{}{path}", fetch.place());
    for page in 0..PAGES_MAX {
        let text = fetch.text(&format!("{path}?itemsPerPage={PAGE_LEN}&page={page}"))?;
        let value: Value = json::parse(&place, &text)?;
        let part = Part::new(&place, &value);
        take(part)?;
        if page + 1 >= part.whole("pageCount")?.unwrap_or(1) {
            return Ok(());
        }
    }
    Err(misread(&place, format!("its list has no end after {PAGES_MAX} pages")))
}

/// What all pages add up to. A path that moved between two pages and came twice counts once.
#[derive(Debug, Default)]
pub(super) struct Sum {
    paths: BTreeMap<String, Path>,
    bytes_out: Counters,
    bytes_in: Counters,
    has_muxers: bool,
    /// Players whose number only they know.
    has_uncounted_viewers: bool,
}

/// One path.
#[derive(Debug, Clone, Copy)]
struct Path {
    ready: bool,
    published: bool,
    viewers: u64,
    hls_viewers: u64,
}

impl Sum {
    pub(super) fn add_paths(&mut self, page: Part<'_>) -> Result<(), Trouble> {
        for item in page.list("items")? {
            let name = item.text("name")?;
            self.add_bytes(&format!("path {name}"), item)?;
            let path = self.path(item)?;
            self.paths.insert(name.to_owned(), path);
        }
        Ok(())
    }

    fn path(&mut self, item: Part<'_>) -> Result<Path, Trouble> {
        let (mut viewers, mut hls_viewers) = (0, 0);
        // An empty list is written as null by some versions.
        for reader in
            item.get("readers").map(|_| item.list("readers")).transpose()?.into_iter().flatten()
        {
            let kind = reader.text("type")?;
            self.has_muxers |= kind == HLS_MUXER;
            viewers += u64::from(!is_internal(kind));
            hls_viewers += u64::from(kind == HLS_SESSION);
        }
        let ready = item.flag("ready")? || item.flag("available")?;
        // Others than these are sources that the server pulls itself.
        let source = item.get("source").map(|source| source.text("type")).transpose()?;
        let published =
            ready && source.is_some_and(|kind| kind.ends_with("Conn") || kind.ends_with("Session"));
        Ok(Path { ready, published, viewers, hls_viewers })
    }

    pub(super) fn add_muxers(&mut self, page: Part<'_>, now: SystemTime) -> Result<(), Trouble> {
        for item in page.list("items")? {
            self.add_bytes(&format!("hls {}", item.text("path")?), item)?;
            let last = item.get("lastRequest").and_then(|_| item.text("lastRequest").ok());
            let idle = last.and_then(timestamp::parse).and_then(|at| now.duration_since(at).ok());
            self.has_uncounted_viewers |= idle.is_none_or(|idle| idle < HLS_IDLE_MIN);
        }
        Ok(())
    }

    /// Newer versions have new names for the bytes, and say the old ones as well.
    fn add_bytes(&mut self, name: &str, item: Part<'_>) -> Result<(), Trouble> {
        let bytes = |new, old| Ok(item.whole(new)?.or(item.whole(old)?));
        if let Some(sent) = bytes("outboundBytes", "bytesSent")? {
            self.bytes_out.insert(name.to_owned(), sent);
        }
        if let Some(received) = bytes("inboundBytes", "bytesReceived")? {
            self.bytes_in.insert(name.to_owned(), received);
        }
        Ok(())
    }

    pub(super) fn reading(self, place: &str) -> Result<Reading, Trouble> {
        let place = format!("{place}{PATHS}");
        let of_all = |count: fn(&Path) -> u64| self.paths.values().map(count).sum();
        let viewers = json::bounded(&place, "the number of readers", of_all(|path| path.viewers))?;
        let fed = of_all(|path| if path.ready { path.viewers - path.hls_viewers } else { 0 });
        let mut reading = Reading {
            bytes_out: Some(self.bytes_out),
            bytes_in: Some(self.bytes_in),
            viewers_fed: Some(json::bounded(&place, "the number of readers", fed)?),
            ..Reading::default()
        };
        reading.load.viewers = (!self.has_uncounted_viewers).then_some(viewers);
        let publishers = of_all(|path| path.published.into());
        reading.load.publishers = Some(json::bounded(&place, "the number of sources", publishers)?);
        let carried = self.paths.into_iter().filter(|(_, path)| path.ready || path.viewers > 0);
        let named = carried.map(|(name, path)| {
            Ok((name, json::bounded(&place, "the readers of a path", path.viewers)?))
        });
        reading.streams = Some(named.collect::<Result<_, Trouble>>()?);
        Ok(reading)
    }
}

pub(super) fn server(info: Part<'_>, now: SystemTime) -> Result<Server, Trouble> {
    let started = info.get("started").map(|_| info.text("started")).transpose()?;
    let uptime =
        started.and_then(timestamp::parse).and_then(|started| now.duration_since(started).ok());
    Ok(Server { version: Some(format!("MediaMTX/{}", info.text("version")?)), uptime })
}
