//! The Helm chart: what it renders for every combination of values in its `ci/` folder, by both Helms,
//! for an old Kubernetes and a current one. No cluster takes part.

mod certificates;
mod documentation;
mod monitoring;
mod names;
mod pods;
mod programs;
mod refusals;
mod schemas;
mod secrets;
mod services;
mod upgrades;
