//! What is written for people: colour where it is wanted, and text of strangers
//! made harmless.

use std::fmt::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Whether to colour what goes to this stream: only on a terminal, and not if
/// NO_COLOR is set to anything.
pub fn colours(stream: impl AsFd) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !unwanted && is_terminal(stream)
}

/// Whether this stream is a terminal.
pub fn is_terminal(stream: impl AsFd) -> bool {
    nix::unistd::isatty(stream).unwrap_or(false)
}

/// One line for work that may take over a second: on a terminal only.
pub fn progress(text: &str) {
    if is_terminal(std::io::stderr()) {
        eprintln!("repy-launch: {text} ...");
    }
}

/// Lines for work in several steps that takes more than a second in all: at most one in a
/// second, on a terminal only.
#[derive(Debug)]
pub struct Progress {
    last: Instant,
    wanted: bool,
}

impl Progress {
    /// Begins; quiet if so asked.
    pub fn new(quiet: bool) -> Progress {
        Progress { last: Instant::now(), wanted: !quiet && is_terminal(std::io::stderr()) }
    }

    /// Before step `number` (from 1) of `all`, which is about `what`.
    pub fn step(&mut self, number: usize, all: usize, what: &str) {
        let now = Instant::now();
        if self.wanted && now.saturating_duration_since(self.last) >= Duration::from_secs(1) {
            self.last = now;
            eprintln!("repy-launch: {number} of {all}: {} ...", harmless(what));
        }
    }
}

/// Whether a letter takes no room and changes how others are read: it turns the
/// direction of a line, or hides in it.
pub fn turns_text(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Longest text of a program that is shown in one piece, in characters.
const LONGEST: usize = 400;

/// Text that a program made, so that no terminal obeys it: everything but plain
/// letters and signs is shown as an escape, and what is too long is cut.
pub fn harmless(text: &str) -> String {
    let mut shown = String::new();
    for (count, letter) in text.chars().enumerate() {
        if count >= LONGEST {
            // Writing to a String cannot fail.
            let _ = write!(shown, "... ({} bytes in all)", text.len());
            break;
        }
        match letter {
            ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{370}'..='\u{482}' => {
                shown.push(letter)
            }
            _ => shown.extend(letter.escape_default()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_could_move_it() {
        assert_eq!(harmless("open('a\u{e4}.txt')"), "open('a\u{e4}.txt')");
        assert_eq!(harmless("\x1b[2J\r\u{202e}\u{9b}"), "\\u{1b}[2J\\r\\u{202e}\\u{9b}");
        let long = harmless(&"x".repeat(100_000));
        assert!(long.len() < 450 && long.ends_with("(100000 bytes in all)"), "{long}");
    }
}
