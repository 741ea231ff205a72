//! Where clients go when no edge can serve them: places that report to nobody, such as a CDN.

use std::{collections::HashSet, net::IpAddr, str::FromStr};

use rand::{Rng, RngExt};
use tidegate_proto::edge::{Host, Scheme};

use super::scheme::{encrypted, is_rtmp};

/// One such place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    host: Host,
    /// As it was written; `None`: the scheme's own.
    port: Option<u16>,
}

/// Why a text is no such place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is SCHEME://HOST or SCHEME://HOST:PORT, such as https://cdn.example.com, without a user, a \
     path or a query; the schemes are http, https, rtmp, rtmps, rtmpt and rtmpts"
)]
pub struct BadTarget;

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let (scheme, authority) = text.split_once("://").ok_or(BadTarget)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(parse_port(port)?)),
            _ => (authority, None),
        };
        // Without brackets it would not be clear where an IPv6 address ends.
        if host.contains(':') && !host.starts_with('[') {
            return Err(BadTarget);
        }
        Ok(Self {
            scheme: scheme.parse().map_err(|_| BadTarget)?,
            host: host.parse().map_err(|_| BadTarget)?,
            port,
        })
    }
}

fn parse_port(text: &str) -> Result<u16, BadTarget> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port != 0).ok_or(BadTarget)
}

impl Target {
    /// Its host, as clients put it into URLs of their own.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What stands before a path there. A CDN is named as it was written; RTMP programs are always
    /// told a port, as they are of edges.
    #[must_use]
    pub fn origin(&self) -> String {
        let port = self.port.or_else(|| is_rtmp(self.scheme).then(|| self.port()));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.scheme, self.host.for_url())
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(match self.scheme {
            Scheme::Http | Scheme::Rtmpt => 80,
            Scheme::Https | Scheme::Rtmps | Scheme::Rtmpts => 443,
            Scheme::Rtmp => 1935,
        })
    }

    fn is_one_of(&self, places: &HashSet<(IpAddr, u16)>) -> bool {
        match &self.host {
            Host::Address(address) => places.contains(&(address.to_canonical(), self.port())),
            Host::Name(_) => false,
        }
    }
}

/// All such places; none: clients without an edge are told so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overflow(Vec<Target>);

impl Overflow {
    /// These places.
    #[must_use]
    pub fn new(targets: Vec<Target>) -> Self {
        Self(targets)
    }

    /// The first place that is one of `own`, where this redirector listens.
    #[must_use]
    pub fn leading_back(&self, own: &HashSet<(IpAddr, u16)>) -> Option<&Target> {
        self.0.iter().find(|target| target.is_one_of(own))
    }

    /// Whether there is a place for clients of a scheme; `None`: for those who ask for a host alone.
    #[must_use]
    pub fn serves(&self, scheme: Option<Scheme>) -> bool {
        self.0.iter().any(|target| fits(target, scheme))
            || scheme.is_some_and(|scheme| self.0.iter().any(|t| t.scheme == encrypted(scheme)))
    }

    /// A place of the client's scheme, else of its encrypted form; never of a plainer one. Of
    /// several each has the same chance.
    pub fn draw(&self, scheme: Option<Scheme>, random: &mut impl Rng) -> Option<&Target> {
        let of = |scheme| self.0.iter().filter(move |target| fits(target, scheme));
        let wanted = match scheme {
            Some(plain) if of(scheme).next().is_none() => Some(encrypted(plain)),
            other => other,
        };
        let count = of(wanted).count();
        (count > 0).then(|| random.random_range(0..count)).and_then(|place| of(wanted).nth(place))
    }
}

fn fits(target: &Target, scheme: Option<Scheme>) -> bool {
    scheme.is_none_or(|scheme| target.scheme == scheme)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    fn overflow(targets: &str) -> Overflow {
        let parse = |text: &str| text.parse().expect("a target");
        Overflow::new(targets.split_whitespace().map(parse).collect())
    }

    #[test]
    fn a_place_is_a_scheme_a_host_and_perhaps_a_port() {
        for (text, origin) in [
            ("https://cdn.example.com", "https://cdn.example.com"),
            ("HTTPS://CDN.example.com:8443", "https://cdn.example.com:8443"),
            ("http://192.0.2.1", "http://192.0.2.1"),
            ("http://[2001:db8::1]", "http://[2001:db8::1]"),
            ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080"),
            ("rtmp://backup.example.com", "rtmp://backup.example.com:1935"),
            ("rtmps://backup.example.com", "rtmps://backup.example.com:443"),
            ("rtmpt://[2001:db8::1]", "rtmpt://[2001:db8::1]:80"),
        ] {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.origin(), origin);
        }
        for text in [
            "",
            "cdn.example.com",
            "https://",
            "https://cdn.example.com/",
            "https://cdn.example.com/a",
            "https://user@cdn.example.com",
            "https://u:p@cdn.example.com",
            "https://cdn.example.com?a",
            "https://cdn.example.com#a",
            "https://cdn.example.com:",
            "https://cdn.example.com:0",
            "https://cdn.example.com:+443",
            "https://cdn.example.com:65536",
            "https://a\r\nb",
            "https://a\\b",
            "https://2001:db8::1",
            "https://[::1",
            "https://[cdn]",
            "https:// a",
            "ftp://cdn.example.com",
            "//cdn.example.com",
            "https://a:80:90",
            "https://a\u{0}",
        ] {
            assert_eq!(text.parse::<Target>(), Err(BadTarget), "{text:?}");
        }
    }

    #[test]
    fn a_client_gets_its_own_scheme_or_its_encrypted_form_and_nothing_plainer() {
        use Scheme::{Http, Https, Rtmp, Rtmps, Rtmpt, Rtmpts};
        let all = "http://h https://hs rtmp://r rtmps://rs";
        for (targets, scheme, host) in [
            (all, Some(Http), Some("h")),
            (all, Some(Https), Some("hs")),
            (all, Some(Rtmp), Some("r")),
            (all, Some(Rtmps), Some("rs")),
            (all, Some(Rtmpt), None),
            (all, Some(Rtmpts), None),
            ("https://hs", Some(Http), Some("hs")),
            ("http://h", Some(Https), None),
            ("rtmps://rs", Some(Rtmp), Some("rs")),
            ("rtmp://r", Some(Rtmps), None),
            ("rtmpts://ts", Some(Rtmpt), Some("ts")),
            ("rtmp://r", Some(Http), None),
            ("rtmp://r", None, Some("r")),
            ("", None, None),
        ] {
            let overflow = overflow(targets);
            let drawn = overflow.draw(scheme, &mut SmallRng::seed_from_u64(1));
            let drawn = drawn.map(|target| target.host().to_string());
            assert_eq!(drawn.as_deref(), host, "{targets:?} {scheme:?}");
            assert_eq!(overflow.serves(scheme), host.is_some(), "{targets:?} {scheme:?}");
        }
    }

    #[test]
    fn several_places_share_the_clients() {
        let overflow = overflow("https://a http://x https://b https://c");
        let mut random = SmallRng::seed_from_u64(1);
        let drawn: HashSet<_> = (0..64)
            .filter_map(|_| overflow.draw(Some(Scheme::Https), &mut random))
            .map(|target| target.host().to_string())
            .collect();
        assert_eq!(drawn, HashSet::from(["a", "b", "c"].map(str::to_owned)));
    }

    #[test]
    fn a_place_that_is_the_redirector_itself_is_found() {
        let own = HashSet::from([(IpAddr::from([192, 0, 2, 1]), 1935)]);
        for (targets, found) in [
            ("rtmp://192.0.2.1", true),
            ("https://cdn http://192.0.2.1:1935", true),
            ("http://[::ffff:192.0.2.1]:1935", true),
            ("http://192.0.2.1", false),
            ("rtmp://192.0.2.2", false),
        ] {
            assert_eq!(overflow(targets).leading_back(&own).is_some(), found, "{targets}");
        }
    }
}
