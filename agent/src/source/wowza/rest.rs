//! The REST API of Wowza Streaming Engine 4 (builds 15089 and later), version 2, as JSON.
//!
//! Fields are those of its own Swagger description, in a public copy:
//! <https://github.com/topix-hackademy/wowza-restapi/tree/master/documentation/docs/legacy-docs/Model>.

use std::time::Duration;

use serde_json::Value;
use tidegate_proto::heartbeat::Trouble;

use super::Reading;
use crate::source::{
    UPTIME_S_MAX,
    json::{self, Part},
};

const VERSION_LEN_MAX: usize = 64;

/// Version and uptime, from `/v2/servers/SERVER/status` (`ServerStatusConfig`).
pub(super) fn read_status(reading: &mut Reading, place: &str, text: &str) -> Result<(), Trouble> {
    let page: Value = json::parse(place, text)?;
    let status = Part::new(place, &page);
    let seconds = status.some_number("timeRunning", UPTIME_S_MAX)?;
    let version: String = status.text("serverVersion")?.chars().take(VERSION_LEN_MAX).collect();
    reading.server.version = Some(format!("Wowza Streaming Engine {version}"));
    reading.server.uptime = Some(Duration::from_secs_f64(seconds));
    Ok(())
}

/// Connections and bytes, from `/v2/servers/SERVER/vhosts/VHOST/monitoring/current`
/// (`CurrentVHostStatistics`).
pub(super) fn read_vhost(reading: &mut Reading, place: &str, text: &str) -> Result<(), Trouble> {
    let page: Value = json::parse(place, text)?;
    let vhost = Part::new(place, &page);
    let connections = vhost.some_whole("totalConnections")?;
    reading.load.viewers = Some(json::bounded(place, "totalConnections", connections)?);
    // Those who publish are among them, and nothing has to flow to them.
    reading.viewers_fed = Some(0);
    reading.bytes_in = Some([(String::new(), vhost.some_whole("bytesIn")?)].into());
    reading.bytes_out = Some([(String::new(), vhost.some_whole("bytesOut")?)].into());
    Ok(())
}

/// Processors (in percent) and memory (in bytes), from `/v2/machine/monitoring/current`
/// (`CurrentMachineStatistics`).
pub(super) fn read_machine(reading: &mut Reading, place: &str, text: &str) -> Result<(), Trouble> {
    let page: Value = json::parse(place, text)?;
    let machine = Part::new(place, &page);
    let idle = machine.some_number("cpuIdle", 100.0)?;
    let (used, free) = (machine.some_whole("memoryUsed")?, machine.some_whole("memoryFree")?);
    reading.load.cpu_utilization = Some(1.0 - idle / 100.0);
    let total = used as f64 + free as f64;
    reading.load.memory_utilization = (total > 0.0).then(|| used as f64 / total);
    Ok(())
}
