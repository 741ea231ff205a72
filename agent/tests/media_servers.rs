//! The sources that ask media servers, as an edge runs them, against answers of those servers.

#[path = "media_servers/mediamtx.rs"]
mod mediamtx;
#[path = "media_servers/server.rs"]
mod server;
#[path = "media_servers/srs.rs"]
mod srs;

use std::{fs, path::Path, time::Duration};

use tidegate_agent::source::{Kind, Plan, Source};

/// How often the edge of these tests reports.
const INTERVAL: Duration = Duration::from_millis(2_500);

/// An answer kept under `testdata/`.
fn kept(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn opened(kind: Kind) -> Box<dyn Source> {
    Plan(vec![kind]).open(INTERVAL)
}
