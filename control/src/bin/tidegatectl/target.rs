//! Which redirectors are meant: addresses as people write them, made into endpoints.

use std::{fs, net::IpAddr, path::Path, time::Duration};

use http::Uri;
use tidegate_proto::{key::without_comment, secret_file};
use tonic::{
    metadata::AsciiMetadataValue,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

use crate::{args::Reach, failure::Failure};

const PORT_DEFAULT: u16 = 1936;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Longer than a redirector takes to give up itself, so that its own words are shown.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);
const PING_EVERY: Duration = Duration::from_secs(30);

/// One redirector's admin API.
pub(crate) struct Target {
    /// The address as it was given.
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
    /// `Bearer TOKEN`, marked sensitive.
    pub(crate) authorization: Option<AsciiMetadataValue>,
}

/// Where an address leads.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    tls: bool,
    host: String,
    port: u16,
}

/// Makes every `--admin` address an endpoint, with TLS and token as configured.
pub(crate) fn targets(reach: &Reach) -> Result<Vec<Target>, Failure> {
    let tls = tls_config(reach)?;
    let authorization = authorization(reach)?;
    let mut targets = Vec::new();
    for name in reach.admin.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let address = parse(name, tls.is_some()).map_err(Failure::Usage)?;
        if authorization.is_some() && !address.tls && !reach.insecure && !address.is_loopback() {
            return Err(Failure::Usage(format!(
                "{name}: the token would travel in plain text; use https:// with --tls-ca FILE, or say --insecure where something else encrypts"
            )));
        }
        let endpoint = endpoint(&address, tls.as_ref()).map_err(Failure::Usage)?;
        let (name, authorization) = (name.to_owned(), authorization.clone());
        targets.push(Target { name, endpoint, authorization });
    }
    if targets.is_empty() {
        return Err(Failure::Usage("--admin names no redirector; give HOST:PORT".into()));
    }
    Ok(targets)
}

impl Address {
    fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        let address = bare.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

fn parse(text: &str, tls_wanted: bool) -> Result<Address, String> {
    let fault = || {
        format!(
            "--admin: {text:?} is no address; write HOST, HOST:PORT, [IPv6]:PORT, or one of them after http:// or https://"
        )
    };
    let (tls, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        Some(_) => return Err(fault()),
        None => (tls_wanted, text),
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let rest = match rest.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => rest.to_owned(),
    };
    if rest.contains(['/', '@', '?', '#']) {
        return Err(fault());
    }
    let authority: http::uri::Authority = rest.parse().map_err(|_| fault())?;
    let host = authority.host().to_owned();
    // `Authority` passes over a port that is no number, so what follows the host is read here.
    let port = match rest.strip_prefix(&host).map(|after| after.strip_prefix(':')) {
        Some(Some(port)) => port.parse().map_err(|_| fault())?,
        Some(None) if rest == host => PORT_DEFAULT,
        _ => return Err(fault()),
    };
    if host.is_empty() || port == 0 {
        return Err(fault());
    }
    Ok(Address { tls, host, port })
}

fn endpoint(address: &Address, tls: Option<&ClientTlsConfig>) -> Result<Endpoint, String> {
    let Address { host, port, .. } = address;
    let scheme = if address.tls { "https" } else { "http" };
    let uri: Uri = format!("{scheme}://{host}:{port}")
        .parse()
        .map_err(|error| format!("--admin: {host}:{port}: {error}"))?;
    let endpoint = Endpoint::from(uri)
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_while_idle(true);
    match (address.tls, tls) {
        (false, _) => Ok(endpoint),
        (true, None) => Err(format!(
            "https://{host}:{port} needs --tls-ca FILE, the authority that signed its certificate"
        )),
        (true, Some(tls)) => endpoint
            .tls_config(tls.clone())
            .map_err(|error| format!("TLS for {host}:{port}: {error:?}")),
    }
}

fn tls_config(reach: &Reach) -> Result<Option<ClientTlsConfig>, Failure> {
    let Some(ca) = &reach.tls_ca else {
        if reach.tls_cert.is_some() || reach.tls_server_name.is_some() {
            let wanted = "--tls-cert, --tls-key and --tls-server-name need --tls-ca FILE as well";
            return Err(Failure::Usage(wanted.into()));
        }
        return Ok(None);
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
    if let (Some(certificate), Some(key)) = (&reach.tls_cert, &reach.tls_key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read_secret(key)?.as_bytes()));
    }
    if let Some(name) = &reach.tls_server_name {
        tls = tls.domain_name(name);
    }
    Ok(Some(tls))
}

fn authorization(reach: &Reach) -> Result<Option<AsciiMetadataValue>, Failure> {
    let Some(file) = &reach.token_file else { return Ok(None) };
    let text = read_secret(file)?;
    let token = text.lines().map(without_comment).find(|line| !line.is_empty());
    let fault = |what: &str| Failure::Failed(format!("{}: {what}", file.display()));
    let token = token.ok_or_else(|| fault("there is no token in it"))?;
    let mut value: AsciiMetadataValue = format!("Bearer {token}")
        .parse()
        .map_err(|_| fault("its first line is no token; a token has no blanks"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file)
        .map_err(|error| Failure::Failed(format!("cannot read {}: {error}", file.display())))
}

fn read_secret(file: &Path) -> Result<impl std::ops::Deref<Target = String> + use<>, Failure> {
    secret_file::read(file).map_err(|error| Failure::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, tls, host, port) in [
            ("127.0.0.1:1936", false, "127.0.0.1", 1936),
            ("lb-1.example.com", false, "lb-1.example.com", 1936),
            ("http://lb-1:80", false, "lb-1", 80),
            ("https://lb-1/", true, "lb-1", 1936),
            ("[::1]:7", false, "[::1]", 7),
            ("::1", false, "[::1]", 1936),
            ("https://[2001:db8::1]", true, "[2001:db8::1]", 1936),
        ] {
            let wanted = Address { tls, host: host.into(), port };
            assert_eq!(parse(text, false), Ok(wanted), "{text}");
        }
        assert!(parse("lb-1", true).is_ok_and(|address| address.tls));
        assert!(parse("http://lb-1", true).is_ok_and(|address| !address.tls));
    }

    #[test]
    fn nonsense_is_refused_with_the_forms_that_are_fine() {
        for text in ["", "a b", "ftp://a", "a:b", "a:70000", "a:0", "a@b", "a/b", "http://", "a:"] {
            let said = parse(text, false).expect_err(text);
            assert!(said.contains("HOST:PORT"), "{said}");
        }
    }

    #[test]
    fn a_token_does_not_leave_loopback_in_plain_text() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("token");
        fs::write(&file, "tgt1_x\n").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("mode set");
        let with = |admin: &str, insecure| Reach {
            admin: admin.into(),
            token_file: Some(file.clone()),
            insecure,
            ..Reach::default()
        };
        for admin in ["127.0.0.1", "localhost:7", "[::1]:7"] {
            assert!(targets(&with(admin, false)).is_ok(), "{admin}");
        }
        let said = targets(&with("localhost,lb-1", false)).err().expect("refused").to_string();
        assert!(said.contains("lb-1") && said.contains("--insecure"), "{said}");
        assert!(targets(&with("lb-1", true)).is_ok());
    }
}
