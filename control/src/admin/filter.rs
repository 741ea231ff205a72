//! The filter of a list: terms separated by blanks, all of which must hold.
//!
//! `admin_state=` `liveness=` `edge_id=` `paused=` `eligible=` take one value; `name=` and
//! `label.KEY=` take `*` for any text. Matching is linear in the text, whatever the pattern.

use tidegate_proto::edge::EdgeId;
use tonic::Status;

use super::refusal::invalid;
use crate::snapshot::{AdminState, EdgeView, Liveness};

const LEN_MAX: usize = 1_024;

enum Term {
    AdminState(AdminState),
    Liveness(Liveness),
    Name(String),
    Id(EdgeId),
    Label(String, String),
    Paused(bool),
    Eligible(bool),
}

/// A parsed filter.
pub(crate) struct Filter(Vec<Term>);

impl Filter {
    /// Reads a filter; the error names the term that is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        if text.len() > LEN_MAX {
            return Err(invalid("filter", format_args!("must have at most {LEN_MAX} bytes")));
        }
        text.split_whitespace().map(parse_term).collect::<Result<_, _>>().map(Self)
    }

    /// Whether every term holds.
    pub(crate) fn admits(&self, edge: &EdgeView) -> bool {
        self.0.iter().all(|term| term.admits(edge))
    }
}

impl Term {
    fn admits(&self, edge: &EdgeView) -> bool {
        match self {
            Self::AdminState(state) => edge.admin_state == *state,
            Self::Liveness(state) => edge.liveness == *state,
            Self::Name(pattern) => matches(pattern, edge.name.as_str()),
            Self::Id(id) => edge.id == *id,
            Self::Label(key, pattern) => {
                edge.labels.get(key).is_some_and(|value| matches(pattern, value))
            }
            Self::Paused(wanted) => edge.paused == *wanted,
            Self::Eligible(wanted) => (edge.eligible && !edge.cell.is_drained()) == *wanted,
        }
    }
}

fn parse_term(term: &str) -> Result<Term, Status> {
    let fault = |wanted: &str| invalid("filter", format_args!("in the term {term:?}, {wanted}"));
    let (key, value) = term.split_once('=').ok_or_else(|| fault("KEY=VALUE is missing its ="))?;
    let flag = || value.parse::<bool>().map_err(|_| fault("the value must be true or false"));
    match key {
        "admin_state" => [AdminState::Active, AdminState::Draining, AdminState::Drained]
            .into_iter()
            .find(|state| is_enum(value, "ADMIN_STATE_", state.as_str()))
            .map(Term::AdminState)
            .ok_or_else(|| fault("the value must be ACTIVE, DRAINING or DRAINED")),
        "liveness" => Liveness::ALL
            .into_iter()
            .find(|state| is_enum(value, "LIVENESS_", state.as_str()))
            .map(Term::Liveness)
            .ok_or_else(|| fault("the value must be NEW, UP, SUSPECT, DOWN, GONE or UNCONFIRMED")),
        "name" => Ok(Term::Name(value.to_ascii_lowercase())),
        "edge_id" => value.parse().map(Term::Id).map_err(|_| fault("the value must be a UUID")),
        "paused" => flag().map(Term::Paused),
        "eligible" => flag().map(Term::Eligible),
        _ => match key.strip_prefix("label.") {
            Some(label) if !label.is_empty() => Ok(Term::Label(label.into(), value.into())),
            _ => Err(fault(
                "the key must be admin_state, liveness, name, edge_id, paused, eligible or label.KEY",
            )),
        },
    }
}

/// Both `UP` and `LIVENESS_UP` are fine, in any case.
fn is_enum(text: &str, prefix: &str, name: &str) -> bool {
    let text = text.to_ascii_uppercase();
    text.strip_prefix(prefix).unwrap_or(&text) == name
}

/// Whether a text has the form of a pattern in which `*` is any text. Each piece between stars is
/// searched once from where the last ended, so no pattern makes this slow.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::admin::sample::edge;

    #[test]
    fn every_term_must_hold() {
        let mut one = edge(1, "edge-1");
        one.labels = [("zone".to_owned(), "a=b".to_owned())].into();
        let id = one.id;
        for (filter, holds) in [
            (String::new(), true),
            ("admin_state=ACTIVE liveness=up name=EDGE-*".into(), true),
            ("admin_state=ADMIN_STATE_ACTIVE liveness=LIVENESS_UP".into(), true),
            ("label.zone=a=b paused=false eligible=true".into(), true),
            (format!("edge_id={id}"), true),
            ("name=edge-2".into(), false),
            ("label.rack=*".into(), false),
            ("liveness=UP admin_state=DRAINED".into(), false),
            ("eligible=false".into(), false),
        ] {
            let parsed = Filter::parse(&filter).expect("the filter is right");
            assert_eq!(parsed.admits(&one), holds, "{filter}");
        }
    }

    #[test]
    fn a_fault_names_the_filter_and_the_term() {
        for term in ["up", "liveness=ALIVE", "state=UP", "paused=yes", "edge_id=1", "label.=x"] {
            let fault = Filter::parse(&format!("name=a {term}")).err().expect("the term is wrong");
            assert!(fault.message().starts_with("filter:"), "{fault:?}");
            assert!(fault.message().contains(&format!("{term:?}")), "{fault:?}");
        }
        assert!(Filter::parse(&"x".repeat(2_000)).is_err());
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*", "a", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("*b*", "abc", true),
            ("*.eu.*", "edge.us.example", false),
            ("a**c", "abc", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn stars_agree_with_the_naive_matcher(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn no_filter_panics(text in "\\PC{0,64}") {
            let _ = Filter::parse(&text);
        }
    }

    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }
}
