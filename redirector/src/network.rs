//! What a client's address stands for wherever clients are counted.

use std::{collections::HashMap, net::IpAddr};

/// What one host can easily pick its own addresses from: an IPv4 address, or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    /// One address.
    V4([u8; 4]),
    /// The first half of an address.
    V6([u8; 8]),
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// How many of something each network has. Networks that have none take no memory.
#[derive(Debug, Default)]
pub(crate) struct PerNetwork(HashMap<Network, usize>);

impl PerNetwork {
    pub(crate) fn count(&self, network: Network) -> usize {
        self.0.get(&network).copied().unwrap_or_default()
    }

    pub(crate) fn enter(&mut self, network: Network) {
        *self.0.entry(network).or_default() += 1;
    }

    pub(crate) fn leave(&mut self, network: Network) {
        if let Some(count) = self.0.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&network);
            }
        }
    }

    /// Gives back the memory that nobody uses any more.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    /// Of all networks together.
    #[cfg(test)]
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn an_ipv4_client_is_its_address_and_an_ipv6_client_its_64() {
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }
}
