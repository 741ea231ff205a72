//! What the operator configures of the admin API, and which combinations are safe.

use std::net::SocketAddr;

/// The section `[admin]`, and this redirector's name. Empty paths mean none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen; port 0 is any free one.
    pub listen: SocketAddr,
    /// Whether the API describes itself to grpcurl and the like.
    pub reflection: bool,
    /// The operator accepts plain text or open access off loopback.
    pub insecure: bool,
    /// PEM file of the server's certificate chain.
    pub tls_cert: String,
    /// PEM file of its key; a secret file.
    pub tls_key: String,
    /// PEM file of the authority that signs clients' certificates.
    pub client_ca: String,
    /// File of hashed bearer tokens, see [`crate::admin::tokens`]; a secret file.
    pub tokens_file: String,
    /// This redirector's name in audit records.
    pub redirector: String,
}

impl Settings {
    /// Whether connections are encrypted.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        !self.tls_cert.is_empty()
    }

    /// Whether callers must show who they are.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        !self.tokens_file.is_empty() || !self.client_ca.is_empty()
    }

    /// Refuses combinations that would expose the API. Touches no file. The message names the keys
    /// and the way out.
    pub fn check(&self) -> Result<(), String> {
        if self.tls_cert.is_empty() != self.tls_key.is_empty() {
            return Err("admin.tls_cert and admin.tls_key belong together: set both or none".into());
        }
        if !self.client_ca.is_empty() && !self.has_tls() {
            return Err(
                "admin.client_ca needs TLS: set admin.tls_cert and admin.tls_key as well".into()
            );
        }
        if self.insecure || self.listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let missing = match (self.has_tls(), self.has_credentials()) {
            (true, true) => return Ok(()),
            (true, false) => "credentials (admin.tokens_file or admin.client_ca)",
            (false, true) => "TLS (admin.tls_cert and admin.tls_key)",
            (false, false) => {
                "TLS (admin.tls_cert and admin.tls_key) and credentials (admin.tokens_file or admin.client_ca)"
            }
        };
        Err(format!(
            "admin.listen = {:?} is not on loopback and has no {missing}: configure that, listen on 127.0.0.1, or say admin.insecure = true",
            self.listen.to_string()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::sample::settings;

    #[test]
    fn off_loopback_needs_tls_and_credentials_or_to_be_said_aloud() {
        let with = |listen: &str, tls: bool, tokens: bool, insecure: bool| Settings {
            listen: listen.parse().expect("an address"),
            tls_cert: if tls { "cert".into() } else { String::new() },
            tls_key: if tls { "key".into() } else { String::new() },
            tokens_file: if tokens { "tokens".into() } else { String::new() },
            insecure,
            ..settings()
        };
        for (listen, tls, tokens, insecure, fine) in [
            ("127.0.0.1:1936", false, false, false, true),
            ("[::1]:1936", false, true, false, true),
            ("[::ffff:127.0.0.1]:1936", false, false, false, true),
            ("0.0.0.0:1936", false, false, false, false),
            ("0.0.0.0:1936", true, false, false, false),
            ("[::]:1936", false, true, false, false),
            ("10.0.0.1:1936", true, true, false, true),
            ("0.0.0.0:1936", false, false, true, true),
        ] {
            let checked = with(listen, tls, tokens, insecure).check();
            assert_eq!(checked.is_ok(), fine, "{listen} {tls} {tokens} {insecure}: {checked:?}");
        }
    }

    #[test]
    fn half_a_tls_configuration_is_refused() {
        let half = Settings { tls_cert: "cert".into(), ..settings() };
        assert!(half.check().expect_err("no key").contains("admin.tls_key"));
        let bare = Settings { client_ca: "ca".into(), ..settings() };
        assert!(bare.check().expect_err("no TLS").contains("admin.client_ca"));
    }
}
