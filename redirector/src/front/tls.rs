//! TLS for clients: a certificate that can be replaced while connections are served.

use std::{fmt, io, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    version::{TLS12, TLS13},
};
use tidegate_control::certificate::{read_certificates, read_key, unfit};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Duplex;

const CERT_SETTING: &str = "client.tls_cert";
const KEY_SETTING: &str = "client.tls_key";

/// The client listeners' certificate and its key.
pub struct Tls {
    /// The files' names.
    cert: String,
    key: String,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the PEM files `cert` and `key`; both empty: there is no TLS.
    ///
    /// # Errors
    /// A message that names the setting and the file, and never a key.
    pub fn load(cert: &str, key: &str) -> Result<Option<Arc<Self>>, String> {
        if cert.is_empty() && key.is_empty() {
            return Ok(None);
        }
        let current = ArcSwap::new(read(cert, key)?);
        Ok(Some(Arc::new(Self { cert: cert.to_owned(), key: key.to_owned(), current })))
    }

    /// Reads the same files again, for the handshakes from now on.
    ///
    /// # Errors
    /// As for [`load`](Self::load); what was read before stays in use.
    pub fn reload(&self) -> Result<(), String> {
        self.current.store(read(&self.cert, &self.key)?);
        Ok(())
    }

    pub(super) async fn accept<S: Duplex>(&self, stream: S) -> io::Result<TlsStream<S>> {
        TlsAcceptor::from(self.current.load_full()).accept(stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("cert", &self.cert)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn read(cert: &str, key: &str) -> Result<Arc<ServerConfig>, String> {
    let chain = read_certificates(CERT_SETTING, cert)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| format!("TLS: {error}"))?
        .with_no_client_auth()
        .with_single_cert(chain, read_key(KEY_SETTING, key)?)
        .map_err(|error| {
            format!("{CERT_SETTING} {cert} and {KEY_SETTING} {key}: {}", unfit(&error))
        })?;
    // librtmp on GnuTLS takes a session ticket for the server's first bytes and fails.
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
