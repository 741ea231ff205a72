//! Which hosts an edge may announce. A key holder names the address clients are sent to, so this
//! list is what keeps a stolen key from becoming an open redirect.

use std::net::IpAddr;

use ipnet::IpNet;
use tidegate_proto::edge::Host;

/// The parsed `heartbeat.allowed_redirect_hosts`. The default admits every valid host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    suffixes: Vec<Box<str>>,
    networks: Vec<IpNet>,
}

/// An entry that is neither a host suffix nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "heartbeat.allowed_redirect_hosts: {entry:?} is neither a host suffix such as example.com (it covers its subdomains too) nor a network such as 10.0.0.0/8 or 2001:db8::/32"
)]
pub struct BadHostEntry {
    /// The entry as it stands in the configuration.
    pub entry: String,
}

impl AllowedHosts {
    /// Reads the entries; none admits every valid host.
    pub fn parse(entries: &[impl AsRef<str>]) -> Result<Self, BadHostEntry> {
        let mut allowed = Self::default();
        for entry in entries.iter().map(AsRef::as_ref) {
            if let Ok(network) = entry.parse::<IpNet>() {
                allowed.networks.push(network.trunc());
                continue;
            }
            match entry.parse::<Host>() {
                Ok(Host::Name(suffix)) => allowed.suffixes.push(suffix),
                Ok(Host::Address(address)) => allowed.networks.push(address.to_canonical().into()),
                Err(_) => return Err(BadHostEntry { entry: entry.to_owned() }),
            }
        }
        Ok(allowed)
    }

    /// Whether clients may be sent to `announced`, or to `source` where nothing is announced.
    #[must_use]
    pub fn admit(&self, announced: Option<&Host>, source: IpAddr) -> bool {
        if self.suffixes.is_empty() && self.networks.is_empty() {
            return true;
        }
        match announced {
            Some(Host::Name(name)) => self.suffixes.iter().any(|suffix| is_within(name, suffix)),
            Some(Host::Address(address)) => self.covers(*address),
            None => self.covers(source),
        }
    }

    fn covers(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// `suffix` itself or a subdomain of it. Both are in lower case.
fn is_within(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(allowed: &AllowedHosts, host: &str) -> bool {
        let host = host.parse().expect("a valid host");
        allowed.admit(Some(&host), IpAddr::from([192, 0, 2, 1]))
    }

    #[test]
    fn a_suffix_covers_itself_and_its_subdomains_only() {
        let allowed = AllowedHosts::parse(&["Example.com"]).expect("a suffix");
        assert!(admits(&allowed, "example.com"));
        assert!(admits(&allowed, "edge-1.EXAMPLE.com"));
        assert!(!admits(&allowed, "evilexample.com"));
        assert!(!admits(&allowed, "example.com.evil.net"));
        assert!(!admits(&allowed, "192.0.2.1"), "a suffix admits no address");
    }

    #[test]
    fn a_network_covers_announced_and_source_addresses() {
        let allowed = AllowedHosts::parse(&["10.0.0.7/8", "2001:db8::/32", "192.0.2.9"])
            .expect("networks and an address");
        assert!(admits(&allowed, "10.200.0.1") && admits(&allowed, "::ffff:10.0.0.1"));
        assert!(admits(&allowed, "[2001:db8::1]") && admits(&allowed, "192.0.2.9"));
        assert!(!admits(&allowed, "192.0.2.1") && !admits(&allowed, "a.example.com"));
        assert!(allowed.admit(None, IpAddr::from([10, 1, 1, 1])));
        assert!(!allowed.admit(None, IpAddr::from([11, 1, 1, 1])));
    }

    #[test]
    fn no_entry_admits_all_and_a_bad_entry_is_named() {
        assert!(admits(&AllowedHosts::default(), "anything.example"));
        for entry in ["*.example.com", ".example.com", "10.0.0.0/99", "", "a b", "http://x"] {
            let error = AllowedHosts::parse(&[entry]).expect_err("not an entry").to_string();
            assert!(error.contains(&format!("{entry:?}")) && error.contains("allowed_redirect"));
        }
    }
}
