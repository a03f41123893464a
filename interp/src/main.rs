//! The confined interpreter of the Repy language.
fn main() {}
