//! Drives the real Tidegate from outside: the harnesses that its tests share.
//!
//! Nothing here is part of a program, and no program depends on it.

pub mod at_rest;
pub mod browser;
pub mod chart;
pub mod credentials;
pub mod edge;
pub mod flash;
pub mod fuzz;
pub mod http;
pub mod load;
pub mod media;
pub mod metrics;
pub mod process;
pub mod programs;
pub mod rotation;
pub mod rpc;
pub mod rtmp;
pub mod scene;
pub mod site;
pub mod steady;
pub mod tools;
pub mod translator;
pub mod verdict;
pub mod wait;
