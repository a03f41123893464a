//! `repy-launch`: run a Repy program under a restrictions file.
fn main() {}
