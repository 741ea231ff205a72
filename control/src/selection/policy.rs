//! The policies by name.

use std::{fmt, str::FromStr};

/// How an edge is chosen among those that could serve a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// Water filling: two edges drawn by their gap below the fleet's level, the better is taken.
    #[default]
    Fill,
    /// Stays on edges that carry the stream while they are hardly above the mean.
    Sticky,
    /// The least loaded by prediction.
    Least,
    /// Wowza's rule: the fewest connections and redirects since the last report.
    Wowza,
    /// The least loaded by the last report alone.
    Report,
    /// The better of two drawn at random, by their reports.
    P2c,
    /// At random, in proportion to capacity.
    Random,
}

impl Policy {
    /// Every policy, in the order of the enum.
    pub const ALL: [Self; 7] =
        [Self::Fill, Self::Sticky, Self::Least, Self::Wowza, Self::Report, Self::P2c, Self::Random];

    /// Its name in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Sticky => "sticky",
            Self::Least => "least",
            Self::Wowza => "wowza",
            Self::Report => "report",
            Self::P2c => "p2c",
            Self::Random => "random",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no policy of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a policy is fill, sticky, least, wowza, report, p2c or random")]
pub struct UnknownPolicy;

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(UnknownPolicy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_is_unknown_is_refused_with_those_that_are_known() {
        for policy in Policy::ALL {
            assert_eq!(policy.as_str().parse(), Ok(policy));
            assert!(UnknownPolicy.to_string().contains(policy.as_str()));
        }
        for text in ["", "Fill", "fill ", "best"] {
            assert_eq!(text.parse::<Policy>(), Err(UnknownPolicy));
        }
    }
}
