//! What stands in `WWW-Authenticate` (RFC 9110, section 11.6.1): one or several challenges.

/// One scheme and its parameters, their names in small letters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// Every challenge of a header. What is none is left out.
    pub(super) fn all(header: &str) -> Vec<Self> {
        let mut challenges: Vec<Self> = Vec::new();
        let mut rest = header;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (word, after) = token(rest);
            if word.is_empty() {
                // Neither name nor end: one odd character is stepped over.
                let mut chars = rest.chars();
                if chars.next().is_none() {
                    return challenges;
                }
                rest = chars.as_str();
                continue;
            }
            rest = match (after.trim_start().strip_prefix('='), challenges.last_mut()) {
                (Some(value), Some(challenge)) => {
                    let (value, after) = parameter_value(value.trim_start());
                    challenge.parameters.push((word.to_ascii_lowercase(), value));
                    after
                }
                _ => {
                    challenges.push(Self { scheme: word.to_owned(), parameters: Vec::new() });
                    after
                }
            };
        }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The characters of a token (RFC 9110, section 5.6.2) at the start, and the rest.
fn token(text: &str) -> (&str, &str) {
    let belongs = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = token(text);
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    (value, chars.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_wowza_sends_is_read() {
        // Recorded from Streaming Engine 4.7.0, see testdata/wowza/README.md.
        let header = "Digest realm=\"Wowza\", domain=\"/\", \
             nonce=\"MTUwMDIyNjYxMDg3Mjo2ZGZmOTBkYTM3MWI0Y2Q5MTc2NDE2ZWFlY2UxZDFjZg==\", \
             algorithm=MD5, qop=\"auth\"";
        let challenges = Challenge::all(header);
        assert_eq!(challenges.len(), 1);
        assert_eq!(challenges[0].scheme, "Digest");
        assert_eq!(challenges[0].parameter("realm"), Some("Wowza"));
        assert_eq!(
            challenges[0].parameter("nonce"),
            Some("MTUwMDIyNjYxMDg3Mjo2ZGZmOTBkYTM3MWI0Y2Q5MTc2NDE2ZWFlY2UxZDFjZg==")
        );
        assert_eq!(challenges[0].parameter("algorithm"), Some("MD5"));
        assert_eq!(challenges[0].parameter("opaque"), None);
    }

    #[test]
    fn several_challenges_may_stand_in_one_header() {
        // RFC 9110, section 11.6.1.
        let header = "Basic realm=\"simple\", Newauth realm=\"apps\", type=1, \
             title=\"Login to \\\"apps\\\"\"";
        let challenges = Challenge::all(header);
        let schemes: Vec<_> = challenges.iter().map(|c| c.scheme.as_str()).collect();
        assert_eq!(schemes, ["Basic", "Newauth"]);
        assert_eq!(challenges[1].parameter("title"), Some("Login to \"apps\""));
        assert_eq!(challenges[1].parameter("type"), Some("1"));
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "(?s).{0,60}", pieces in "[a-zA-Z=\", \\\\é]{0,60}") {
            let _ = Challenge::all(&text);
            let _ = Challenge::all(&pieces);
        }
    }
}
