//! Drives the real Tidegate from outside: the harnesses that its tests share.
//!
//! Nothing here is part of a program, and no program depends on it.

pub mod fuzz;
