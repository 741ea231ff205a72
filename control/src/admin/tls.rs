//! TLS for the admin API: rustls from PEM files, HTTP/2 only, certificates replaced without a stop.

use std::{io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::settings::Settings;
use crate::certificate::{read_certificates, read_key, unfit};

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);

/// The listener's certificate, and whose clients it believes.
pub(crate) struct Tls {
    cert: String,
    key: String,
    client_ca: String,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files that are configured, if any. The error names the key and the file.
    pub(crate) fn load(settings: &Settings) -> Result<Option<Arc<Self>>, String> {
        if !settings.has_tls() {
            return Ok(None);
        }
        let (cert, key, client_ca) =
            (settings.tls_cert.clone(), settings.tls_key.clone(), settings.client_ca.clone());
        let current = ArcSwap::new(read(&cert, &key, &client_ca)?);
        Ok(Some(Arc::new(Self { cert, key, client_ca, current })))
    }

    /// Reads the same files again and uses them for handshakes from now on; on an error nothing
    /// changes.
    pub(crate) fn reload(&self) -> Result<(), String> {
        self.current.store(read(&self.cert, &self.key, &self.client_ca)?);
        Ok(())
    }

    /// Shakes hands within 5 s.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await?
    }
}

fn read(cert: &str, key: &str, client_ca: &str) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let chain = read_certificates("admin.tls_cert", cert)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?;
    let builder = if client_ca.is_empty() {
        builder.with_no_client_auth()
    } else {
        builder.with_client_cert_verifier(verifier(client_ca, provider)?)
    };
    let mut config =
        builder.with_single_cert(chain, read_key("admin.tls_key", key)?).map_err(|error| {
            format!("admin.tls_cert {cert} and admin.tls_key {key}: {}", unfit(&error))
        })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn verifier(
    client_ca: &str,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let fault = |error: &dyn std::fmt::Display| format!("admin.client_ca {client_ca}: {error}");
    let mut roots = RootCertStore::empty();
    for root in read_certificates("admin.client_ca", client_ca)? {
        roots.add(root).map_err(|error| fault(&error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| fault(&error))
}
