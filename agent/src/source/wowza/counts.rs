//! The connection counts: what Wowza's HTTP provider `HTTPConnectionCountsXML` writes.
//!
//! Its source is public: <https://www.wowza.com/docs/how-to-get-connection-counts-for-server-applications-application-instances-and-streams-with-an-http-provider>.
//! `Sessions…` of a stream are those who play it. `ConnectionsCurrent` counts clients of any kind,
//! publishers among them, so it stands in for viewers only where a page names no stream at all.

use std::{collections::BTreeMap, time::Duration};

use quick_xml::{Reader, XmlVersion, escape::resolve_predefined_entity, events::Event};
use tidegate_proto::heartbeat::{BANDWIDTH_BPS_MAX, Load, Trouble, VIEWERS_MAX};

use super::{Reading, misread};
use crate::source::{
    Server, UPTIME_S_MAX,
    fetch::{absurd, shortened},
};

/// Root, virtual host, application, instance, stream and its figures make six.
const DEPTH_MAX: usize = 16;
const DEFAULT_INSTANCE: &str = "_definst_";

/// The figures on a page of `place`.
pub(super) fn read(place: &str, text: &str) -> Result<Reading, Trouble> {
    let mut reader = Reader::from_str(text);
    let mut counts = Counts { place, ..Counts::default() };
    let mut leaf = String::new();
    loop {
        let event = reader.read_event().map_err(|error| misread(place, error))?;
        match event {
            Event::Start(tag) => {
                leaf.clear();
                let name = tag.name().as_ref().to_owned();
                counts.open(name)?;
            }
            Event::End(_) => {
                counts.close(leaf.trim())?;
                leaf.clear();
            }
            Event::Text(more) => leaf.push_str(&more.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(more) => leaf.push_str(&more.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(entity) => {
                let named = resolve_predefined_entity(&entity.xml_content(XmlVersion::Implicit1_0));
                let character = entity.resolve_char_ref().ok().flatten();
                match (named, character) {
                    (Some(text), _) => leaf.push_str(text),
                    (None, Some(character)) => leaf.push(character),
                    (None, None) => return Err(misread(place, "it has an unknown entity")),
                }
            }
            Event::Eof => return counts.reading(),
            _ => {}
        }
    }
}

/// What has been read so far, and where in the tree that is.
#[derive(Debug, Default)]
struct Counts<'a> {
    place: &'a str,
    path: Vec<String>,
    has_root: bool,
    connections: Option<u32>,
    bandwidth_in_bps: Option<u64>,
    bandwidth_out_bps: Option<u64>,
    uptime: Option<Duration>,
    application: String,
    instance: String,
    /// Name and sessions of the stream that is being read.
    stream: (Option<String>, Option<u32>),
    streams: BTreeMap<String, u32>,
    has_streams: bool,
}

impl Counts<'_> {
    fn open(&mut self, name: String) -> Result<(), Trouble> {
        if self.path.is_empty() {
            // `WowzaMediaServer` up to version 3, `WowzaStreamingEngine` since.
            if !name.starts_with("Wowza") {
                return Err(misread(self.place, format!("its root is {name:?}")));
            }
            self.has_root = true;
        }
        if self.path.len() == DEPTH_MAX {
            return Err(misread(self.place, "its elements are nested too deep"));
        }
        self.path.push(name);
        Ok(())
    }

    fn close(&mut self, text: &str) -> Result<(), Trouble> {
        let Some(name) = self.path.pop() else { return Ok(()) };
        match (self.path.len(), self.path.last().map(String::as_str), name.as_str()) {
            (1, _, "ConnectionsCurrent") => self.connections = Some(self.count(&name, text)?),
            (1, _, "MessagesInBytesRate") => self.bandwidth_in_bps = Some(self.rate(&name, text)?),
            (1, _, "MessagesOutBytesRate") => {
                self.bandwidth_out_bps = Some(self.rate(&name, text)?);
            }
            // Of several virtual hosts the oldest tells how long the server has been running.
            (2, Some("VHost"), "TimeRunning") => {
                let seconds = self.figure(&name, text, UPTIME_S_MAX)?;
                self.uptime = self.uptime.max(Some(Duration::from_secs_f64(seconds)));
            }
            (_, Some("Application"), "Name") => self.application = path_form(text),
            (_, Some("ApplicationInstance"), "Name") => self.instance = path_form(text),
            (_, Some("Stream"), "Name") => self.stream.0 = Some(path_form(text)),
            (_, Some("Stream"), "SessionsTotal") => {
                self.stream.1 = Some(self.count(&name, text)?);
            }
            (_, _, "Stream") => self.close_stream()?,
            _ => {}
        }
        Ok(())
    }

    fn close_stream(&mut self) -> Result<(), Trouble> {
        let (Some(name), Some(sessions)) = std::mem::take(&mut self.stream) else {
            let why = "a stream has no Name or no SessionsTotal";
            return Err(misread(self.place, why));
        };
        let name = match self.instance.as_str() {
            DEFAULT_INSTANCE => format!("{}/{name}", self.application),
            instance => format!("{}/{instance}/{name}", self.application),
        };
        let viewers = self.streams.entry(name).or_default();
        *viewers = viewers.saturating_add(sessions);
        self.has_streams = true;
        Ok(())
    }

    fn reading(self) -> Result<Reading, Trouble> {
        let Some(connections) = self.connections.filter(|_| self.has_root && self.path.is_empty())
        else {
            return Err(misread(
                self.place,
                "it breaks off, or has no ConnectionsCurrent (asked with ?flat?)",
            ));
        };
        let sum = self.streams.values().fold(0_u32, |sum, more| sum.saturating_add(*more));
        let viewers = if self.has_streams { sum } else { connections };
        Ok(Reading {
            load: Load {
                viewers: Some(viewers),
                bandwidth_out_bps: self.bandwidth_out_bps,
                bandwidth_in_bps: self.bandwidth_in_bps,
                ..Load::default()
            },
            streams: (self.has_streams || connections == 0).then_some(self.streams),
            server: Server { version: None, uptime: self.uptime },
            ..Reading::default()
        })
    }

    fn count(&self, figure: &str, text: &str) -> Result<u32, Trouble> {
        let count = text.parse().ok().filter(|count| *count <= VIEWERS_MAX);
        count.ok_or_else(|| self.absurd(figure, text))
    }

    /// Bytes per second become bits per second.
    fn rate(&self, figure: &str, text: &str) -> Result<u64, Trouble> {
        let most = BANDWIDTH_BPS_MAX as f64 / 8.0;
        Ok((self.figure(figure, text, most)? * 8.0).round() as u64)
    }

    fn figure(&self, figure: &str, text: &str, most: f64) -> Result<f64, Trouble> {
        let value = text.parse().ok().filter(|value| (0.0..=most).contains(value));
        value.ok_or_else(|| self.absurd(figure, text))
    }

    fn absurd(&self, figure: &str, text: &str) -> Trouble {
        absurd(self.place, figure, format!("{:?}", shortened(text)))
    }
}

/// A name as it stands in the path of a client's URL. Java's `URLEncoder`, which the page is written
/// with, also encodes what a path may have as it is (RFC 3986, section 3.3) and makes blanks plus signs.
fn path_form(encoded: &str) -> String {
    let mut name = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = rest.find(['%', '+']) {
        name.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(code, 16).ok());
        let (plain, len) = match (rest.as_bytes()[at], code.map(char::from)) {
            (b'+', _) => ("%20".to_owned(), 1),
            (_, Some(c)) if "/:@!$&'()*+,;=~".contains(c) => (c.to_string(), 3),
            _ => ("%".to_owned(), 1),
        };
        name.push_str(&plain);
        rest = &rest[at + len..];
    }
    name + rest
}

#[cfg(test)]
mod tests {
    use super::path_form;

    #[test]
    fn names_are_what_stands_in_a_clients_path() {
        for (encoded, plain) in [
            ("294%2F294%2F294_content_lq.mp4", "294/294/294_content_lq.mp4"),
            ("mp4%3Aa+b", "mp4:a%20b"),
            ("caf%C3%A9", "caf%C3%A9"),
            ("%", "%"),
            ("%2", "%2"),
            ("%2Fé%é", "/é%é"),
            ("100%25", "100%25"),
        ] {
            assert_eq!(path_form(encoded), plain);
        }
    }
}
