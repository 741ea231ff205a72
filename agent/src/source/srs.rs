//! SRS: its HTTP API, version 1, as of SRS 3 and later.
//! <https://ossrs.io/lts/en-us/docs/v6/doc/http-api>

mod reading;

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_proto::heartbeat::Trouble;

use self::reading::reading;
use super::{
    fetch::{Fetch, misread},
    json::{self, Part},
    page::{Page, Reading},
};

const SUMMARIES: &str = "/api/v1/summaries";
// Without the slash at the end SRS answers with a redirect.
const STREAMS: &str = "/api/v1/streams/";
const CLIENTS: &str = "/api/v1/clients/";

/// So many things are asked for at once. A player chooses the URLs it is listed with, so that a page
/// of many could be made too long to be read.
const PAGE_LEN: usize = 200;
/// SRS never makes a page shorter than this unless it is the last.
const PAGE_LEN_MIN: usize = 10;
/// More pages than this are no end.
const PAGES_MAX: usize = 500;

/// Asks SRS.
pub(super) struct Srs;

/// One thing of a list, with the URL it came from.
#[derive(Debug)]
struct Found {
    place: String,
    value: Value,
}

impl Found {
    fn part(&self) -> Part<'_> {
        Part::new(&self.place, &self.value)
    }

    /// The things of the list under a key.
    fn items(&self, key: &str) -> Result<impl Iterator<Item = Self> + '_, Trouble> {
        let found =
            |item: Part<'_>| Self { place: self.place.clone(), value: item.value().clone() };
        Ok(self.part().list(key)?.map(found))
    }
}

impl Page for Srs {
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble> {
        let summaries = page(fetch, SUMMARIES)?;
        let streams = all(fetch, STREAMS, "streams")?;
        // A stream has a count of its clients as well, but it has been wrong in several versions:
        // https://github.com/ossrs/srs/issues/1362 and /3530.
        let clients = all(fetch, CLIENTS, "clients")?;
        reading(&summaries, &streams, &clients)
    }
}

/// What one text is as every page of SRS at once.
pub(super) fn read_whole(text: &str) -> Result<Reading, Trouble> {
    const PLACE: &str = "http://s";
    let whole = Found { place: PLACE.to_owned(), value: json::parse(PLACE, text)? };
    let list = |key| -> Result<Vec<Found>, Trouble> { Ok(whole.items(key)?.collect()) };
    reading(&whole, &list("streams")?, &list("clients")?)
}

/// One page whose `code` says that all is well.
fn page(fetch: &Fetch, path: &str) -> Result<Found, Trouble> {
    let place = format!("{}{path}", fetch.place());
    let value = json::parse(&place, &fetch.text(path)?)?;
    accepted(Part::new(&place, &value), &place)?;
    Ok(Found { place, value })
}

/// SRS answers 200 even where it refuses, and says so in a `code`.
fn accepted(page: Part<'_>, place: &str) -> Result<(), Trouble> {
    match page.whole("code")? {
        Some(0) => Ok(()),
        Some(code) => Err(misread(place, format!("SRS answered with its error code {code}"))),
        None => Err(misread(place, "it has no code; is this the HTTP API of SRS?")),
    }
}

/// All of a list, page after page. SRS gives ten where nobody asks for more.
fn all(fetch: &Fetch, path: &str, key: &str) -> Result<Vec<Found>, Trouble> {
    let place = format!("{}{path}", fetch.place());
    let (mut found, mut ids, mut start) = (Vec::new(), BTreeSet::new(), 0);
    for _ in 0..PAGES_MAX {
        let page = page(fetch, &format!("{path}?start={start}&count={PAGE_LEN}"))?;
        let known = ids.len();
        let mut len = 0;
        for item in page.items(key)? {
            len += 1;
            // What begins or ends between two pages moves the others, so one can come twice.
            if ids.insert(item.part().id("id")?) {
                found.push(item);
            }
        }
        // An old SRS knows no pages and gives everything each time.
        if len < PAGE_LEN_MIN || ids.len() == known {
            return Ok(found);
        }
        start += len;
    }
    Err(misread(&place, format!("its list has no end after {PAGES_MAX} pages")))
}

#[cfg(test)]
mod tests;
