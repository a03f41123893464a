//! The compiler: a checked tree to register code.

mod code;

pub use code::{Code, CodeFlags};
