//! Events: what happens when.

mod deadlines;

pub use deadlines::{Deadlines, Key};
