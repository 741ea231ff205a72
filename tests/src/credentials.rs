//! Certificates and tokens for one test.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::programs::{tidegatectl, write_secret};

/// Writes `ca.pem`, `server.pem`, `server.key`, `client.pem` and `client.key` into a folder: one
/// authority, a server at 127.0.0.1, and one client.
#[track_caller]
pub fn write_certificates(folder: &Path) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "test authority");
    let own = authority.self_signed(&authority_key).expect("an authority");
    fs::write(folder.join("ca.pem"), own.pem()).expect("written");
    let issuer = Issuer::new(authority, authority_key);
    for (file, name) in [("server", "127.0.0.1"), ("client", "operator.example")] {
        let key = KeyPair::generate().expect("a key");
        let mut certificate = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        certificate.distinguished_name.push(DnType::CommonName, name);
        let signed = certificate.signed_by(&key, &issuer).expect("a certificate");
        fs::write(folder.join(format!("{file}.pem")), signed.pem()).expect("written");
        write_secret(&folder.join(format!("{file}.key")), &key.serialize_pem());
    }
}

/// Two tokens whose lines stand in the file `tokens` of a folder.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// May look.
    pub viewer: String,
    /// May give orders.
    pub operator: String,
}

impl Tokens {
    /// Makes them with `tidegatectl token generate`.
    #[track_caller]
    pub fn write(folder: &Path) -> Self {
        let mut lines = String::new();
        let [viewer, operator] = ["viewer", "operator"].map(|role| {
            let said = tidegatectl(&["token", "generate", "--role", role, "--name", role]).ok();
            let (token, line) = said.trim().split_once('\n').expect("a token and its line");
            lines.push_str(&format!("{line}\n"));
            token.to_owned()
        });
        write_secret(&folder.join("tokens"), &lines);
        Self { viewer, operator }
    }
}
