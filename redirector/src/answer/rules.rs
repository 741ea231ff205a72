//! What the operator has set about client answers, and who a client is behind proxies.

use std::{
    collections::HashSet,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use tidegate_control::pick::Wanted;
use tidegate_proto::edge::Scheme;

use super::{apps::Apps, overflow::Overflow, scheme::is_rtmp};

/// The rules every answer follows.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The scheme to send clients of its family with, HTTP or RTMP; `None`: the one they use.
    pub redirect_scheme: Option<Scheme>,
    /// The port to send clients to whatever edges list; `None`: by the edge's endpoints.
    pub redirect_port: Option<u16>,
    /// Whether `/loadbalancer?serverInfoXML` shows every edge.
    pub server_info_xml: bool,
    /// Clients that are never redirected.
    pub ignore_clients: Vec<IpNet>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Where this redirector listens for clients: no answer leads there.
    pub own: HashSet<(IpAddr, u16)>,
    /// What RTMP clients may connect to.
    pub apps: Apps,
    /// Where clients go when no edge can serve them.
    pub overflow: Overflow,
}

impl Rules {
    /// What an HTTP client needs of an edge. `scheme` `None`: any edge will do.
    #[must_use]
    pub fn wanted(&self, scheme: Option<Scheme>, port: u16, client: IpAddr) -> Wanted<'_> {
        let set = self.redirect_scheme.filter(|set| !is_rtmp(*set));
        let scheme = scheme.map(|scheme| set.unwrap_or(scheme));
        Wanted {
            port_override: self.redirect_port,
            client: Some(client),
            has_overflow: self.overflow.serves(scheme),
            ..Wanted::new(scheme, port, &self.own)
        }
    }

    /// Whether a client is never redirected.
    #[must_use]
    pub fn ignores(&self, client: IpAddr) -> bool {
        holds(&self.ignore_clients, client)
    }

    /// Who asks: the peer, or where the peer is a trusted proxy the rightmost address of
    /// `X-Forwarded-For` that is not one. `forwarded` gives the header's lines in their order.
    /// What stands left of an address that cannot be read is not believed.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in forwarded.rev().flat_map(|line| line.rsplit(',')) {
            if !holds(&self.trusted_proxies, client) {
                break;
            }
            let Some(address) = parse_hop(hop.trim()) else { break };
            client = address;
        }
        client
    }

    /// What the client speaks: `spoken`, or where the peer is a trusted proxy the rightmost value
    /// of `X-Forwarded-Proto`, since TLS may have ended there. Other values than `http` and `https`
    /// are ignored.
    pub fn scheme<'a>(
        &self,
        spoken: Scheme,
        peer: IpAddr,
        mut forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> Scheme {
        let trusted = holds(&self.trusted_proxies, peer.to_canonical());
        let last = forwarded.next_back().filter(|_| trusted);
        let said = last.and_then(|line| line.rsplit(',').next()?.trim().parse().ok());
        said.filter(|scheme| !is_rtmp(*scheme)).unwrap_or(spoken)
    }
}

/// An address, with or without a port and brackets, as proxies write it.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|at: SocketAddr| at.ip()));
    address.map(|address| address.to_canonical())
}

fn holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(networks: &str) -> Rules {
        let networks = networks.split_whitespace().map(|net| net.parse().expect("a network"));
        Rules { trusted_proxies: networks.collect(), ..Rules::default() }
    }

    fn client(trusted: &str, peer: &str, forwarded: &[&str]) -> String {
        let peer = peer.parse().expect("an address");
        trusting(trusted).client(peer, forwarded.iter().copied()).to_string()
    }

    #[test]
    fn the_rightmost_untrusted_address_is_the_client() {
        for (trusted, peer, forwarded, expected) in [
            ("", "10.0.0.1", &["1.1.1.1"][..], "10.0.0.1"),
            ("10.0.0.0/8", "192.0.2.1", &["1.1.1.1"], "192.0.2.1"),
            ("10.0.0.0/8", "10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.0/8", "10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
            ("10.0.0.0/8", "10.0.0.1", &["6.6.6.6", "1.1.1.1 ,10.0.0.2"], "1.1.1.1"),
            ("10.0.0.0/8", "10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.1", &["1.1.1.1:4711"], "1.1.1.1"),
            ("10.0.0.0/8", "10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.0/8", "10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1"),
            ("10.0.0.0/8", "10.0.0.1", &["10.0.0.3,10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(client(trusted, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_what_the_client_speaks() {
        let rules = trusting("10.0.0.0/8");
        for (peer, forwarded, expected) in [
            ("10.0.0.1", &["https"][..], Scheme::Https),
            ("10.0.0.1", &["HTTPS"], Scheme::Https),
            ("10.0.0.1", &["http, https"], Scheme::Https),
            ("10.0.0.1", &["http", "https "], Scheme::Https),
            ("::ffff:10.0.0.1", &["https"], Scheme::Https),
            ("10.0.0.1", &["https, http"], Scheme::Http),
            ("10.0.0.1", &["https", "wss"], Scheme::Http),
            ("10.0.0.1", &["rtmps"], Scheme::Http),
            ("10.0.0.1", &[""], Scheme::Http),
            ("10.0.0.1", &[], Scheme::Http),
            ("192.0.2.1", &["https"], Scheme::Http),
        ] {
            let peer = peer.parse().expect("an address");
            let found = rules.scheme(Scheme::Http, peer, forwarded.iter().copied());
            assert_eq!(found, expected, "{peer} {forwarded:?}");
        }
        let peer = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(rules.scheme(Scheme::Https, peer, ["http"].into_iter()), Scheme::Http);
    }

    #[test]
    fn a_set_scheme_is_for_its_family_alone() {
        for (set, expected) in [
            (None, Scheme::Http),
            (Some(Scheme::Https), Scheme::Https),
            (Some(Scheme::Rtmp), Scheme::Http),
            (Some(Scheme::Rtmpts), Scheme::Http),
        ] {
            let rules = Rules { redirect_scheme: set, ..Rules::default() };
            assert_eq!(
                rules.wanted(Some(Scheme::Http), 80, IpAddr::from([192, 0, 2, 1])).scheme,
                Some(expected),
                "{set:?}"
            );
        }
    }
}
