//! The Repy API: one table of calls, and the engines behind them.

pub mod error;
pub mod file;
pub mod files;
pub mod locks;
pub mod names;
