//! The real broker, in a process of its own with all its controls, driven by
//! frames as a (broken) interpreter would. One thread, since the broker is
//! forked from this process: the other ends of its connections are played by
//! the tests themselves.
#![allow(missing_docs)]

mod apart;
mod hostile;
mod listening;
mod messages;
mod names;
mod outgoing;
mod peer;

use std::panic::{catch_unwind, AssertUnwindSafe};

/// A test: its name and what it does.
type Test = (&'static str, fn());

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let tests: Vec<Test> =
        [listening::TESTS, messages::TESTS, names::TESTS, outgoing::TESTS, hostile::TESTS].concat();
    if std::env::args().any(|word| word == "--list") {
        for (name, _) in &tests {
            println!("{name}: test");
        }
        return;
    }
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, test) in tests {
        if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word.as_str())) {
            continue;
        }
        match catch_unwind(AssertUnwindSafe(test)) {
            Ok(()) => {
                passed += 1;
                println!("test {name} ... ok");
            }
            Err(_) => {
                println!("test {name} ... FAILED");
                failed.push(name);
            }
        }
    }
    println!("{passed} passed; {} failed", failed.len());
    if !failed.is_empty() {
        println!("failed: {failed:?}");
        std::process::exit(101);
    }
}
