//! To be written.

use tidegate_proto::heartbeat::Trouble;

use super::{
    fetch::{Fetch, misread},
    page::{Page, Reading},
};

/// To be written.
pub(super) struct MediaMtx;

impl Page for MediaMtx {
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble> {
        fetch.text("")?;
        Err(misread(fetch.place(), "not written yet"))
    }
}
