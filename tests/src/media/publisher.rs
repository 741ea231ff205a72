//! ffmpeg as a camera: a test picture and a tone, in real time, until it is dropped.

use std::{path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::{
    process::Process,
    rtmp::{
        client::{Answer, Played, connect},
        url::RtmpUrl,
    },
    tools::tool,
    wait::{SOON, eventually},
};

/// The size of the picture.
pub const PICTURE: (u32, u32) = (320, 180);

/// A running ffmpeg.
#[derive(Debug)]
pub struct Publisher {
    process: Process,
    _home: TempDir,
}

impl Publisher {
    /// Publishes to an RTMP URL and waits until the edge plays it.
    #[track_caller]
    pub fn start(url: &str) -> Self {
        let publisher = Self::spawn(url);
        until_live(url);
        publisher
    }

    /// Begins to publish; whether anything comes of it is for the caller to see.
    #[track_caller]
    pub fn spawn(url: &str) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let log: PathBuf = home.path().join("ffmpeg.log");
        let mut command = Command::new(tool("ffmpeg"));
        let (width, height) = PICTURE;
        let picture = format!("testsrc=size={width}x{height}:rate=15");
        command.args(["-nostdin", "-hide_banner", "-loglevel", "warning"]);
        command.args(["-re", "-f", "lavfi", "-i", &picture]);
        command.args(["-re", "-f", "lavfi", "-i", "sine=frequency=440"]);
        // A whole picture every second, so that whoever comes late sees something soon.
        command.args(["-c:v", "libx264", "-profile:v", "baseline", "-preset", "ultrafast"]);
        command.args(["-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "15"]);
        command.args(["-c:a", "aac", "-b:a", "32k", "-f", "flv", url]);
        Self { process: Process::start(command, &log), _home: home }
    }

    /// The child process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Waits until a stream has picture or sound, as a player sees it.
#[track_caller]
pub fn until_live(url: &str) -> Played {
    let url: RtmpUrl = url.parse().expect("an RTMP URL");
    eventually(SOON, &format!("{} is live", url.stream), || {
        match connect(&url, None).map_err(|error| error.to_string())? {
            Answer::Accepted(mut client) => {
                client.play(&url.stream).map_err(|error| error.to_string())
            }
            Answer::Rejected(rejection) => Err(format!("{rejection:?}")),
        }
    })
}
