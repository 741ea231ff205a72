//! `${env:NAME}` in configured text. Nothing else is known; what is unknown is an error, never
//! left as it stands.

/// Why a text with `${…}` was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// Not a variable this build knows.
    #[error("the variable ${{{0}}} is unknown; this build knows ${{env:NAME}}")]
    Unknown(String),
    /// The environment has no such variable.
    #[error("the environment variable {0} is not set")]
    Unset(String),
    /// `${` without `}`.
    #[error("a ${{ is not closed by }}")]
    Unclosed,
}

/// Replaces every `${env:NAME}` by what `environment` says. What is put in is not expanded again.
pub fn expand(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<String, VariableError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, tail) = after.split_once('}').ok_or(VariableError::Unclosed)?;
        let name = variable
            .strip_prefix("env:")
            .ok_or_else(|| VariableError::Unknown(variable.to_owned()))?;
        let value = environment(name).ok_or_else(|| VariableError::Unset(name.to_owned()))?;
        out.push_str(before);
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// The environment of this process; what is not UTF-8 counts as not set.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, VariableError> {
        expand(text, |name| (name == "HOST").then(|| "${env:HOST}.example".to_owned()))
    }

    #[test]
    fn known_variables_are_replaced_once() {
        assert_eq!(expanded("plain").as_deref(), Ok("plain"));
        assert_eq!(expanded("a-${env:HOST}-b").as_deref(), Ok("a-${env:HOST}.example-b"));
    }

    #[test]
    fn what_cannot_be_replaced_is_an_error() {
        assert_eq!(expanded("${env:NO}"), Err(VariableError::Unset("NO".into())));
        assert_eq!(expanded("${ec2:x}"), Err(VariableError::Unknown("ec2:x".into())));
        assert_eq!(expanded("${env:HOST"), Err(VariableError::Unclosed));
    }
}
