//! Token buckets: one for sessions that begin, and a fixed number shared by all networks that
//! strangers may write from. Memory never grows with the number of strangers.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::Duration,
};

/// How many buckets all networks share.
const SLOTS: usize = 4_096;
/// Forgeries a network may send at once, and per second, before its unknown sessions wait. All
/// slots together admit 131,000 trial decryptions a second, about a fifth of one core.
const FORGERIES: Rate = Rate { burst: 128.0, per_second: 32.0 };

/// How fast a bucket fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    /// The most it holds.
    pub(super) burst: f64,
    /// What flows in each second.
    pub(super) per_second: f64,
}

/// Tokens, as of some moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    tokens: f64,
    filled_at: Duration,
}

impl Bucket {
    pub(super) fn full(rate: Rate) -> Self {
        Self { tokens: rate.burst, filled_at: Duration::ZERO }
    }

    fn fill(&mut self, rate: Rate, now: Duration) {
        let gained = now.saturating_sub(self.filled_at).as_secs_f64() * rate.per_second;
        self.tokens = (self.tokens + gained).min(rate.burst);
        self.filled_at = self.filled_at.max(now);
    }

    /// Whether there is a token.
    fn has_one(&mut self, rate: Rate, now: Duration) -> bool {
        self.fill(rate, now);
        self.tokens >= 1.0
    }

    /// Takes a token if there is one.
    pub(super) fn take(&mut self, rate: Rate, now: Duration) -> bool {
        let has_one = self.has_one(rate, now);
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }
}

/// The failed attempts of every network, in a fixed number of slots. The hash is keyed, so nobody
/// can aim at another network's slot.
#[derive(Debug)]
pub(super) struct Forgeries {
    slots: Box<[Bucket]>,
    hash: RandomState,
}

impl Forgeries {
    pub(super) fn new(hash: RandomState) -> Self {
        Self { slots: vec![Bucket::full(FORGERIES); SLOTS].into(), hash }
    }

    /// Whether an unknown session from `source` is worth a trial decryption.
    pub(super) fn admit(&mut self, source: IpAddr, now: Duration) -> bool {
        self.slot(source).has_one(FORGERIES, now)
    }

    /// Counts a failed one.
    pub(super) fn charge(&mut self, source: IpAddr, now: Duration) {
        self.slot(source).take(FORGERIES, now);
    }

    fn slot(&mut self, source: IpAddr) -> &mut Bucket {
        let place = self.hash.hash_one(network(source)) % SLOTS as u64;
        &mut self.slots[place as usize]
    }
}

/// The /24 or /56 of an address: what one host can easily pick its own addresses from.
fn network(source: IpAddr) -> [u8; 8] {
    let mut network = [0; 8];
    match source.to_canonical() {
        IpAddr::V4(address) => {
            network[0] = 4;
            network[1..4].copy_from_slice(&address.octets()[..3]);
        }
        IpAddr::V6(address) => {
            network[0] = 6;
            network[1..].copy_from_slice(&address.octets()[..7]);
        }
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let rate = Rate { burst: 2.0, per_second: 1.0 };
        let mut bucket = Bucket::full(rate);
        let taken = |bucket: &mut Bucket, at| bucket.take(rate, Duration::from_secs(at));
        assert!(taken(&mut bucket, 0) && taken(&mut bucket, 0) && !taken(&mut bucket, 0));
        assert!(taken(&mut bucket, 1) && !taken(&mut bucket, 1));
        assert!(!taken(&mut bucket, 0), "time that runs back fills nothing");
    }

    #[test]
    fn neighbours_share_a_network_and_mapped_addresses_are_ipv4() {
        assert_eq!(network(ip("192.0.2.1")), network(ip("192.0.2.254")));
        assert_ne!(network(ip("192.0.2.1")), network(ip("192.0.3.1")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), network(ip("192.0.2.9")));
        assert_eq!(network(ip("2001:db8:0:aa::1")), network(ip("2001:db8:0:bb::2")));
        assert_ne!(network(ip("2001:db8:0:aa::1")), network(ip("2001:db8:0:1aa::1")));
    }

    #[test]
    fn a_network_that_forges_waits_and_others_do_not() {
        let mut forgeries = Forgeries::new(RandomState::new());
        let bad = ip("192.0.2.1");
        for _ in 0..200 {
            forgeries.charge(bad, Duration::ZERO);
        }
        assert!(!forgeries.admit(bad, Duration::ZERO));
        // One of 4,096 networks shares the slot, so several are asked.
        let admitted =
            (0..16).filter(|n| forgeries.admit(IpAddr::from([198, 51, *n, 1]), Duration::ZERO));
        assert!(admitted.count() > 8);
        assert!(forgeries.admit(bad, Duration::from_secs(1)));
    }
}
