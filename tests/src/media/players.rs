//! Players that others wrote. Each runs to its end within a deadline, without anybody's proxies.

use std::{path::Path, process::Command, time::Duration};

use crate::{
    process::{Process, Ran, run},
    tools::tool,
    wait::{SOON, eventually},
};

/// Far more than any of them needs.
const DEADLINE: Duration = Duration::from_secs(60);
/// More than the headers and the metadata of a stream, in bytes.
const MEDIA_LEN: u64 = 8_000;

/// ffprobe on a URL: the streams as JSON on standard output.
#[track_caller]
pub fn ffprobe(url: &str) -> Ran {
    ffprobe_with(&[], url)
}

/// The same with options before the URL.
#[track_caller]
pub fn ffprobe_with(options: &[&str], url: &str) -> Ran {
    let fast = ["-hide_banner", "-analyzeduration", "1000000", "-show_streams", "-of", "json"];
    player("ffprobe", &[&fast, options, &[url]].concat())
}

/// ffmpeg receives a URL for `seconds` and throws the pictures away.
#[track_caller]
pub fn ffmpeg_receives(url: &str, seconds: u32) -> Ran {
    let time = seconds.to_string();
    player("ffmpeg", &["-nostdin", "-hide_banner", "-i", url, "-t", &time, "-f", "null", "-"])
}

/// rtmpdump, told to end by itself after a second; it does so only where it is refused.
#[track_caller]
pub fn rtmpdump(url: &str, to: &Path) -> Ran {
    run(rtmpdump_command(url, to), DEADLINE)
}

/// curl with its librtmp, which ends by itself only where it is refused.
#[track_caller]
pub fn curl_rtmp(url: &str, to: &Path) -> Ran {
    run(curl_command(url, to), DEADLINE)
}

/// Waits until rtmpdump has written as many bytes of a live stream as only media make, and ends it.
#[track_caller]
pub fn rtmpdump_receives(url: &str, to: &Path) {
    receives(rtmpdump_command(url, to), to);
}

/// The same with curl.
#[track_caller]
pub fn curl_receives(url: &str, to: &Path) {
    receives(curl_command(url, to), to);
}

/// rtmpdump, which plays a live stream until it is dropped.
#[track_caller]
pub fn rtmpdump_stays(url: &str, to: &Path) -> Process {
    Process::start(rtmpdump_command(url, to), &to.with_extension("log"))
}

#[track_caller]
fn rtmpdump_command(url: &str, to: &Path) -> Command {
    let to = to.display().to_string();
    command("rtmpdump", &["--quiet", "-r", url, "--live", "--timeout", "20", "-o", &to])
}

#[track_caller]
fn curl_command(url: &str, to: &Path) -> Command {
    let to = to.display().to_string();
    let limits = ["--disable", "--silent", "--show-error", "--max-time", "40", "--output"];
    command("curl", &[&limits[..], &[to.as_str(), url]].concat())
}

#[track_caller]
fn receives(command: Command, to: &Path) {
    let shown = format!("{command:?}");
    let mut process = Process::start(command, &to.with_extension("log"));
    eventually(SOON, &format!("{shown} receives media"), || {
        let len = to.metadata().map_or(0, |file| file.len());
        match process.exited() {
            _ if len >= MEDIA_LEN => Ok(()),
            None => Err(format!("{len} bytes")),
            Some(status) => panic!("{shown} ended with {status}: {}", process.output()),
        }
    });
}

/// GStreamer's rtmp2src takes a number of buffers off a URL.
#[track_caller]
pub fn gst_rtmp2src(url: &str, buffers: u32, properties: &[&str]) -> Ran {
    let (location, count) = (format!("location={url}"), format!("num-buffers={buffers}"));
    let source = ["--quiet", "rtmp2src", &location, &count];
    player("gst-launch-1.0", &[&source[..], properties, &["!", "fakesink", "sync=false"]].concat())
}

#[track_caller]
fn player(name: &str, arguments: &[&str]) -> Ran {
    run(command(name, arguments), DEADLINE)
}

#[track_caller]
fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(tool(name));
    command.args(arguments);
    for variable in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        command.env_remove(variable);
    }
    command
}
