//! The built-in functions.

use crate::vm::native::NativeDef;

/// The built-in functions by name.
pub const FUNCTIONS: &[NativeDef] = &[];
