//! To be written.

use tidegate_proto::heartbeat::Trouble;

use super::{
    fetch::{Fetch, misread},
    page::{Page, Reading},
    plan::Series,
};

/// To be written.
pub(super) struct Prometheus {
    series: Series,
}

impl Prometheus {
    pub(super) fn new(series: Series) -> Self {
        Self { series }
    }
}

impl Page for Prometheus {
    fn read(&mut self, fetch: &Fetch) -> Result<Reading, Trouble> {
        fetch.text("")?;
        Err(misread(fetch.place(), format!("{:?}", self.series)))
    }
}
