//! The report of a run.

pub mod atomic;
pub mod sha256;
