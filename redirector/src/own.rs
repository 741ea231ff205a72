//! Where this redirector answers clients itself, so that no answer leads back to it.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use sysinfo::Networks;

/// The addresses and ports of the bound listeners. One bound to every address counts with loopback
/// and each of `interfaces`.
#[must_use]
pub fn own_addresses(bound: &[SocketAddr], interfaces: &[IpAddr]) -> HashSet<(IpAddr, u16)> {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut own = HashSet::new();
    for listener in bound {
        let (address, port) = (listener.ip().to_canonical(), listener.port());
        own.insert((address, port));
        if address.is_unspecified() {
            let every = loopback.iter().chain(interfaces);
            own.extend(every.map(|address| (address.to_canonical(), port)));
        }
    }
    own
}

/// The addresses of this machine's interfaces at this moment. None at all is an error: where the
/// system does not tell (it takes an AF_NETLINK socket), the list comes back empty.
pub fn interface_addresses() -> Result<Vec<IpAddr>, String> {
    let networks = Networks::new_with_refreshed_list().map_err(|error| error.to_string())?;
    let addresses: Vec<_> =
        networks.values().flat_map(|data| data.ip_networks()).map(|network| network.addr).collect();
    if addresses.is_empty() {
        return Err("the system names no interface; does a sandbox forbid AF_NETLINK?".into());
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address and port")
    }

    fn is_own(bound: &[SocketAddr], place: &str) -> bool {
        let interfaces = [IpAddr::from([192, 0, 2, 7])];
        own_addresses(bound, &interfaces).contains(&(at(place).ip(), at(place).port()))
    }

    #[test]
    fn a_listener_on_every_address_is_found_on_each() {
        for bound in ["0.0.0.0:1935", "[::]:1935"] {
            let bound = [at(bound)];
            for place in ["127.0.0.1:1935", "[::1]:1935", "192.0.2.7:1935"] {
                assert!(is_own(&bound, place), "{place}");
            }
            assert!(!is_own(&bound, "192.0.2.8:1935"), "another machine");
            assert!(!is_own(&bound, "192.0.2.7:80"), "an edge on this machine");
        }
    }

    #[test]
    fn a_listener_on_one_address_is_found_there_alone() {
        let bound = [at("192.0.2.7:1935"), at("127.0.0.1:80")];
        assert!(is_own(&bound, "192.0.2.7:1935") && is_own(&bound, "127.0.0.1:80"));
        assert!(!is_own(&bound, "127.0.0.1:1935") && !is_own(&bound, "192.0.2.7:80"));
    }

    #[test]
    fn the_machine_names_its_loopback() {
        let addresses = interface_addresses().expect("the interfaces are readable");
        assert!(addresses.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{addresses:?}");
    }
}
