//! Who calls, and what each method asks of them.
//!
//! | configured | who is who |
//! |---|---|
//! | `tokens_file`, with or without `client_ca` | the bearer token's role and name; with `client_ca` the certificate is needed besides |
//! | `client_ca` alone | whoever holds a certificate of that authority is operator, named by the certificate's SHA-256 |
//! | neither, on loopback | everybody is operator, named `local` |
//! | neither, off loopback and `insecure` | everybody is operator, named `anyone` |

use std::{fmt, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use tidegate_proto::secret_file;
use tonic::{Code, Status};

use super::{
    connection::Peer,
    settings::Settings,
    tokens::{Role, Tokens},
};
use crate::order::Principal;

/// What a method asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Nothing.
    Open,
    /// At least this role.
    Needs(Role),
}

/// Every method that is served. What is not here is refused.
const RULES: &[(&str, Rule)] = &[
    ("/tidegate.admin.v1.FleetService/ListEdges", Rule::Needs(Role::Viewer)),
    ("/tidegate.admin.v1.FleetService/GetEdge", Rule::Needs(Role::Viewer)),
    ("/tidegate.admin.v1.FleetService/WatchFleet", Rule::Needs(Role::Viewer)),
    ("/tidegate.admin.v1.FleetService/DrainEdge", Rule::Needs(Role::Operator)),
    ("/tidegate.admin.v1.FleetService/UndrainEdge", Rule::Needs(Role::Operator)),
    ("/tidegate.admin.v1.FleetService/ForgetEdge", Rule::Needs(Role::Operator)),
    ("/tidegate.admin.v1.FleetService/SetWeight", Rule::Needs(Role::Operator)),
    ("/tidegate.admin.v1.FleetService/Explain", Rule::Needs(Role::Viewer)),
    ("/grpc.health.v1.Health/Check", Rule::Open),
    ("/grpc.health.v1.Health/Watch", Rule::Open),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Rule::Needs(Role::Viewer)),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Rule::Needs(Role::Viewer)),
];

/// The rule of a method by its path.
pub(crate) fn rule(path: &str) -> Option<Rule> {
    RULES.iter().find(|(known, _)| *known == path).map(|(_, rule)| *rule)
}

/// Why a caller was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No `authorization` header.
    #[error(
        "a bearer token is needed: send `authorization: Bearer TOKEN` (tidegatectl: --token-file FILE)"
    )]
    NoToken,
    /// Not `Bearer TOKEN`, or nobody's token.
    #[error("this bearer token is not valid here; ask whoever keeps the redirector's tokens file")]
    WrongToken,
    /// No client certificate where one is needed.
    #[error("a client certificate signed by admin.client_ca is needed")]
    NoCertificate,
    /// The role does not suffice.
    #[error("this needs the role {needs}, and the caller has the role {has}")]
    RoleTooLow {
        /// The caller's role.
        has: Role,
        /// The method's.
        needs: Role,
    },
    /// No rule, so nobody may.
    #[error("there is no such method; reflection and fleet.proto show those that are served")]
    UnknownMethod,
}

impl Denied {
    /// The gRPC code that tells it.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::NoToken | Self::WrongToken | Self::NoCertificate => Code::Unauthenticated,
            Self::RoleTooLow { .. } => Code::PermissionDenied,
            Self::UnknownMethod => Code::Unimplemented,
        }
    }
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        Self::new(denied.code(), denied.to_string())
    }
}

enum Scheme {
    Tokens { file: String, tokens: ArcSwap<Tokens>, certificate: bool },
    Certificates,
    Nobody { name: &'static str },
}

/// What callers are recognised by. Cheap to clone; clones see the same reloads.
#[derive(Clone)]
pub struct Credentials(Arc<Scheme>);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.0 {
            Scheme::Tokens { .. } => "Credentials(tokens)",
            Scheme::Certificates => "Credentials(certificates)",
            Scheme::Nobody { .. } => "Credentials(none)",
        })
    }
}

impl Credentials {
    /// Reads what is configured. The error names the file and the line.
    pub fn load(settings: &Settings) -> Result<Self, String> {
        let certificate = !settings.client_ca.is_empty();
        let scheme = if !settings.tokens_file.is_empty() {
            let file = settings.tokens_file.clone();
            let tokens = ArcSwap::from_pointee(read_tokens(&file)?);
            Scheme::Tokens { file, tokens, certificate }
        } else if certificate {
            Scheme::Certificates
        } else if settings.listen.ip().to_canonical().is_loopback() {
            Scheme::Nobody { name: "local" }
        } else {
            Scheme::Nobody { name: "anyone" }
        };
        Ok(Self(Arc::new(scheme)))
    }

    /// Reads the tokens file, if there is one, and uses it from now on; on an error nothing changes.
    pub(crate) fn reload(&self) -> Result<(), String> {
        if let Scheme::Tokens { file, tokens, .. } = &*self.0 {
            tokens.store(Arc::new(read_tokens(file)?));
        }
        Ok(())
    }

    /// Whether an `authorization` header proves at least a viewer, for HTTP pages off loopback.
    /// Without a tokens file no header does: such pages listen on loopback or are opened aloud.
    pub fn check_viewer(&self, authorization: Option<&[u8]>) -> Result<(), Denied> {
        match &*self.0 {
            Scheme::Tokens { tokens, .. } => by_token(&tokens.load(), authorization).map(|_| ()),
            Scheme::Certificates | Scheme::Nobody { .. } => Err(Denied::NoToken),
        }
    }

    /// Establishes who calls.
    pub(crate) fn recognise(
        &self,
        authorization: Option<&[u8]>,
        peer: &Peer,
    ) -> Result<(Principal, Role), Denied> {
        let (name, role) = match &*self.0 {
            Scheme::Tokens { certificate: true, .. } | Scheme::Certificates
                if peer.certificate.is_none() =>
            {
                return Err(Denied::NoCertificate);
            }
            Scheme::Tokens { tokens, .. } => by_token(&tokens.load(), authorization)?,
            Scheme::Certificates => {
                (peer.certificate.as_deref().unwrap_or_default().to_owned(), Role::Operator)
            }
            Scheme::Nobody { name } => ((*name).to_owned(), Role::Operator),
        };
        let principal = Principal { name, role: role.to_string(), peer: peer.address.to_string() };
        Ok((principal, role))
    }
}

/// Holds a known caller to a method's rule.
pub(crate) fn permit(rule: Option<Rule>, has: Role) -> Result<(), Denied> {
    match rule {
        None => Err(Denied::UnknownMethod),
        Some(Rule::Needs(needs)) if has < needs => Err(Denied::RoleTooLow { has, needs }),
        Some(_) => Ok(()),
    }
}

fn by_token(tokens: &Tokens, authorization: Option<&[u8]>) -> Result<(String, Role), Denied> {
    let header = authorization.ok_or(Denied::NoToken)?;
    let (scheme, token) = header.split_at_checked(7).ok_or(Denied::WrongToken)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Denied::WrongToken);
    }
    let (name, role) = tokens.find(token.trim_ascii()).ok_or(Denied::WrongToken)?;
    Ok((name.to_owned(), role))
}

fn read_tokens(file: &str) -> Result<Tokens, String> {
    let text = secret_file::read(Path::new(file))
        .map_err(|error| format!("admin.tokens_file: {error}"))?;
    Tokens::parse(&text).map_err(|error| format!("admin.tokens_file: {file}, {error}"))
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::admin::{sample, tokens::NewToken};

    fn methods(descriptors: &[u8]) -> Vec<String> {
        let set = FileDescriptorSet::decode(descriptors).expect("compiled descriptors");
        let mut paths = Vec::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    paths.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        paths
    }

    #[test]
    fn every_served_method_has_a_rule_and_no_rule_is_left_over() {
        let mut served: Vec<_> = [
            tidegate_proto::admin::DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ]
        .into_iter()
        .flat_map(methods)
        .collect();
        let mut ruled: Vec<_> = RULES.iter().map(|(path, _)| (*path).to_owned()).collect();
        served.sort();
        ruled.sort();
        assert_eq!(served, ruled);
    }

    #[test]
    fn orders_need_an_operator_and_the_unknown_is_refused() {
        for (path, _) in RULES.iter().filter(|(path, _)| path.ends_with("inEdge")) {
            assert!(permit(rule(path), Role::Viewer).is_err(), "{path}");
            assert_eq!(permit(rule(path), Role::Operator), Ok(()), "{path}");
        }
        let unknown = rule("/tidegate.admin.v1.FleetService/Explode");
        assert_eq!(permit(unknown, Role::Operator), Err(Denied::UnknownMethod));
    }

    #[test]
    fn a_page_off_loopback_opens_to_a_token_alone() {
        let open = Credentials::load(&sample::settings()).expect("nothing to read");
        assert_eq!(open.check_viewer(None), Err(Denied::NoToken));
        let new = NewToken::generate(Role::Viewer, "vera").expect("a name");
        let tokens = Tokens::parse(&new.line).expect("our own line");
        let closed = Credentials(Arc::new(Scheme::Tokens {
            file: String::new(),
            tokens: ArcSwap::from_pointee(tokens),
            certificate: true,
        }));
        for (header, verdict) in [
            (format!("Bearer {}", new.token), Ok(())),
            (format!("bearer  {} ", new.token), Ok(())),
            (format!("Basic {}", new.token), Err(Denied::WrongToken)),
            (new.token, Err(Denied::WrongToken)),
            ("Bearer".to_owned(), Err(Denied::WrongToken)),
        ] {
            assert_eq!(closed.check_viewer(Some(header.as_bytes())), verdict, "{header}");
        }
    }
}
