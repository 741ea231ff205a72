//! The API over TLS.

use super::*;

/// A server certificate, an authority for clients, and files with both.
struct Pki {
    dir: TempDir,
    server_ca: String,
    client_ca: CertifiedIssuer<'static, KeyPair>,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("signed")
}

fn leaf(issuer: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, issuer).expect("signed");
    (certificate.pem(), key.serialize_pem())
}

impl Pki {
    fn new() -> Self {
        let pki = Self {
            dir: TempDir::new().expect("a temporary folder"),
            server_ca: String::new(),
            client_ca: authority(),
        };
        fs::write(pki.dir.path().join("client-ca"), pki.client_ca.pem()).expect("written");
        pki.renewed()
    }

    /// Replaces the server's certificate by one of a new authority.
    fn renewed(mut self) -> Self {
        let server = authority();
        let (certificate, key) = leaf(&server);
        fs::write(self.dir.path().join("cert"), certificate).expect("written");
        write_secret(&self.dir.path().join("key"), &key);
        self.server_ca = server.pem();
        self
    }

    fn settings(&self, client_ca: bool) -> Settings {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        Settings {
            tls_cert: path("cert"),
            tls_key: path("key"),
            client_ca: if client_ca { path("client-ca") } else { String::new() },
            ..settings()
        }
    }

    async fn client(
        &self,
        running: &Running,
        identity: Option<(String, String)>,
    ) -> Result<FleetServiceClient<Channel>, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.server_ca))
            .domain_name("localhost");
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", running.address))?;
        Ok(FleetServiceClient::new(endpoint.tls_config(tls)?.connect().await?))
    }
}

#[tokio::test]
async fn tls_is_spoken_and_a_renewed_certificate_is_used() {
    let pki = Pki::new();
    let running = Running::start(pki.settings(false), edges(1)).await;
    let mut client = pki.client(&running, None).await.expect("it shakes hands");
    client.list_edges(list(0, "", "")).await.expect("listed");
    let pki = pki.renewed();
    assert!(pki.client(&running, None).await.is_err(), "the old certificate is still used");
    running.reload.reload_certificates().expect("the files are fine");
    let mut client = pki.client(&running, None).await.expect("it shakes hands");
    client.list_edges(list(0, "", "")).await.expect("listed");
    fs::write(pki.dir.path().join("cert"), "nothing").expect("written");
    assert!(running.reload.reload_certificates().expect_err("broken").contains("admin.tls_cert"));
    pki.client(&running, None).await.expect("the last good one is still used");
    running.stop().await;
}

#[tokio::test]
async fn only_certificates_of_the_authority_may_call() {
    let pki = Pki::new();
    let running = Running::start(pki.settings(true), edges(1)).await;
    let known = Some(leaf(&pki.client_ca));
    let mut client = pki.client(&running, known).await.expect("it shakes hands");
    let drained = client.drain_edge(drain("edge-001")).await.expect("a certificate is operator");
    let order = drained.into_inner().edge.and_then(|edge| edge.drain).expect("an order");
    assert!(order.author.starts_with("cert-") && order.author.len() == 21, "{}", order.author);
    for stranger in [None, Some(leaf(&authority()))] {
        // TLS 1.3 tells a client of its refusal only with the first answer.
        if let Ok(mut client) = pki.client(&running, stranger).await {
            client.list_edges(list(0, "", "")).await.expect_err("a stranger is let in");
        }
    }
    running.stop().await;
}
