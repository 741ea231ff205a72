//! The addresses of this machine's network interfaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sysinfo::Networks;

/// The longest name, in bytes (Linux: `IFNAMSIZ` less its zero).
const NAME_LEN_MAX: usize = 15;

/// Why an interface has no address to give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceError {
    /// No interface of this name.
    #[error("there is no interface {0} here; there are: {1}")]
    Missing(String, String),
    /// None that others could use.
    #[error("the interface {0} has no {1} address that other machines could use")]
    NoAddress(String, &'static str),
    /// The system did not tell.
    #[error("the interfaces cannot be listed: {0}")]
    Unlisted(String),
}

/// An address and the length of its network's prefix.
type Held = (IpAddr, u8);

/// The IPv4 address of an interface: a public one before a private one, then the one of the wider
/// network, then the lowest. So an address that floats between machines does not win.
pub fn address_v4(name: &str) -> Result<IpAddr, InterfaceError> {
    address(name, "IPv4", IpAddr::is_ipv4)
}

/// The IPv6 address of an interface, by the same rule.
pub fn address_v6(name: &str) -> Result<IpAddr, InterfaceError> {
    address(name, "IPv6", IpAddr::is_ipv6)
}

/// The interface that holds this address.
#[must_use]
pub fn holder_of(address: IpAddr) -> Option<String> {
    let interfaces = interfaces().ok()?;
    let holder = interfaces.into_iter().find(|(_, held)| held.iter().any(|(a, _)| *a == address));
    holder.map(|(name, _)| name)
}

/// Whether an interface can have this name; such a name is also one segment of a path.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    (1..=NAME_LEN_MAX).contains(&name.len())
        && name.bytes().all(plain)
        && name != "."
        && name != ".."
}

fn address(
    name: &str,
    family: &'static str,
    wanted: impl Fn(&IpAddr) -> bool,
) -> Result<IpAddr, InterfaceError> {
    let mut interfaces = interfaces()?;
    let Some(at) = interfaces.iter().position(|(known, _)| known == name) else {
        let mut names: Vec<_> = interfaces.into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        return Err(InterfaceError::Missing(name.to_owned(), names.join(", ")));
    };
    let mut held = interfaces.swap_remove(at).1;
    held.retain(|(address, _)| wanted(address));
    preferred(&held).ok_or_else(|| InterfaceError::NoAddress(name.to_owned(), family))
}

fn interfaces() -> Result<Vec<(String, Vec<Held>)>, InterfaceError> {
    let networks = Networks::new_with_refreshed_list()
        .map_err(|error| InterfaceError::Unlisted(error.to_string()))?;
    let held = |data: &sysinfo::NetworkData| {
        data.ip_networks().iter().map(|network| (network.addr, network.prefix)).collect()
    };
    Ok(networks
        .iter()
        .map(|(name, data)| (name.to_string_lossy().into_owned(), held(data)))
        .collect())
}

fn preferred(held: &[Held]) -> Option<IpAddr> {
    let usable = held.iter().filter(|(address, _)| is_usable(address));
    usable
        .min_by_key(|(address, prefix)| (is_private(address), *prefix, *address))
        .map(|held| held.0)
}

/// Whether it means this machine to others too.
fn is_usable(address: &IpAddr) -> bool {
    let only_here = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !only_here && !address.is_loopback() && !address.is_unspecified() && !address.is_multicast()
}

fn is_private(address: &IpAddr) -> bool {
    match address {
        // RFC 1918, and RFC 6598 for carriers.
        IpAddr::V4(v4) => v4.is_private() || in_shared_space(*v4),
        IpAddr::V6(v6) => Ipv6Addr::is_unique_local(v6),
    }
}

fn in_shared_space(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(held: &[(&str, u8)]) -> Option<String> {
        let held: Vec<_> =
            held.iter().map(|(a, prefix)| (a.parse().expect("an address"), *prefix)).collect();
        let backwards: Vec<_> = held.iter().rev().copied().collect();
        assert_eq!(preferred(&held), preferred(&backwards), "the order must not matter");
        preferred(&held).map(|address| address.to_string())
    }

    #[test]
    fn the_address_is_the_same_in_whatever_order_the_system_tells_them() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(chosen(&[("10.0.0.1", 8), ("203.0.113.9", 24)]), text("203.0.113.9"));
        assert_eq!(chosen(&[("100.64.0.1", 10), ("203.0.113.9", 32)]), text("203.0.113.9"));
        assert_eq!(chosen(&[("203.0.113.1", 32), ("203.0.113.9", 24)]), text("203.0.113.9"));
        assert_eq!(chosen(&[("10.0.0.2", 24), ("10.0.0.10", 24)]), text("10.0.0.2"));
        assert_eq!(chosen(&[("fd00::2", 64), ("2001:db8::2", 64)]), text("2001:db8::2"));
    }

    #[test]
    fn addresses_that_mean_nothing_elsewhere_are_not_given() {
        for held in ["127.0.0.1", "169.254.7.7", "0.0.0.0", "::1", "fe80::1", "ff02::1"] {
            assert_eq!(chosen(&[(held, 8)]), None, "{held}");
        }
        assert_eq!(chosen(&[("127.0.0.1", 8), ("10.9.9.9", 32)]).as_deref(), Some("10.9.9.9"));
    }

    #[test]
    fn an_interface_that_is_not_there_is_told_with_those_that_are() {
        let error = address_v4("no-such-if").expect_err("missing");
        assert!(error.to_string().contains("there are: "), "{error}");
    }

    #[test]
    fn names_are_one_segment_of_a_path() {
        for name in ["eth0", "eth0.100", "br-lan", "wg_1", "veth1@if2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "eth0\n", "sixteen-letters-"] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
