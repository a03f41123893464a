//! What is written for people: colour where it is wanted, and text of strangers
//! made harmless.

use std::fmt::{self, Write};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Writes text to standard output. A reader that has gone has seen enough, and is no
/// error; output that cannot be kept ends the launcher with exit 2, as any file would
/// that the command line names.
pub fn print(text: fmt::Arguments<'_>) {
    let Err(error) = io::stdout().write_fmt(text) else { return };
    if error.kind() != io::ErrorKind::BrokenPipe {
        complain(format_args!("repy-launch: standard output: {error}\n"));
        std::process::exit(i32::from(crate::verdict::Ending::BadInput.code()));
    }
}

/// Writes text to standard error; where that cannot be, there is nobody to tell.
pub fn complain(text: fmt::Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// `print!` that no closed pipe makes a panic of.
macro_rules! out {
    ($($text:tt)*) => { $crate::terminal::print(format_args!($($text)*)) };
}

/// `println!` that no closed pipe makes a panic of.
macro_rules! outln {
    ($($text:tt)*) => { $crate::terminal::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// `eprint!` that no closed pipe makes a panic of.
macro_rules! err {
    ($($text:tt)*) => { $crate::terminal::complain(format_args!($($text)*)) };
}

/// `eprintln!` that no closed pipe makes a panic of.
macro_rules! errln {
    ($($text:tt)*) => { $crate::terminal::complain(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {err, errln, out, outln};

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

/// Whether `--quiet` was given.
static QUIET: AtomicBool = AtomicBool::new(false);

/// No progress is told from now on.
pub fn keep_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether progress is told: on a terminal only.
fn tells_progress() -> bool {
    !QUIET.load(Ordering::Relaxed) && is_terminal(std::io::stderr())
}

/// One line for work that takes over a second.
pub fn progress(text: &str) {
    if tells_progress() {
        errln!("repy-launch: {text} ...");
    }
}

/// One line for work that may take more than a second, told when it has.
#[derive(Debug)]
pub struct SlowWork {
    since: Instant,
    text: &'static str,
    told: bool,
}

impl SlowWork {
    /// Begins the work that `text` names.
    pub fn new(text: &'static str) -> SlowWork {
        SlowWork { since: Instant::now(), text, told: false }
    }

    /// While it goes on: tells of it once it has taken a second.
    pub fn goes_on(&mut self) {
        if self.is_due(Instant::now()) {
            progress(self.text);
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = !self.told && now.saturating_duration_since(self.since) >= Duration::from_secs(1);
        self.told |= due;
        due
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
    /// Begins.
    #[allow(clippy::new_without_default)] // it counts from the moment it is made
    pub fn new() -> Progress {
        Progress { last: Instant::now(), wanted: tells_progress() }
    }

    /// Before step `number` (from 1) of `all`, which is about `what`.
    pub fn step(&mut self, number: usize, all: usize, what: &str) {
        let now = Instant::now();
        if self.wanted && now.saturating_duration_since(self.last) >= Duration::from_secs(1) {
            self.last = now;
            errln!("repy-launch: {number} of {all}: {} ...", harmless(what));
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
    fn slow_work_is_told_once_and_after_a_second() {
        let mut work = SlowWork::new("counting");
        let after = |work: &SlowWork, millis| work.since + Duration::from_millis(millis);
        let told: Vec<bool> = [0, 999, 1000, 5000].map(|millis| work.is_due(after(&work, millis))).into();
        assert_eq!(told, [false, false, true, false]);
    }

    #[test]
    fn nothing_reaches_the_terminal_that_could_move_it() {
        assert_eq!(harmless("open('a\u{e4}.txt')"), "open('a\u{e4}.txt')");
        assert_eq!(harmless("\x1b[2J\r\u{202e}\u{9b}"), "\\u{1b}[2J\\r\\u{202e}\\u{9b}");
        let long = harmless(&"x".repeat(100_000));
        assert!(long.len() < 450 && long.ends_with("(100000 bytes in all)"), "{long}");
    }
}
