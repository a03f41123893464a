//! The code of the calls, by area. Arguments arrive bound, of the right kind
//! and copied (see [`super::bind`]).

pub mod files;
pub mod log;
pub mod misc;
pub mod namespaces;
pub mod net;
pub mod timers;

use crate::heap::{Heap, Value};

/// A number argument as a float; 0 for other kinds.
pub(super) fn number(heap: &Heap, value: Value) -> f64 {
    match value {
        Value::Int(number) => number as f64,
        Value::Float(number) => number.get(),
        Value::Long(number) => heap.longs[number].value.to_f64().value(),
        _ => 0.0,
    }
}

/// An integer argument as 64 bits; `None` if it does not fit.
pub(super) fn integer(heap: &Heap, value: Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(number),
        Value::Long(number) => i64::try_from(&heap.longs[number].value).ok(),
        _ => None,
    }
}

/// Seconds as nanoseconds from now on: at once for what is not above 0 (NaN
/// among it), for ever for what is beyond the clock.
pub(super) fn moment_after(now: u64, seconds: f64) -> u64 {
    let nanoseconds = seconds * 1e9;
    if nanoseconds > 0.0 {
        // The conversion saturates; rounding up makes waits never short.
        now.saturating_add(nanoseconds.ceil() as u64)
    } else {
        now
    }
}
