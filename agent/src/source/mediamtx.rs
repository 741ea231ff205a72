//! MediaMTX: its control API, version 3, or its metrics page where the URL ends in `/metrics`.
//! <https://mediamtx.org/docs/usage/control-api>

mod api;
mod metrics;
mod timestamp;

use std::time::SystemTime;

use tidegate_proto::heartbeat::Trouble;

use super::{
    fetch::Fetch,
    page::{Page, Reading},
};

/// Asks MediaMTX.
pub(super) struct MediaMtx;

impl Page for MediaMtx {
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble> {
        if fetch.place().ends_with("/metrics") {
            metrics::reading(fetch.place(), &fetch.text("")?)
        } else {
            api::read(fetch, SystemTime::now())
        }
    }
}

/// What one text is as each page of MediaMTX.
pub(super) fn read_all(text: &str) -> [Result<Reading, Trouble>; 2] {
    const PLACE: &str = "http://m";
    [api::read_whole(PLACE, text, SystemTime::UNIX_EPOCH), metrics::reading(PLACE, text)]
}

/// What reads a path and is nobody: the muxer that cuts HLS for all who fetch it, recorders,
/// forwarders, and what newer versions call hidden.
fn is_internal(reader_type: &str) -> bool {
    matches!(reader_type, HLS_MUXER | "hidden" | "keepalive" | "rpiCameraSecondary" | "")
}

/// A reader that stands for nobody or for thousands. Versions with HLS sessions have none.
const HLS_MUXER: &str = "hlsMuxer";
/// A player of HLS, who fetches a piece now and then.
const HLS_SESSION: &str = "hlsSession";

#[cfg(test)]
mod tests;
