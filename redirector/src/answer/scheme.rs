//! What a scheme says of how a client is carried, and which of two it is sent with.

use tidegate_proto::edge::Scheme;

/// Whether a scheme is of the RTMP family.
#[must_use]
pub fn is_rtmp(scheme: Scheme) -> bool {
    !matches!(scheme, Scheme::Http | Scheme::Https)
}

/// The RTMP scheme for a client that says `said` and came over `carrier`: what it says, with the
/// encryption and the tunnel it has.
pub(super) fn of_client(said: Option<Scheme>, carrier: Scheme) -> Scheme {
    let said = said.filter(|scheme| is_rtmp(*scheme)).unwrap_or(carrier);
    let encrypted = is_encrypted(said) || is_encrypted(carrier);
    match (encrypted, is_tunnelled(said) || is_tunnelled(carrier)) {
        (false, false) => Scheme::Rtmp,
        (true, false) => Scheme::Rtmps,
        (false, true) => Scheme::Rtmpt,
        (true, true) => Scheme::Rtmpts,
    }
}

/// The scheme that carries the same with encryption.
pub(super) fn encrypted(scheme: Scheme) -> Scheme {
    match scheme {
        Scheme::Http | Scheme::Https => Scheme::Https,
        Scheme::Rtmp | Scheme::Rtmps => Scheme::Rtmps,
        Scheme::Rtmpt | Scheme::Rtmpts => Scheme::Rtmpts,
    }
}

fn is_encrypted(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::Https | Scheme::Rtmps | Scheme::Rtmpts)
}

/// Whether RTMP is carried by HTTP.
pub(super) fn is_tunnelled(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::Http | Scheme::Https | Scheme::Rtmpt | Scheme::Rtmpts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_encryption_nor_a_tunnel_is_dropped() {
        use Scheme::{Http, Https, Rtmp, Rtmps, Rtmpt, Rtmpts};
        for (said, carrier, expected) in [
            (None, Rtmp, Rtmp),
            (None, Rtmpts, Rtmpts),
            (Some(Http), Rtmp, Rtmp),
            (Some(Rtmp), Rtmps, Rtmps),
            (Some(Rtmps), Rtmp, Rtmps),
            (Some(Rtmp), Rtmpt, Rtmpt),
            (Some(Rtmpt), Rtmp, Rtmpt),
            (Some(Rtmpt), Rtmps, Rtmpts),
            (Some(Rtmps), Rtmpt, Rtmpts),
            (Some(Rtmp), Https, Rtmpts),
        ] {
            assert_eq!(of_client(said, carrier), expected, "{said:?} over {carrier}");
        }
    }
}
