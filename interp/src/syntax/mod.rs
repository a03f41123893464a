//! The front end: bytes to a typed tree.
//!
//! One reading of the bytes serves everything after it: the safety check and
//! the compiler both work on the tree built here, so they cannot disagree
//! about what a program says.

pub mod ast;
mod source;
mod symbol;

pub use source::{Source, Span};
pub use symbol::{Symbol, Symbols};
