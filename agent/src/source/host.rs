//! The machine's own figures: processors, memory and network. It cannot know viewers.

use std::time::{Duration, Instant};

use sysinfo::{Networks, System};
use tidegate_proto::heartbeat::{BANDWIDTH_BPS_MAX, Load, Trouble};

use super::{Measurement, Source, trouble};

/// Rates over less than this say more about the scheduler than about the edge.
const WINDOW_MIN: Duration = Duration::from_millis(200);

/// Measures this machine. Rates are known from the second measurement on.
#[derive(Default)]
pub struct HostSource {
    system: Option<System>,
    networks: Option<Networks>,
    sampled_at: Option<Instant>,
    last: Load,
}

impl HostSource {
    fn refresh(&mut self, window: Option<Duration>) -> Result<Load, sysinfo::Error> {
        let system = match &mut self.system {
            Some(system) => system,
            none => none.insert(System::new()?),
        };
        system.refresh_memory();
        system.refresh_cpu_usage();
        let networks = match &mut self.networks {
            Some(networks) => networks,
            none => none.insert(Networks::new()?),
        };
        networks.refresh(true);
        let total = system.total_memory();
        let load = Load {
            memory_utilization: (total > 0)
                .then(|| (system.used_memory() as f64 / total as f64).clamp(0.0, 1.0)),
            ..Load::default()
        };
        // The first figures of both libraries are sums since boot, not rates.
        let Some(window) = window else { return Ok(load) };
        let (received, transmitted) = transferred(networks);
        Ok(Load {
            cpu_utilization: Some(f64::from(system.global_cpu_usage() / 100.0).clamp(0.0, 1.0)),
            bandwidth_in_bps: Some(bits_per_second(received, window)),
            bandwidth_out_bps: Some(bits_per_second(transmitted, window)),
            ..load
        })
    }
}

impl Source for HostSource {
    fn measure(&mut self) -> Result<Measurement, Trouble> {
        let now = Instant::now();
        let window = self.sampled_at.map(|at| now.duration_since(at));
        if window.is_none_or(|window| window >= WINDOW_MIN) {
            self.last = self.refresh(window).map_err(|error| {
                trouble("source_unreadable", format!("cannot measure this machine: {error}"))
            })?;
            self.sampled_at = Some(now);
        }
        Ok(Measurement::of_load(self.last))
    }
}

/// Bytes since the last refresh over all interfaces but the loopback ones.
fn transferred(networks: &Networks) -> (u64, u64) {
    networks.iter().filter(|(name, _)| !is_loopback(&name.to_string_lossy())).fold(
        (0, 0),
        |(received, transmitted): (u64, u64), (_, data)| {
            (
                received.saturating_add(data.received()),
                transmitted.saturating_add(data.transmitted()),
            )
        },
    )
}

/// `lo` on Linux, `lo0` on the BSDs.
fn is_loopback(interface: &str) -> bool {
    interface.strip_prefix("lo").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

fn bits_per_second(bytes: u64, window: Duration) -> u64 {
    // A cast from float saturates, and the bound holds for a counter that jumped.
    ((bytes as f64 * 8.0 / window.as_secs_f64()) as u64).min(BANDWIDTH_BPS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::edge::Capacity;

    use crate::source::measure_checked;

    #[test]
    fn viewers_stay_unknown_and_figures_are_within_bounds() {
        let mut source = HostSource::default();
        let first = measure_checked(&mut source, &Capacity::default())
            .expect("this machine can be measured")
            .load;
        assert_eq!((first.viewers, first.bandwidth_out_bps), (None, None));
        source.sampled_at = Instant::now().checked_sub(WINDOW_MIN);
        let second = measure_checked(&mut source, &Capacity::default())
            .expect("this machine can be measured")
            .load;
        assert_eq!(second.viewers, None);
        assert!(second.bandwidth_out_bps.is_some() && second.cpu_utilization.is_some());
    }

    #[test]
    fn only_loopback_is_left_out() {
        let counted = ["eth0", "ens5", "longhaul", "lowpan0", "wlan0"];
        assert!(counted.iter().all(|name| !is_loopback(name)));
        assert!(["lo", "lo0"].iter().all(|name| is_loopback(name)));
    }

    #[test]
    fn rates_are_bits() {
        assert_eq!(bits_per_second(1_000, Duration::from_secs(2)), 4_000);
        assert_eq!(bits_per_second(u64::MAX, WINDOW_MIN), BANDWIDTH_BPS_MAX);
    }
}
