//! nginx's own status page, `stub_status`: connections and nothing else.

use tidegate_proto::heartbeat::{Load, Trouble};

use super::{
    fetch::{Fetch, absurd, misread, shortened},
    page::{Page, Reading},
    trouble,
};

/// The names of the counters, in their order. Some builds have more.
const COUNTERS: &str = "server accepts handled requests";

/// Reads the page, and notices when it is an old one.
#[derive(Debug, Default)]
pub(super) struct StubStatus {
    requests: Option<u64>,
}

/// One page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status {
    /// The connection that asks included.
    active: u64,
    /// Since nginx was started, this one included.
    requests: u64,
}

/// Why a text is not such a page.
#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    /// It has not the form; this is what stands there instead.
    Form(String),
    /// It has a figure that cannot be.
    Figure(&'static str, String),
}

impl Page for StubStatus {
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble> {
        let text = fetch.text("").inspect_err(|_| self.requests = None)?;
        let status = parse(&text).map_err(|wrong| match wrong {
            Wrong::Form(found) => {
                misread(fetch.place(), format!("no stub_status page, but {found}"))
            }
            Wrong::Figure(name, value) => absurd(fetch.place(), name, value),
        })?;
        self.read_anew(status).ok_or_else(|| frozen(fetch.place(), status.requests))
    }
}

impl StubStatus {
    /// The page's load; `None` where nginx has not counted the request for it, so that it is an old one.
    fn read_anew(&mut self, status: Status) -> Option<Reading> {
        let before = self.requests.replace(status.requests);
        (before != Some(status.requests)).then(|| reading(status))
    }
}

fn frozen(place: &str, requests: u64) -> Trouble {
    let text = format!(
        "the figures of {place} are frozen: it still counts {requests} requests; is it cached?"
    );
    trouble("source_frozen", text)
}

fn reading(status: Status) -> Reading {
    let others = u32::try_from(status.active - 1).unwrap_or(u32::MAX);
    Reading { load: Load { viewers: Some(others), ..Load::default() }, ..Reading::default() }
}

fn parse(text: &str) -> Result<Status, Wrong> {
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let active = first.strip_prefix("Active connections:").ok_or_else(|| found(first))?;
    let active = figure("Active connections", active)?;
    let names = lines.next().unwrap_or_default();
    if !names.starts_with(COUNTERS) {
        return Err(found(names));
    }
    let counters = lines.next().unwrap_or_default();
    let requests = counters.split_whitespace().nth(2).ok_or_else(|| found(counters))?;
    let requests = figure("requests", requests)?;
    let last = lines.next().unwrap_or_default();
    if !last.starts_with("Reading:") {
        return Err(found(last));
    }
    if active == 0 {
        // The connection that asks is one.
        return Err(Wrong::Figure("Active connections", "0".to_owned()));
    }
    Ok(Status { active, requests })
}

fn found(text: &str) -> Wrong {
    Wrong::Form(format!("{:?}", shortened(text)))
}

fn figure(name: &'static str, text: &str) -> Result<u64, Wrong> {
    let text = text.trim();
    text.parse().map_err(|_| Wrong::Figure(name, format!("{:?}", shortened(text))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recorded; see the README beside it.
    const RECORDED: &str = include_str!("../../testdata/nginx-rtmp/stub-status.txt");

    #[test]
    fn a_recorded_page_counts_everybody_but_the_one_that_asks() {
        let status = parse(RECORDED).expect("recorded");
        assert_eq!(status, Status { active: 13, requests: 4 });
        let reading = reading(status);
        assert_eq!(reading.load, Load { viewers: Some(12), ..Load::default() });
        assert_eq!((reading.bytes_out, reading.streams), (None, None));
    }

    #[test]
    fn a_page_with_more_counters_is_read_too() {
        let text = RECORDED.replace("requests", "requests request_time").replace("13 4", "13 4 90");
        assert_eq!(parse(&text), parse(RECORDED));
    }

    #[test]
    fn what_is_no_such_page_is_told_and_never_zero() {
        for text in ["", "<html>", "Active connections", "Active connections: 3\n<html>"] {
            assert!(matches!(parse(text), Err(Wrong::Form(_))), "{text}");
        }
        let mut cut = RECORDED.lines();
        while cut.next_back().is_some() {
            let text: Vec<_> = cut.clone().collect();
            assert!(matches!(parse(&text.join("\n")), Err(Wrong::Form(_))), "{text:?}");
        }
        for wrong in ["-1", "0", "NaN", "1e9", "99999999999999999999", ""] {
            let text = RECORDED.replace("connections: 13", &format!("connections: {wrong}"));
            assert!(matches!(parse(&text), Err(Wrong::Figure("Active connections", _))), "{text}");
        }
    }

    #[test]
    fn a_page_that_has_not_counted_the_request_for_it_is_an_old_one() {
        let mut page = StubStatus::default();
        let at = |requests| Status { active: 2, requests };
        assert!(page.read_anew(at(6)).is_some());
        assert!(page.read_anew(at(7)).is_some());
        assert!(page.read_anew(at(7)).is_none());
        assert!(page.read_anew(at(8)).is_some());
        assert!(page.read_anew(at(1)).is_some(), "nginx was started anew");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,80}", count in ".{0,24}") {
            let _ = parse(&text);
            let _ = parse(&RECORDED.replace("13", &count));
        }
    }
}
