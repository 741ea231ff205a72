//! What carries the bytes: TCP, TLS in it, or HTTP in either.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use super::{
    tunnel::Tunnel,
    url::{Carrier, RtmpUrl},
};
use crate::http;

/// A stream of bytes in both directions.
pub trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

/// Whom a client trusts.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Certificates of the authority in a PEM file, and no other.
    #[track_caller]
    pub fn only(ca: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(ca).expect("a PEM file");
        for certificate in certificates {
            roots.add(certificate.expect("a certificate")).expect("an authority");
        }
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions that ring knows")
                .with_root_certificates(roots)
                .with_no_client_auth();
        Self(Arc::new(config))
    }

    /// TLS over a connection, with its handshake done.
    pub fn wrap(
        &self,
        mut stream: TcpStream,
        host: &str,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(tls, stream))
    }
}

/// Opens what the URL asks for.
pub fn open(url: &RtmpUrl, trust: Option<&Trust>) -> io::Result<Box<dyn Wire>> {
    let address = resolve(url)?;
    let stream = http::connect(address).map_err(io::Error::other)?;
    let tls = |stream| {
        let trust = trust.ok_or_else(|| io::Error::other("a TLS URL, and nobody to trust"))?;
        trust.wrap(stream, &url.host)
    };
    let host = format!("{}:{}", url.host, url.port);
    Ok(match url.carrier {
        Carrier::Tcp => Box::new(stream),
        Carrier::Tls => Box::new(tls(stream)?),
        Carrier::Http => Box::new(Tunnel::open(stream, &host)?),
        Carrier::Https => Box::new(Tunnel::open(tls(stream)?, &host)?),
    })
}

fn resolve(url: &RtmpUrl) -> io::Result<SocketAddr> {
    let mut found = (url.host.as_str(), url.port).to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::other(format!("no address of {}", url.host)))
}
