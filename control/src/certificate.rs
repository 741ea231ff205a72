//! Certificates and keys from PEM files, for every listener that speaks TLS.

use std::{fs, path::Path};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tidegate_proto::secret_file;

/// The certificates of a file, at least one. `setting` is the key that names the file.
///
/// # Errors
/// A message that names the setting and the file.
pub fn read_certificates(
    setting: &str,
    file: &str,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = fs::read(file).map_err(|error| format!("{setting}: cannot read {file}: {error}"))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{setting}: {file} is not PEM: {error}"))?;
    if found.is_empty() {
        return Err(format!("{setting}: there is no certificate in {file}"));
    }
    Ok(found)
}

/// The private key of a secret file. `setting` is the key that names the file.
///
/// # Errors
/// A message that names the setting and the file, and never its content.
pub fn read_key(setting: &str, file: &str) -> Result<PrivateKeyDer<'static>, String> {
    let pem = secret_file::read(Path::new(file)).map_err(|error| format!("{setting}: {error}"))?;
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        format!("{setting}: there is no unencrypted private key in PEM form in {file}")
    })
}

/// Why a certificate and a key cannot be used together, for people.
#[must_use]
pub fn unfit(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "the key belongs to another certificate; the server's own comes first in its file"
                .to_owned()
        }
        other => other.to_string(),
    }
}
