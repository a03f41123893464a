//! What a kernel function reports when it cannot give a value.
use std::fmt;

/// The exception class a kernel failure turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `TypeError`
    Type,
    /// `ValueError`
    Value,
    /// `OverflowError`
    Overflow,
    /// `ZeroDivisionError`
    ZeroDivision,
    /// `IndexError`
    Index,
    /// `KeyError`
    Key,
    /// `AttributeError`
    Attribute,
    /// `MemoryError`: the result would pass the memory limit.
    Memory,
    /// `UnicodeDecodeError` is never raised by kernels; `RuntimeError` is, by depth limits.
    Runtime,
}

/// A failure: the exception class and its message, exactly as CPython 2.7.18 words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The exception class.
    pub kind: FaultKind,
    /// `str()` of the exception; empty for `MemoryError`.
    pub message: String,
}

/// Result of a kernel function.
pub type Outcome<T> = Result<T, Fault>;

impl Fault {
    /// A failure of the given class.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault { kind, message: message.into() }
    }
    /// A `TypeError`.
    pub fn type_error(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Type, message)
    }
    /// A `ValueError`.
    pub fn value(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Value, message)
    }
    /// An `OverflowError`.
    pub fn overflow(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Overflow, message)
    }
    /// A `ZeroDivisionError`.
    pub fn zero_division(message: impl Into<String>) -> Fault {
        Fault::new(FaultKind::ZeroDivision, message)
    }
    /// A `MemoryError` (it carries no message in CPython).
    pub fn memory() -> Fault {
        Fault::new(FaultKind::Memory, "")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.kind, self.message)
    }
}
