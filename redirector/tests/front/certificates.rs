//! A certificate of a server called `localhost`, and clients that believe it.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tidegate_redirector::front::Tls;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::site::Site;

/// The PEM files of a certificate and its key.
pub(crate) struct Certificate(TempDir);

impl Certificate {
    pub(crate) fn generate() -> Self {
        let files = Self(TempDir::new().expect("a folder"));
        files.renew();
        files
    }

    /// Puts another certificate with another key in the place of the first.
    pub(crate) fn renew(&self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(self.cert(), cert.pem()).expect("written");
        fs::write(self.key(), signing_key.serialize_pem()).expect("written");
        fs::set_permissions(self.key(), fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.0.path().join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    pub(crate) fn load(&self) -> Option<Arc<Tls>> {
        let [cert, key] = [self.cert(), self.key()].map(|path| path.display().to_string());
        Some(Tls::load(&cert, &key).expect("readable files").expect("TLS"))
    }

    /// What a client needs to believe the certificate as it is now.
    pub(crate) fn trust(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.cert()).expect("PEM")).expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// Shakes hands with a site.
pub(crate) async fn shake(
    connector: &TlsConnector,
    site: &Site,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(site.address).await?;
    connector.connect(ServerName::try_from("localhost").expect("a name"), stream).await
}
