//! Holds the policies to the goals.
use crate::{args::Output, failure::Failure};
pub(super) fn judge(_quick: bool, _output: Output) -> Result<(), Failure> {
    Ok(())
}
