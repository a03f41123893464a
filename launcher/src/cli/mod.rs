//! The command line tool: understands what is asked, and does it.

mod apart;
pub mod arguments;
mod ask;
mod check;
mod describe;
mod failure;
mod inner;
mod input;
mod inspect;
mod learn;
mod manual;
mod prepare;
mod repl;
mod run;
mod servicelog;

use std::ffi::OsString;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::time::{clock_gettime, ClockId};

use crate::audit;
use crate::ps;
use crate::terminal::errln;
use crate::top;
use crate::verdict::Ending;
use arguments::{Asked, Other};

/// The moment the launcher started, on every clock that is asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// For durations.
    pub started: Instant,
    /// CLOCK_MONOTONIC in nanoseconds: the origin of the program's `getruntime`.
    pub monotonic_ns: u64,
    /// For the report.
    pub seconds_since_1970: f64,
}

impl Clock {
    /// Now.
    pub fn now() -> Clock {
        // The call fails only for a clock that does not exist.
        let monotonic_ns = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
            (time.tv_sec() as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec() as u64)
        });
        let seconds_since_1970 =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        Clock { started: Instant::now(), monotonic_ns, seconds_since_1970 }
    }
}

/// Does what the words of a command line ask; the exit status.
pub fn main(words: Vec<OsString>) -> u8 {
    let clock = Clock::now();
    fail_in_order();
    match arguments::parse(words) {
        Ok(Asked::Run(options)) => run::run(&options, &clock),
        Ok(Asked::Other(other)) => do_other(&other, &clock),
        Err(error) => {
            // Help and version go to standard output and are no errors.
            let _ = error.print();
            if error.use_stderr() {
                Ending::BadInput.code()
            } else {
                Ending::Done.code()
            }
        }
    }
}

fn do_other(other: &Other, clock: &Clock) -> u8 {
    if other.is_quiet() {
        crate::terminal::keep_quiet();
    }
    match other {
        Other::Check(line) => check::check(line, clock),
        Other::Explain(line) => inspect::explain(line, clock),
        Other::Learn(line) => learn::learn(line, clock),
        Other::Repl(line) => repl::repl(line, clock),
        Other::Doctor(line) => inspect::doctor(line, clock),
        Other::Manual(line) => show(&manual::of(line.page)),
        Other::Completions(line) => show(&manual::completions(line.shell)),
        Other::Ps(line) => ps::list(line),
        Other::Stop(line) => ps::stop(line),
        Other::Audit(line) => audit::run(line),
        Other::Top(line) => top::run(line),
    }
}

/// Prints; a reader that goes away is no error.
fn show(text: &str) -> u8 {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ending::Done.code()
}

/// A panic of the launcher is a defect: it is told as such, with the exit status
/// for it, and the sandbox dies with the launcher (its parent-death signal).
fn fail_in_order() {
    std::panic::set_hook(Box::new(|panic| {
        crate::repl::restore();
        errln!("repy-launch: internal error: {panic}");
        std::process::exit(i32::from(Ending::Internal.code()));
    }));
}
