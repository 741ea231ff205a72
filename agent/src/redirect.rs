//! Where clients are sent, when that must be asked for: of EC2, or of a network interface.

use std::time::Duration;

use tidegate_proto::edge::Host;

use crate::variables::{
    Subject, Template, Variable,
    ec2::Metadata,
    interface::{address_v4, address_v6},
    process_environment,
};

/// How often it is asked again while the agent runs, so that an address that moved is sent.
pub const ASK_EVERY: Duration = Duration::from_secs(60);

/// What variables may become; a text that is a host with none of them never is one. All groups of the
/// IPv6 address are written out, so that a port after it is not taken for one more.
const EXAMPLES: [&str; 2] = ["a", "2001:db8:1:2:3:4:5:6"];

/// Why clients cannot be told where to go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// A variable has no value.
    #[error("redirect_address: {variable}: {why}")]
    Variable {
        /// As it was written.
        variable: String,
        /// The cause and the way out.
        why: String,
    },
    /// The values make no host.
    #[error("redirect_address: {template} gives {text:?}: {why}; choose another variable")]
    NoHost {
        /// As it was written.
        template: String,
        /// What it gave.
        text: String,
        /// What is wrong with that.
        why: String,
    },
}

/// A redirect address with variables that have to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry(Template);

impl Inquiry {
    /// An inquiry whose answer can be a host; otherwise what is wrong with it. Asks nobody.
    pub fn new(template: Template) -> Result<Self, String> {
        let outcomes = EXAMPLES.map(|example| {
            let text = template.fill(|_| Ok::<_, String>(example.to_owned()))?;
            text.parse::<Host>().map_err(|why| why.to_string())
        });
        let [first, second] = outcomes;
        first.or(second).map_err(|why| format!("\"{template}\" never is a host: {why}"))?;
        Ok(Self(template))
    }

    /// The variables that are asked for.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.variables()
    }

    /// Asks EC2 and the system. Blocks, for at most 7 s a variable.
    pub fn ask(&self) -> Result<Host, NoAnswer> {
        self.ask_of(value_of)
    }

    fn ask_of(
        &self,
        mut value_of: impl FnMut(&Subject) -> Result<String, String>,
    ) -> Result<Host, NoAnswer> {
        let text = self.0.fill(|variable| {
            let no_value = |why| NoAnswer::Variable { variable: variable.to_string(), why };
            value_of(variable.subject()).map_err(no_value)
        })?;
        text.parse().map_err(|why: tidegate_proto::edge::Invalid| NoAnswer::NoHost {
            template: self.0.to_string(),
            text: text.chars().take(100).collect(),
            why: why.to_string(),
        })
    }
}

fn value_of(subject: &Subject) -> Result<String, String> {
    match subject {
        Subject::Environment(name) => {
            process_environment(name).ok_or_else(|| format!("{name} is not set"))
        }
        Subject::Ec2(path) => Metadata::of_environment(process_environment)
            .and_then(|metadata| metadata.value(path))
            .map_err(|error| error.to_string()),
        Subject::InterfaceV4(name) => {
            address_v4(name).map(|address| address.to_string()).map_err(|error| error.to_string())
        }
        Subject::InterfaceV6(name) => {
            address_v6(name).map(|address| address.to_string()).map_err(|error| error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inquiry(text: &str) -> Result<Inquiry, String> {
        Inquiry::new(Template::parse(text).expect("known variables"))
    }

    #[test]
    fn what_can_never_be_a_host_is_refused_before_anybody_is_asked() {
        for text in ["http://${ec2:public-ipv4}", "${ec2:public-ipv4}:8080", "${ec2:mac}/x"] {
            let why = inquiry(text).expect_err(text);
            assert!(why.contains(text), "{why}");
        }
        for text in ["${ec2:public-ipv4}", "edge-${ec2:ami-launch-index}.tv", "[${interface6:e}]"] {
            assert!(inquiry(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_answer_is_a_host_or_says_which_variable_gave_none() {
        let inquiry = inquiry("${ec2:public-ipv4}").expect("can be a host");
        let answered = |answer: &str| inquiry.ask_of(|_| Ok(answer.to_owned()));
        assert_eq!(
            answered("203.0.113.7").map(|host| host.to_string()).as_deref(),
            Ok("203.0.113.7")
        );
        for odd in ["", "a/b", "a\r\nb", "<b>", "1", "${ec2:public-ipv4}", &"x".repeat(4_096)] {
            let said = answered(odd).expect_err("no host").to_string();
            assert!(said.starts_with("redirect_address: ${ec2:public-ipv4}"), "{said}");
            assert!(said.len() < 300 && !said.contains('\n'), "{said}");
        }
        let said = inquiry.ask_of(|_| Err("gone".into())).expect_err("no value").to_string();
        assert_eq!(said, "redirect_address: ${ec2:public-ipv4}: gone");
    }
}
