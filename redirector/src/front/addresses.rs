//! How many connections each address holds.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::network::{Network, PerNetwork};

/// The connections of each address, while there is a limit to them.
#[derive(Debug)]
pub(super) struct Addresses {
    /// 0: no limit, and nothing is counted.
    max: usize,
    open: Mutex<PerNetwork>,
}

/// One connection of an address, while it lives.
#[derive(Debug)]
pub(super) struct Visit(Option<(Arc<Addresses>, Network)>);

impl Addresses {
    pub(super) fn new(max: usize) -> Self {
        Self { max, open: Mutex::default() }
    }

    /// Counts a connection of `peer`, unless that holds as many as it may.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Visit> {
        if self.max == 0 {
            return Some(Visit(None));
        }
        let client = Network::from(peer);
        let mut open = self.lock();
        if open.count(client) >= self.max {
            return None;
        }
        open.enter(client);
        Some(Visit(Some((Arc::clone(self), client))))
    }

    fn lock(&self) -> MutexGuard<'_, PerNetwork> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if let Some((addresses, client)) = &self.0 {
            addresses.lock().leave(*client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(addresses: &Arc<Addresses>, peer: &str) -> Option<Visit> {
        addresses.enter(peer.parse().expect("an address"))
    }

    #[test]
    fn an_address_holds_no_more_than_it_may_and_others_do_not_mind() {
        let addresses = Arc::new(Addresses::new(2));
        let first = enter(&addresses, "192.0.2.1").expect("room");
        let second = enter(&addresses, "::ffff:192.0.2.1").expect("room");
        assert!(enter(&addresses, "192.0.2.1").is_none());
        let other = enter(&addresses, "192.0.2.2").expect("room");
        drop(first);
        let third = enter(&addresses, "192.0.2.1").expect("room again");
        drop((second, third, other));
        assert!(addresses.lock().is_empty(), "who has left is forgotten");
    }

    #[test]
    fn an_ipv6_client_is_a_network_of_64_bits() {
        let addresses = Arc::new(Addresses::new(1));
        let _held = enter(&addresses, "2001:db8:0:1::1").expect("room");
        assert!(enter(&addresses, "2001:db8:0:1:ffff::2").is_none());
        assert!(enter(&addresses, "2001:db8:0:2::1").is_some());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let addresses = Arc::new(Addresses::new(0));
        let _held: Vec<_> =
            (0..100).map(|_| enter(&addresses, "192.0.2.1").expect("room")).collect();
        assert!(addresses.lock().is_empty());
    }
}
