//! How large an edge's share of the viewers is.

use std::fmt;

/// The share of viewers an edge gets beside an edge of weight 1: 0.01 to 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight(f64);

impl Weight {
    /// The least.
    pub const MIN: f64 = 0.01;
    /// The most.
    pub const MAX: f64 = 100.0;

    /// The figure.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether it is 1, which no order needs to say.
    #[must_use]
    pub fn is_usual(self) -> bool {
        self == Self::default()
    }
}

// It is never NaN, so it equals itself.
impl Eq for Weight {}

impl Default for Weight {
    fn default() -> Self {
        Self(1.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The figure is no weight.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoWeight {
    /// Nobody at all is a drain's business.
    #[error("must be 0.01 to 100, not 0; to send the edge no new viewers, drain it")]
    Zero,
    /// Below, above, or no number.
    #[error("must be 0.01 to 100, not {0}; 1 is usual, 2 gets twice the viewers of 1")]
    OutOfRange(f64),
}

impl TryFrom<f64> for Weight {
    type Error = NoWeight;

    fn try_from(figure: f64) -> Result<Self, NoWeight> {
        match figure {
            0.0 => Err(NoWeight::Zero),
            figure if (Self::MIN..=Self::MAX).contains(&figure) => Ok(Self(figure)),
            figure => Err(NoWeight::OutOfRange(figure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_within_its_range_and_a_refusal_says_the_way_out() {
        for figure in [0.01, 0.5, 1.0, 99.9, 100.0] {
            assert_eq!(Weight::try_from(figure).map(Weight::get), Ok(figure));
        }
        let beyond = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.009_9, 100.1];
        for figure in beyond {
            let said = Weight::try_from(figure).expect_err("beyond the range").to_string();
            assert!(said.contains("0.01 to 100"), "{said}");
        }
        for zero in [0.0, -0.0] {
            let said = Weight::try_from(zero).expect_err("nobody at all").to_string();
            assert!(said.contains("drain it"), "{said}");
        }
    }
}
