//! Digest access authentication (RFC 7616, and RFC 2617 and 2069 before it): MD5 or SHA-256, with
//! `qop=auth` or without `qop`. The password never leaves; only a hash over it does.

use std::fmt::Write;

use md5::Md5;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::challenge::Challenge;

/// A server's word of how it wants to be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digest<'a> {
    algorithm: Algorithm,
    /// As the server wrote it: some want to see it only if they named it.
    algorithm_named: Option<&'a str>,
    realm: &'a str,
    nonce: &'a str,
    opaque: Option<&'a str>,
    /// Whether it takes `qop=auth`; without, it speaks RFC 2069.
    qop_auth: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Algorithm {
    Md5,
    Sha256,
}

/// What is asked for, and as whom.
pub(super) struct Asked<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    /// Path and query as they stand in the request.
    pub(super) target: &'a str,
    /// Fresh randomness.
    pub(super) cnonce: &'a str,
}

impl<'a> Digest<'a> {
    /// A challenge that can be answered.
    pub(super) fn of(challenge: &'a Challenge) -> Option<Self> {
        let named = challenge.parameter("algorithm");
        let algorithm = match named.map(str::to_ascii_uppercase).as_deref() {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let qop = challenge.parameter("qop");
        let auth = |qop: &str| qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
        if !challenge.scheme.eq_ignore_ascii_case("Digest") || qop.is_some_and(|qop| !auth(qop)) {
            return None;
        }
        Some(Self {
            algorithm,
            algorithm_named: named,
            realm: challenge.parameter("realm")?,
            nonce: challenge.parameter("nonce")?,
            opaque: challenge.parameter("opaque"),
            qop_auth: qop.is_some(),
        })
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `Authorization` header of a first GET with this nonce.
    pub(super) fn answer(&self, asked: &Asked<'_>) -> String {
        let Asked { user, target, cnonce, .. } = asked;
        let mut header = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\"",
            quoted(user),
            quoted(self.realm),
            quoted(self.nonce),
            quoted(target),
            self.response(asked)
        );
        if let Some(named) = self.algorithm_named {
            header.push_str(", algorithm=");
            header.push_str(named);
        }
        if self.qop_auth {
            header.push_str(", qop=auth, nc=00000001, cnonce=");
            header.push_str(&quoted(cnonce));
        }
        if let Some(opaque) = self.opaque {
            header.push_str(", opaque=");
            header.push_str(&quoted(opaque));
        }
        header
    }

    fn response(&self, asked: &Asked<'_>) -> String {
        let Asked { user, password, target, cnonce } = asked;
        let who = Zeroizing::new(format!("{user}:{}:{password}", self.realm));
        let who = Zeroizing::new(self.hash(&who));
        let what = self.hash(&format!("GET:{target}"));
        let between = match self.qop_auth {
            true => format!("{}:00000001:{cnonce}:auth", self.nonce),
            false => self.nonce.to_owned(),
        };
        self.hash(&Zeroizing::new(format!("{}:{between}:{what}", *who)))
    }

    fn hash(&self, text: &str) -> String {
        match self.algorithm {
            Algorithm::Md5 => hex(&Md5::digest(text)),
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(challenge: &str, password: &str, cnonce: &str) -> String {
        let challenges = Challenge::all(challenge);
        let digest = Digest::of(&challenges[0]).expect("a digest");
        let asked = Asked { user: "Mufasa", password, target: "/dir/index.html", cnonce };
        assert!(digest.answer(&asked).contains(&digest.response(&asked)));
        digest.response(&asked)
    }

    #[test]
    fn the_example_of_rfc_2617_is_answered() {
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        assert_eq!(
            response(challenge, "Circle Of Life", "0a4f113b"),
            "6629fae49393a05397450978507c4ef1"
        );
    }

    #[test]
    fn the_examples_of_rfc_7616_are_answered() {
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let challenge = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            assert_eq!(response(&challenge, "Circle of Life", cnonce), expected);
        }
    }

    /// RFC 2069 itself has a wrong example; this one is of its erratum 749.
    #[test]
    fn a_server_without_qop_is_answered() {
        let challenge = "Digest realm=\"testrealm@host.com\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let challenges = Challenge::all(challenge);
        let digest = Digest::of(&challenges[0]).expect("a digest");
        let asked = Asked {
            user: "Mufasa",
            password: "CircleOfLife",
            target: "/dir/index.html",
            cnonce: "unused",
        };
        assert_eq!(digest.response(&asked), "1949323746fe6a43ef61f9606e7febea");
        assert!(!digest.answer(&asked).contains("qop"));
    }

    #[test]
    fn what_cannot_be_answered_is_none() {
        for challenge in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-512-256",
            "Digest realm=\"x\", nonce=\"y\", algorithm=MD5-sess",
            "Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"",
            "Digest realm=\"x\"",
        ] {
            assert_eq!(Digest::of(&Challenge::all(challenge)[0]), None, "{challenge}");
        }
    }

    #[test]
    fn quotes_in_a_name_do_not_end_it() {
        let challenges = Challenge::all("Digest realm=\"a\\\"b\", nonce=\"n\"");
        let digest = Digest::of(&challenges[0]).expect("a digest");
        let asked = Asked { user: "m\"e", password: "p", target: "/", cnonce: "c" };
        let header = digest.answer(&asked);
        assert!(header.starts_with("Digest username=\"m\\\"e\", realm=\"a\\\"b\", "), "{header}");
    }
}
