//! How often one client is redirected over RTMP: programs that follow such a redirect have no limit
//! of their own, and one that leads back here would go round thousands of times a second.
//!
//! All clients share a fixed number of slots, so memory never grows with the number of strangers.
//! The hash is keyed: nobody can aim at another client's slot.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::network::Network;

/// So many that two clients which loop at the same time hardly ever share one: half a MiB.
const SLOTS: usize = 65_536;
const SECOND_NS: u64 = 1_000_000_000;

/// Redirects of each client and application, at a rate with a burst (the generic cell rate
/// algorithm: a slot keeps the moment at which the client has used up nothing any more).
#[derive(Debug)]
pub struct LoopGuard {
    /// In nanoseconds since the start. Empty: no limit.
    idle_from_ns: Box<[AtomicU64]>,
    hash: RandomState,
    interval_ns: u64,
    burst_ns: u64,
}

impl LoopGuard {
    /// `per_second` redirects for one client and application, after a first `burst`; 0: no limit.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval_ns = SECOND_NS / u64::from(per_second.max(1));
        let slots = if per_second == 0 { 0 } else { SLOTS };
        Self {
            idle_from_ns: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            hash: RandomState::new(),
            interval_ns,
            burst_ns: interval_ns * u64::from(burst.max(1)),
        }
    }

    /// Whether the client may be redirected once more.
    #[must_use]
    pub fn admits(&self, client: IpAddr, app: &str, now: Duration) -> bool {
        let now_ns = nanoseconds(now);
        self.slot(client, app).is_none_or(|slot| {
            let used_ns = slot.load(Relaxed).saturating_sub(now_ns);
            used_ns + self.interval_ns <= self.burst_ns
        })
    }

    /// Counts a redirect. Between this and [`admits`](Self::admits) others may be counted; what they
    /// exceed the burst by is waited for later.
    pub fn charge(&self, client: IpAddr, app: &str, now: Duration) {
        let now_ns = nanoseconds(now);
        if let Some(slot) = self.slot(client, app) {
            let charged = |idle_from: u64| Some(idle_from.max(now_ns) + self.interval_ns);
            let _ = slot.fetch_update(Relaxed, Relaxed, charged);
        }
    }

    fn slot(&self, client: IpAddr, app: &str) -> Option<&AtomicU64> {
        let hash = self.hash.hash_one((Network::from(client), app));
        self.idle_from_ns.get(hash as usize % SLOTS)
    }
}

/// Saturates after 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// How many redirects a client gets that asks `count` times at one moment.
    fn redirects(guard: &LoopGuard, client: &str, app: &str, at_ms: u64, count: u32) -> u32 {
        let now = Duration::from_millis(at_ms);
        let mut admitted = 0;
        for _ in 0..count {
            if guard.admits(ip(client), app, now) {
                guard.charge(ip(client), app, now);
                admitted += 1;
            }
        }
        admitted
    }

    #[test]
    fn a_client_gets_its_burst_then_its_rate() {
        let guard = LoopGuard::new(20, 200);
        assert_eq!(redirects(&guard, "192.0.2.1", "live", 0, 1_000), 200);
        assert_eq!(redirects(&guard, "192.0.2.1", "live", 1_000, 1_000), 20);
        assert_eq!(redirects(&guard, "192.0.2.1", "live", 1_049, 1_000), 0);
        assert_eq!(redirects(&guard, "192.0.2.1", "live", 1_050, 1_000), 1);
        assert_eq!(redirects(&guard, "192.0.2.1", "live", 60_000, 1_000), 200);
    }

    #[test]
    fn other_clients_and_other_applications_are_not_touched() {
        let guard = LoopGuard::new(1, 1);
        assert_eq!(redirects(&guard, "2001:db8::1", "live", 0, 2), 1);
        assert_eq!(redirects(&guard, "2001:db8::2", "live", 0, 2), 0, "the same /64");
        // A slot may be shared by chance, so several are asked.
        let other = (0..16).filter(|n| redirects(&guard, "2001:db8::1", &n.to_string(), 0, 1) == 1);
        assert!(other.count() > 12);
        let other =
            (0..16).filter(|n| redirects(&guard, &format!("192.0.2.{n}"), "live", 0, 1) == 1);
        assert!(other.count() > 12);
    }

    #[test]
    fn without_a_rate_there_is_no_limit_and_no_memory() {
        let guard = LoopGuard::new(0, 0);
        assert_eq!(redirects(&guard, "192.0.2.1", "live", 0, 10_000), 10_000);
        assert!(guard.idle_from_ns.is_empty());
    }

    #[test]
    fn a_burst_of_none_still_admits_one() {
        let guard = LoopGuard::new(u32::MAX, 0);
        assert_eq!(redirects(&guard, "192.0.2.1", "live", 0, 1), 1);
    }
}
