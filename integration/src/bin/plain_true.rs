//! The smallest static program: the yardstick of the start-up benchmark.
fn main() {}
