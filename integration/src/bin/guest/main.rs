//! The enforcement suite for a machine of its own: run as root on a kernel whose
//! control groups are of version 2, with all controllers (integration/vm boots such
//! kernels). It makes groups below /sys/fs/cgroup, for root and for an ordinary
//! user, and starts the launcher inside them.
//!
//! `guest [PREFIX…]` runs the tests whose names begin so, each in a process of its
//! own, and ends with `N passed, N failed, N skipped`.
//! `guest run NAME` runs one. `guest enter GROUP UID COMMAND…` becomes COMMAND in a
//! control group (`-` for none) as a user.

mod audit;
mod bed;
mod breach;
mod files;
mod groups;
mod layers;
mod life;
mod scope;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// What a test comes to.
type Verdict = Result<Done, String>;

/// A test that found nothing wrong.
enum Done {
    /// All of it was looked at; with a figure worth reading, or nothing.
    Passed(String),
    /// This kernel or machine has nothing to look at.
    Skipped(String),
}

/// Nothing to add.
const PASSED: Verdict = Ok(Done::Passed(String::new()));

/// Ends a test unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}

/// A test by name.
type Test = (&'static str, fn() -> Verdict);

const TESTS: &[&[Test]] =
    &[groups::TESTS, files::TESTS, layers::TESTS, life::TESTS, audit::TESTS, breach::TESTS, scope::TESTS];

/// How long one test may take: the machine may be emulated, on a busy host.
const PATIENCE: Duration = Duration::from_secs(600);

/// Exit status of `guest run` for a test that had nothing to look at.
const SKIPPED: u8 = 77;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let first = words.first().and_then(|word| word.to_str());
    match first {
        Some("run") => run_one(words.get(1).and_then(|word| word.to_str()).unwrap_or("")),
        Some("enter") => enter(&words[1..]),
        _ => {
            let prefixes: Vec<String> = words.iter().map(|w| w.to_string_lossy().into_owned()).collect();
            run_all(&prefixes)
        }
    }
}

fn tests() -> impl Iterator<Item = &'static Test> {
    TESTS.iter().copied().flatten()
}

fn run_one(name: &str) -> ExitCode {
    let Some((_, test)) = tests().find(|(known, _)| *known == name) else {
        eprintln!("guest: no test {name}");
        return ExitCode::from(2);
    };
    match test() {
        Ok(Done::Passed(figure)) => {
            print!("{figure}");
            ExitCode::SUCCESS
        }
        Ok(Done::Skipped(reason)) => {
            print!("{reason}");
            ExitCode::from(SKIPPED)
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run_all(prefixes: &[String]) -> ExitCode {
    println!("kernel {}", bed::release());
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, _) in tests() {
        // Those need another first process, and have a guest of their own.
        if name.starts_with("scope-") && !scope::is_here() {
            continue;
        }
        if !prefixes.is_empty() && !prefixes.iter().any(|prefix| name.starts_with(prefix.as_str())) {
            continue;
        }
        let began = Instant::now();
        let mut command = Command::new("/proc/self/exe");
        command.arg("run").arg(name).env("TMPDIR", bed::disk());
        let finished = bed::finish(command, PATIENCE);
        let seconds = began.elapsed().as_secs_f64();
        let said = finished.stdout.trim_end();
        match finished.code {
            0 => {
                passed += 1;
                println!("ok {name} ({seconds:.1} s){}{said}", if said.is_empty() { "" } else { ": " });
            }
            code if code == i32::from(SKIPPED) => {
                skipped += 1;
                println!("skipped {name}: {said}");
            }
            code => {
                failed += 1;
                println!(
                    "FAILED {name} ({seconds:.1} s, exit {code}): {said}\n{}",
                    finished.stderr.trim_end()
                );
            }
        }
        bed::clean();
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    ExitCode::from(u8::from(failed > 0))
}

/// `GROUP UID COMMAND…`
fn enter(words: &[OsString]) -> ExitCode {
    let [group, uid, program, arguments @ ..] = words else {
        eprintln!("guest enter GROUP UID COMMAND…");
        return ExitCode::from(2);
    };
    if group != "-" {
        let file = Path::new(group).join("cgroup.procs");
        if let Err(error) = std::fs::write(&file, "0") {
            eprintln!("guest: {}: {error}", file.display());
            return ExitCode::from(2);
        }
    }
    let mut command = Command::new(program);
    command.args(arguments);
    let uid = uid.to_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    if uid != 0 {
        command.uid(uid).gid(uid);
    }
    let error = command.exec();
    eprintln!("guest: {}: {error}", program.to_string_lossy());
    ExitCode::from(2)
}
