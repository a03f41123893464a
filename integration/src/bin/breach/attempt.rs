//! What an attempt is, and the words of its outcome.

use crate::sys::Answer;

/// How an attempt came out, from its own side.
pub enum Outcome {
    /// The effect was reached.
    Reached(String),
    /// The kernel answered with this error number.
    Refused(i32),
}

impl Outcome {
    /// An effect if the call succeeded.
    pub fn of(answer: Answer) -> Outcome {
        match answer {
            Ok(value) => Outcome::Reached(format!("returned {value}")),
            Err(number) => Outcome::Refused(number),
        }
    }

    /// The call passed every filter, and the kernel found fault with its arguments or the
    /// state of the caller: outside any sandbox it says the same.
    pub fn judged(number: i32) -> Outcome {
        Outcome::Reached(format!("judged: error {number}"))
    }

    /// An effect if every call succeeded and the last one's value is what a check wants.
    pub fn when(answer: Answer, holds: impl FnOnce(i64) -> bool) -> Outcome {
        match answer {
            Ok(value) if holds(value) => Outcome::Reached(format!("returned {value}")),
            Ok(_) => Outcome::Refused(0),
            Err(number) => Outcome::Refused(number),
        }
    }
}

/// The twin that shows that an attempt is not simply broken.
pub enum Twin {
    /// The same attempt, outside any sandbox, reaches its effect for every user.
    Outside,
    /// The same, but only root can do it outside.
    OutsideAsRoot,
    /// Another call of the same kind, inside the sandbox, that must succeed.
    Inside(fn(&Given) -> Outcome),
}

/// One attempt.
pub struct Attempt {
    /// Its name, unique, in words joined by `-`.
    pub name: &'static str,
    /// Its group, as in the tables of the documentation.
    pub class: &'static str,
    /// Makes the attempt.
    pub run: fn(&Given) -> Outcome,
    /// Its twin.
    pub twin: Twin,
}

/// What the test has prepared outside, given as `key=value` words.
pub struct Given(pub Vec<(String, String)>);

impl Given {
    /// The text of a key, or nothing.
    pub fn text(&self, key: &str) -> &str {
        self.0.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str())
    }

    /// The number of a key, or 0.
    pub fn number(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or(0)
    }
}
