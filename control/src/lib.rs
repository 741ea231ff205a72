//! Tidegate's control plane: which edges may receive viewers, and why.
//!
//! In the order of a heartbeat's way: a report enters the [`fleet`] task, the only writer; the pure
//! [`registry`] decides what it means; the [`store`] remembers it; an immutable [`snapshot`] shows
//! it to every reader, [`selection`] prepares the choice, and both are [`publish`]ed together;
//! [`pick`] chooses an edge from that. The operator enters through [`admin`],
//! whose [`order`]s go to the same writer. Decisions never read a [`clock`]: they are told the time.

pub mod admin;
pub mod cell;
pub mod certificate;
pub mod clock;
pub mod fleet;
pub mod json;
pub mod message;
pub mod order;
pub mod pick;
pub mod publish;
pub mod registry;
pub mod resolve;
pub mod selection;
pub mod simulate;
pub mod snapshot;
pub mod store;
