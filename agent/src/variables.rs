//! `${…}` in configured text, read into a [`Template`] without asking anybody; who may ask fills it
//! in later. What is unknown is an error, never left as it stands.

pub mod ec2;
pub mod interface;

use std::{convert::Infallible, fmt};

/// How Wowza for EC2 writes a metadata variable; the rest is one of [`WOWZA_NAMES`].
const WOWZA_PREFIX: &str = "com.wowza.amazonaws.ec2.AWSEC2_METADATA_";

/// The metadata that Wowza for EC2 knows. In small letters and with hyphens they are metadata paths.
const WOWZA_NAMES: [&str; 13] = [
    "AMI_ID",
    "AMI_LAUNCH_INDEX",
    "AMI_MANIFEST_PATH",
    "HOSTNAME",
    "INSTANCE_ID",
    "INSTANCE_TYPE",
    "LOCAL_HOSTNAME",
    "LOCAL_IPV4",
    "PRODUCT_CODES",
    "PUBLIC_HOSTNAME",
    "PUBLIC_IPV4",
    "RESERVATION_ID",
    "SECURITY_GROUPS",
];

/// Why a text with `${…}` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// Not a variable this build knows.
    #[error(
        "the variable ${{{}}} is unknown; this build knows ${{env:NAME}}, ${{ec2:PATH}}, \
         ${{interface:NAME}}, ${{interface6:NAME}} and ${{{WOWZA_PREFIX}PUBLIC_IPV4}} with its like",
        .0.escape_debug()
    )]
    Unknown(String),
    /// A known kind of variable whose name cannot be.
    #[error("the variable ${{{}}} is none: {wanted}", variable.escape_debug())]
    BadName {
        /// The text between the braces.
        variable: String,
        /// What a name looks like.
        wanted: &'static str,
    },
    /// A variable that has to be asked for, where nobody asks.
    #[error("${{{0}}} is known in redirect_address only; here ${{env:NAME}} is")]
    Elsewhere(String),
    /// The environment has no such variable.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// `${` without `}`.
    #[error("a ${{ is not closed by }}")]
    Unclosed,
}

/// What a variable stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The environment variable of this name.
    Environment(String),
    /// What EC2 says at this path below `/latest/meta-data/`.
    Ec2(String),
    /// The IPv4 address of this interface.
    InterfaceV4(String),
    /// The IPv6 address of this interface.
    InterfaceV6(String),
}

/// One `${…}`; shown as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    written: String,
    subject: Subject,
}

impl Variable {
    fn parse(written: &str) -> Result<Self, VariableError> {
        Ok(Self { written: written.to_owned(), subject: subject(written)? })
    }

    /// What it stands for.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{{}}}", self.written)
    }
}

fn subject(written: &str) -> Result<Subject, VariableError> {
    let unknown = || VariableError::Unknown(written.to_owned());
    let named = |fits: bool, wanted| match fits {
        true => Ok(()),
        false => Err(VariableError::BadName { variable: written.to_owned(), wanted }),
    };
    if let Some(name) = written.strip_prefix(WOWZA_PREFIX) {
        let known = WOWZA_NAMES.contains(&name);
        let path = || name.to_ascii_lowercase().replace('_', "-");
        return known.then(|| Subject::Ec2(path())).ok_or_else(unknown);
    }
    let (kind, name) = written.split_once(':').ok_or_else(unknown)?;
    let owned = name.to_owned();
    match kind {
        "env" => named(is_environment_name(name), "after env: stands the name of a variable")
            .map(|()| Subject::Environment(owned)),
        "ec2" => named(ec2::is_path(name), "after ec2: stands a path such as public-ipv4")
            .map(|()| Subject::Ec2(owned)),
        "interface" | "interface6" => {
            named(interface::is_name(name), "after the colon stands an interface such as eth0")?;
            let v4 = kind == "interface";
            Ok(if v4 { Subject::InterfaceV4(owned) } else { Subject::InterfaceV6(owned) })
        }
        _ => Err(unknown()),
    }
}

fn is_environment_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"=${".contains(&b))
}

/// A text with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

impl Template {
    /// Reads a text; every variable in it must be known.
    pub fn parse(text: &str) -> Result<Self, VariableError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (written, tail) = after.split_once('}').ok_or(VariableError::Unclosed)?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Variable(Variable::parse(written)?));
            rest = tail;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The variables that are left, in their order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(variable) => Some(variable),
        })
    }

    /// The same with the environment's part filled in. What is put in is not expanded again.
    pub fn with_environment(
        self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, VariableError> {
        let filled = self.0.into_iter().map(|part| match part {
            Part::Variable(Variable { subject: Subject::Environment(name), .. }) => {
                environment(&name).map(Part::Text).ok_or(VariableError::Unset(name))
            }
            other => Ok(other),
        });
        filled.collect::<Result<_, _>>().map(Self)
    }

    /// The text with `value` in place of each variable; stops at the first that has none.
    pub fn fill<E>(
        &self,
        mut value: impl FnMut(&Variable) -> Result<String, E>,
    ) -> Result<String, E> {
        self.0.iter().try_fold(String::new(), |mut out, part| {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Variable(variable) => out.push_str(&value(variable)?),
            }
            Ok(out)
        })
    }
}

/// As it was written, but for what was filled in since.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(written) = self.fill(|variable| Ok::<_, Infallible>(variable.to_string()));
        f.write_str(&written)
    }
}

/// Replaces every `${env:NAME}` by what `environment` says. What is put in is not expanded again.
pub fn expand(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<String, VariableError> {
    let template = Template::parse(text)?.with_environment(environment)?;
    template.fill(|variable| Err(VariableError::Elsewhere(variable.written.clone())))
}

/// The environment of this process; what is not UTF-8 counts as not set.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests;
