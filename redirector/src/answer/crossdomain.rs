//! `/crossdomain.xml`: what Flash players read before they talk to a server of another domain.
//!
//! Every page may ask here already (see the CORS headers), so every domain may.

use ::http::StatusCode;

use super::{Answer, Kind, text};

/// The type that Flash accepts under every meta-policy (Adobe's Cross-Domain Policy File
/// Specification 2.0, section 1.3.2).
const CONTENT_TYPE: &str = "text/x-cross-domain-policy";
/// `secure="false"`: a player from a plain page may ask over HTTPS too.
const POLICY: &str = "\
<?xml version=\"1.0\"?>
<cross-domain-policy>
  <allow-access-from domain=\"*\" secure=\"false\"/>
</cross-domain-policy>
";

/// Whether a target is the policy's.
pub(super) fn is_policy(target: &str) -> bool {
    target.split('?').next() == Some("/crossdomain.xml")
}

/// The policy. Sends nobody anywhere.
pub(super) fn policy() -> Answer {
    text(StatusCode::OK, Kind::CrossDomain, CONTENT_TYPE, POLICY.to_owned())
}
