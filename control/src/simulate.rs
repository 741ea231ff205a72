//! What policies would do to a fleet: a discrete-event simulation that drives the code redirectors
//! run. Pure: its time is a number, its randomness comes from a seed, and a seed gives the same
//! figures to the last bit.
//!
//! A [`Setup`] says what happens, [`run`] lets it happen, [`Measures`] say how it went. Reports,
//! silence, planning and picking are the [`registry`](crate::registry)'s, the
//! [`selection`](crate::selection)'s and [`pick`](crate::pick)'s own; simulated are edges, viewers
//! and the network between. [`Goals`] hold policies to figures.
//!
//! Loads are bit rates. Edges do not slow down or refuse when they carry more than they can, and
//! report truthfully.

mod audience;
mod chance;
mod edge;
mod founding;
mod goals;
mod list;
mod measure;
mod oracle;
mod queue;
mod redirector;
mod script;
mod setup;
#[cfg(test)]
mod tests;
mod viewers;
mod world;

pub use self::{
    goals::{Goals, Limit, Need, Situation, Verdict},
    measure::{Measures, Sample},
    setup::{Scenario, Setup, Steering, UnknownScenario, UnknownSteering},
    world::run,
};
