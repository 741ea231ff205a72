//! The REST API of Wowza Streaming Engine 4 (builds 15089 and later), version 2, as JSON.
//!
//! Fields are those of its own Swagger description, in a public copy:
//! <https://github.com/topix-hackademy/wowza-restapi/tree/master/documentation/docs/legacy-docs/Model>.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Error, error::Category};
use tidegate_proto::heartbeat::{Trouble, VIEWERS_MAX};

use super::{
    super::{fetch::absurd, trouble},
    Reading, misread,
};

const VERSION_LEN_MAX: usize = 64;
/// A century; no clock of a server shows more.
const UPTIME_S_MAX: f64 = 3.2e9;

/// `ServerStatusConfig`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    server_version: String,
    /// Seconds.
    time_running: f64,
}

/// `CurrentVHostStatistics`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VHost {
    bytes_in: u64,
    bytes_out: u64,
    /// Connections of any kind that are open now.
    total_connections: u32,
}

/// `CurrentMachineStatistics`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Machine {
    /// Percent.
    cpu_idle: f64,
    /// Bytes, as is `memory_free`.
    memory_used: u64,
    memory_free: u64,
}

/// Version and uptime, from `/v2/servers/SERVER/status`.
pub(super) fn read_status(reading: &mut Reading, place: &str, text: &str) -> Result<(), Trouble> {
    let status: Status = parsed(place, text)?;
    if !(0.0..=UPTIME_S_MAX).contains(&status.time_running) {
        return Err(absurd(place, "timeRunning", status.time_running));
    }
    let version: String = status.server_version.chars().take(VERSION_LEN_MAX).collect();
    reading.server.version = Some(format!("Wowza Streaming Engine {version}"));
    reading.server.uptime = Some(Duration::from_secs_f64(status.time_running));
    Ok(())
}

/// Connections and bytes, from `/v2/servers/SERVER/vhosts/VHOST/monitoring/current`.
pub(super) fn read_vhost(reading: &mut Reading, place: &str, text: &str) -> Result<(), Trouble> {
    let vhost: VHost = parsed(place, text)?;
    if vhost.total_connections > VIEWERS_MAX {
        return Err(absurd(place, "totalConnections", vhost.total_connections));
    }
    reading.load.viewers = Some(vhost.total_connections);
    // Those who publish are among them, and nothing has to flow to them.
    reading.viewers_fed = Some(0);
    reading.bytes_in = Some([(String::new(), vhost.bytes_in)].into());
    reading.bytes_out = Some([(String::new(), vhost.bytes_out)].into());
    Ok(())
}

/// Processors and memory, from `/v2/machine/monitoring/current`.
pub(super) fn read_machine(reading: &mut Reading, place: &str, text: &str) -> Result<(), Trouble> {
    let machine: Machine = parsed(place, text)?;
    if !(0.0..=100.0).contains(&machine.cpu_idle) {
        return Err(absurd(place, "cpuIdle", machine.cpu_idle));
    }
    reading.load.cpu_utilization = Some(1.0 - machine.cpu_idle / 100.0);
    let total = machine.memory_used as f64 + machine.memory_free as f64;
    reading.load.memory_utilization = (total > 0.0).then(|| machine.memory_used as f64 / total);
    Ok(())
}

/// JSON of another form is unreadable; a figure that a field cannot have, such as -1, is absurd.
fn parsed<T: DeserializeOwned>(place: &str, text: &str) -> Result<T, Trouble> {
    serde_json::from_str(text).map_err(|error: Error| match error.classify() {
        Category::Data if !error.to_string().starts_with("missing field") => {
            trouble("source_absurd", format!("{place} says what cannot be: {error}"))
        }
        _ => misread(place, error),
    })
}
