//! What an RTMP URL says.

use std::str::FromStr;

/// What carries the chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `rtmp`: TCP.
    Tcp,
    /// `rtmps`: TLS.
    Tls,
    /// `rtmpt`: HTTP.
    Http,
    /// `rtmpts`: HTTP over TLS.
    Https,
}

/// One URL, with the last segment of its path as the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtmpUrl {
    /// How to get there.
    pub carrier: Carrier,
    /// As it was written.
    pub scheme: String,
    /// A name or an IPv4 address.
    pub host: String,
    /// As it was written, or the usual one.
    pub port: u16,
    /// Whether the port was written.
    pub port_is_written: bool,
    /// Everything between the host and the stream.
    pub app: String,
    /// The stream with its query; empty in a tcUrl.
    pub stream: String,
}

impl RtmpUrl {
    /// Reads a tcUrl: the whole path is the application.
    pub fn tc(text: &str) -> Result<Self, String> {
        let wrong = || format!("not an RTMP URL: {text:?}");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (carrier, usual) = match scheme {
            "rtmp" => (Carrier::Tcp, 1935),
            "rtmps" => (Carrier::Tls, 443),
            "rtmpt" => (Carrier::Http, 80),
            "rtmpts" => (Carrier::Https, 443),
            _ => return Err(wrong()),
        };
        let (authority, app) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (authority, None),
        };
        Ok(Self {
            carrier,
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port: port.unwrap_or(usual),
            port_is_written: port.is_some(),
            app: app.to_owned(),
            stream: String::new(),
        })
    }

    /// A stream of a tcUrl, which may have a query of its own.
    pub fn of(tc_url: &str, stream: &str) -> Result<Self, String> {
        Ok(Self { stream: stream.to_owned(), ..Self::tc(tc_url)? })
    }

    /// The tcUrl of it.
    #[must_use]
    pub fn tc_url(&self) -> String {
        format!("{}://{}:{}/{}", self.scheme, self.host, self.port, self.app)
    }
}

impl FromStr for RtmpUrl {
    type Err = String;

    /// Reads `scheme://host:port/app/stream?query`.
    fn from_str(text: &str) -> Result<Self, String> {
        let path_len = text.find('?').unwrap_or(text.len());
        let cut = text[..path_len].rfind('/').ok_or_else(|| format!("no path: {text:?}"))?;
        let mut url = Self::tc(&text[..cut])?;
        url.stream = text[cut + 1..].to_owned();
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_is_the_stream() {
        let url: RtmpUrl = "rtmp://h.example:1/redirect/live/a?t=x/y".parse().expect("a URL");
        assert_eq!((url.app.as_str(), url.stream.as_str()), ("redirect/live", "a?t=x/y"));
        assert_eq!(url.tc_url(), "rtmp://h.example:1/redirect/live");
        let tc = RtmpUrl::tc("rtmps://h.example/live?t=1").expect("a tcUrl");
        assert_eq!((tc.port, tc.port_is_written, tc.app.as_str()), (443, false, "live?t=1"));
        assert!(RtmpUrl::tc("http://h.example/live").is_err());
    }
}
