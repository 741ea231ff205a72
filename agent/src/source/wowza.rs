//! Wowza Media Server and Streaming Engine: their connection counts (XML), or the engine's REST API.

mod counts;
mod rest;

use tidegate_proto::heartbeat::Trouble;

use super::{
    fetch::{Fetch, misread},
    page::{Page, Reading},
};

/// What the last part of the path begins with where the connection counts are.
const COUNTS: &str = "connectioncounts";
/// Where the REST API has the virtual host that every installation has.
const DEFAULT_VHOST: &str = "/v2/servers/_defaultServer_/vhosts/_defaultVHost_";

/// Which of the two forms is meant stands in the URL.
pub(super) struct Wowza;

impl Page for Wowza {
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble> {
        let place = fetch.place();
        let path = place.split('?').next().unwrap_or_default();
        if path.rsplit('/').next().is_some_and(|last| last.starts_with(COUNTS)) {
            let text = fetch.text("")?;
            return counts::read(place, &text);
        }
        let vhost = match path.find("/v2/servers/") {
            Some(at) => &path[at..],
            None => DEFAULT_VHOST,
        };
        // The status belongs to the server, whose name comes before its virtual hosts.
        let server = vhost.split("/vhosts/").next().unwrap_or_default();
        let page = |what: &str, path: &str| {
            fetch.json_from_root(path).map(|text| (format!("{place} ({what})"), text))
        };
        let (status_place, status) = page("status", &format!("{server}/status"))?;
        let (vhost_place, vhost) = page("vhost", &format!("{vhost}/monitoring/current"))?;
        let (machine_place, machine) = page("machine", "/v2/machine/monitoring/current")?;
        let mut reading = Reading::default();
        rest::read_status(&mut reading, &status_place, &status)?;
        rest::read_vhost(&mut reading, &vhost_place, &vhost)?;
        rest::read_machine(&mut reading, &machine_place, &machine)?;
        Ok(reading)
    }
}

/// Every reader of this kind on one text, for fuzzing.
pub(super) fn read_all(text: &str) -> [Result<Reading, Trouble>; 4] {
    let rest = |read: fn(&mut Reading, &str, &str) -> Result<(), Trouble>| {
        let mut reading = Reading::default();
        read(&mut reading, "http://e", text).map(|()| reading)
    };
    [
        counts::read("http://e", text),
        rest(rest::read_status),
        rest(rest::read_vhost),
        rest(rest::read_machine),
    ]
}

#[cfg(test)]
mod tests;
