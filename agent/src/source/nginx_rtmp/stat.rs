//! The XML of `rtmp_stat all`: streams by application, and who is connected to each.
//!
//! What the module writes is in `ngx_rtmp_stat_module.c` of <https://github.com/arut/nginx-rtmp-module>.

use std::collections::BTreeMap;

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesRef, Event},
};

use crate::source::fetch::shortened;

/// The page has eight levels.
const DEPTH_MAX: usize = 16;

/// How nginx's own connections for `push` and `pull` call themselves, and how another nginx that pulls
/// from here does unless told otherwise.
const RELAYS: [&str; 2] = ["ngx-local-relay", "LNX.11,1,102,55"];
/// How a worker that passes a stream on to the other workers calls itself, and where to they listen.
const AUTO_PUSH: &str = "APSH ";
const AUTO_PUSH_SOCKET: &str = "/nginx-rtmp.";

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) version: Option<String>,
    /// Of the worker that answered.
    pub(super) pid: u64,
    pub(super) uptime_s: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) viewers: u32,
    /// Viewers who are receiving; the others wait for somebody to publish, or have paused.
    pub(super) viewers_fed: u32,
    /// Those who feed a stream, nginx's own pulls included.
    pub(super) publishers: u32,
    /// Viewers by `application/stream`.
    pub(super) streams: BTreeMap<String, u32>,
    /// Whether this worker shares streams with others.
    pub(super) has_other_workers: bool,
}

/// Why a text is not such a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It has not the form.
    Form(String),
    /// It has a figure that cannot be.
    Figure { name: String, value: String },
}

pub(super) fn parse(text: &str) -> Result<Stat, Wrong> {
    let mut reader = Reader::from_str(text);
    // Versions differ in whether they escape addresses, and no address is worth the page.
    reader.config_mut().allow_dangling_amp = true;
    let mut page = Page::default();
    loop {
        match reader.read_event().map_err(|error| form(format!("not XML: {error}")))? {
            Event::Start(tag) => page.open(tag.local_name().into_inner())?,
            Event::Empty(tag) => page.mark(tag.local_name().into_inner()),
            Event::Text(text) => page.text.push_str(&text.xml10_content()),
            Event::CData(text) => page.text.push_str(&text.xml10_content()),
            Event::GeneralRef(entity) => page.text.push_str(&resolved(&entity)?),
            Event::End(_) => page.close()?,
            Event::Eof => return page.finish(),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
        }
    }
}

/// What has been read so far, and where the reader stands.
#[derive(Debug, Default)]
struct Page {
    path: Vec<String>,
    text: String,
    figures: BTreeMap<String, u64>,
    version: Vec<String>,
    application: String,
    stream: Stream,
    client: Client,
    /// Whether a live or a play section has been seen.
    has_sections: bool,
    has_root: bool,
    has_other_workers: bool,
    viewers: u32,
    viewers_fed: u32,
    publishers: u32,
    streams: BTreeMap<String, u32>,
}

#[derive(Debug, Default)]
struct Stream {
    name: String,
    clients: u64,
    clients_told: Option<u64>,
    viewers: u32,
}

#[derive(Debug, Default)]
struct Client {
    flashver: String,
    address: String,
    publishes: bool,
    active: bool,
}

impl Page {
    fn open(&mut self, name: &str) -> Result<(), Wrong> {
        if self.path.len() >= DEPTH_MAX {
            return Err(form("it is nested too deeply"));
        }
        if self.path.is_empty() && name != "rtmp" {
            return Err(form(
                "it does not begin with <rtmp>; source.url must lead to rtmp_stat all",
            ));
        }
        match name {
            "application" => self.application.clear(),
            "live" | "play" => self.has_sections = true,
            "stream" => self.stream = Stream::default(),
            "client" => self.client = Client::default(),
            _ => {}
        }
        self.path.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    /// An element that says something by being there.
    fn mark(&mut self, name: &str) {
        if self.parent() == Some("client") {
            match name {
                "publishing" => self.client.publishes = true,
                "active" => self.client.active = true,
                _ => {}
            }
        }
    }

    fn parent(&self) -> Option<&str> {
        self.path.last().map(String::as_str)
    }

    fn close(&mut self) -> Result<(), Wrong> {
        let name = self.path.pop().unwrap_or_default();
        let text = std::mem::take(&mut self.text);
        match (self.parent().unwrap_or_default(), name.as_str()) {
            ("", "rtmp") => self.has_root = true,
            ("rtmp", "nginx_version") => self.version.push(format!("nginx/{text}")),
            ("rtmp", "nginx_rtmp_version") => self.version.push(format!("rtmp/{text}")),
            ("rtmp", "pid" | "uptime" | "bytes_in" | "bytes_out") => {
                let value = figure(&name, &text)?;
                self.figures.insert(name, value);
            }
            ("application", "name") => self.application = text,
            ("stream", "name") => self.stream.name = text,
            ("stream", "nclients") => self.stream.clients_told = Some(figure(&name, &text)?),
            ("stream", "bytes_in" | "bytes_out") | ("live" | "play", "nclients") => {
                figure(&name, &text)?;
            }
            ("client", "flashver") => self.client.flashver = text,
            ("client", "address") => self.client.address = text,
            ("stream", "client") => self.count_client(),
            (section @ ("live" | "play"), "stream") => {
                let is_live = section == "live";
                self.count_stream(is_live)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn count_client(&mut self) {
        let client = std::mem::take(&mut self.client);
        self.stream.clients += 1;
        self.has_other_workers |= client.flashver.starts_with(AUTO_PUSH)
            || (client.address.starts_with("unix:") && client.address.contains(AUTO_PUSH_SOCKET));
        if client.publishes {
            self.publishers += 1;
        } else if !client.is_relay() {
            self.stream.viewers += 1;
            self.viewers += 1;
            self.viewers_fed += u32::from(client.active);
        }
    }

    fn count_stream(&mut self, is_live: bool) -> Result<(), Wrong> {
        let stream = std::mem::take(&mut self.stream);
        let told = stream.clients_told.ok_or_else(|| form("a stream has no <nclients>"))?;
        if told != stream.clients {
            let listed = stream.clients;
            return Err(form(format!(
                "a stream has {told} clients, but {listed} are listed; set rtmp_stat all"
            )));
        }
        // A film is there whether or not anybody watches it, so it is named while somebody does.
        if is_live || stream.viewers > 0 {
            let name = format!("{}/{}", self.application, stream.name);
            *self.streams.entry(name).or_default() += stream.viewers;
        }
        Ok(())
    }

    fn finish(self) -> Result<Stat, Wrong> {
        if !self.has_root {
            return Err(form("it ends too early"));
        }
        let required = |name: &str| {
            let value = self.figures.get(name).copied();
            value.ok_or_else(|| form(format!("it has no <{name}>")))
        };
        let (pid, uptime_s) = (required("pid")?, required("uptime")?);
        let (bytes_in, bytes_out) = (required("bytes_in")?, required("bytes_out")?);
        if !self.has_sections {
            return Err(form("it names no stream of any application; set rtmp_stat all"));
        }
        Ok(Stat {
            version: (!self.version.is_empty()).then(|| self.version.join(" ")),
            pid,
            uptime_s,
            bytes_in,
            bytes_out,
            viewers: self.viewers,
            viewers_fed: self.viewers_fed,
            publishers: self.publishers,
            streams: self.streams,
            has_other_workers: self.has_other_workers,
        })
    }
}

impl Client {
    fn is_relay(&self) -> bool {
        RELAYS.contains(&self.flashver.as_str())
            || self.flashver.starts_with(AUTO_PUSH)
            || self.address.starts_with("unix:")
    }
}

fn form(why: impl Into<String>) -> Wrong {
    Wrong::Form(why.into())
}

fn figure(name: &str, text: &str) -> Result<u64, Wrong> {
    text.trim().parse().map_err(|_| Wrong::Figure {
        name: name.to_owned(),
        value: format!("{:?}", shortened(text)),
    })
}

/// A character that was written as `&name;` or `&#number;`.
fn resolved(entity: &BytesRef<'_>) -> Result<String, Wrong> {
    let number = entity.resolve_char_ref().map_err(|error| form(format!("not XML: {error}")))?;
    let named = || resolve_predefined_entity(entity).map(str::to_owned);
    number.map(String::from).or_else(named).ok_or_else(|| form("not XML: it has an unknown entity"))
}
