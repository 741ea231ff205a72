//! The certificate that the chart makes, as a TLS client judges it.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tidegate_tests::chart::{Helm, Manifest, NAMESPACE, Rendering, parse, renderings};

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM")
}

/// Whether a server with this certificate is believed to be `name` by who trusts the authority.
fn is_believed(authority: &str, server: &str, name: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(authority)).expect("an authority");
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .expect("a verifier");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let shown = certificate(server);
    verifier.verify_server_cert(&shown, &[], &name, &[], UnixTime::now()).is_ok()
}

#[test]
fn it_is_believed_under_every_name_of_the_admin_api() {
    let mut tried = 0;
    let makes = |one: &&Rendering| one.secrets().contains_key("live-tidegate-admin");
    for one in renderings().iter().filter(makes) {
        let secret = one.the("Secret", "live-tidegate-admin").secret_data();
        let Some(server) = secret.get("tls.crt") else { continue };
        let mut names: Vec<_> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        for ordinal in 0..one.replicas() {
            let pod = format!("live-tidegate-redirector-{ordinal}.live-tidegate-redirector");
            for host in [format!("live-tidegate-admin-{ordinal}"), pod] {
                names.push(format!("{host}.{NAMESPACE}.svc"));
                names.push(format!("{host}.{NAMESPACE}.svc.cluster.local"));
            }
        }
        for name in names {
            assert!(is_believed(&secret["ca.crt"], server, &name), "{one}: {name}");
            tried += 1;
        }
        for stranger in ["example.com", "live-tidegate-admin-0.other.svc", "192.0.2.1"] {
            assert!(!is_believed(&secret["ca.crt"], server, stranger), "{one}: {stranger}");
        }
    }
    assert!(tried > 100, "{tried} names");
}

#[test]
fn it_knows_the_clusters_own_domain() {
    let options = ["--set", "clusterDomain=k8s.example,fullnameOverride=steer"];
    let text = Helm::Three.template("live", &options).ok();
    let manifests = parse(&text).into_iter().map(Manifest);
    let secret = manifests.into_iter().find(|one| one.name() == "steer-admin");
    let data = secret.expect("a Secret").secret_data();
    let name = format!("steer-admin-0.{NAMESPACE}.svc.k8s.example");
    assert!(is_believed(&data["ca.crt"], &data["tls.crt"], &name));
}

#[test]
fn test_pods_and_notes_ask_for_names_that_it_has() {
    for one in renderings() {
        let Some(secret) = one.secrets().remove("live-tidegate-admin") else { continue };
        for pod in one.of_kind("Pod") {
            let args = pod.list("/spec/containers/0/args");
            let at = args.iter().position(|one| one == "--admin").expect("an address");
            let address = args[at + 1].as_str().expect("an address");
            let host = address.rsplit_once(':').expect("a port").0;
            if let Some(server) = secret.get("tls.crt") {
                assert!(is_believed(&secret["ca.crt"], server, host), "{one}: {host}");
            }
        }
    }
}
