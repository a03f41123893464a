//! The Repy API: one table of calls, and the engines behind them.

pub mod names;
