//! Pure kernels of the built-in types: functions over bytes, numbers and positions that know nothing of the heap.
//!
//! Every function behaves, errors included, as CPython 2.7.18 does. What could take long is a [`job`]; what could grow
//! takes the largest size its result may have and answers with `MemoryError` before the work is done.
pub mod bigjob;
pub mod bytes;
pub mod complex;
pub mod decimal;
pub mod error;
pub mod float;
pub mod format_fields;
pub mod format_spec;
pub mod job;
pub mod long;
pub mod padded;
pub mod percent;
pub mod search;
pub mod sort;
pub mod split;
pub mod strrepr;
#[cfg(test)]
mod tests;

pub use error::{Fault, FaultKind, Outcome};
