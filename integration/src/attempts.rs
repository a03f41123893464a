//! Runs the breach program's attempts: in the sandbox, or without one for their twins.

use crate::outside::{Outside, LEAKED};
use crate::run::{finish, program_of, system_command, Finished, User};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where the launcher puts the vessel.
pub const VESSEL: i32 = 4;
/// A number at or above the limit of open files, like the one pinned for the one exec.
pub const EXEC: i32 = 2000;
/// The stand-in for it outside, where the twin finds the program.
const EXEC_OUTSIDE: i32 = 8;

/// One attempt, as the breach program lists it.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: String,
    /// Where its twin runs: `outside`, `outside-as-root` or `inside`.
    pub twin: String,
}

/// All attempts.
///
/// # Panics
/// If the breach program does not list them.
pub fn rows() -> Vec<Row> {
    let output = std::process::Command::new(crate::bin("breach")).arg("list").output().expect("it lists");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some(Row { name: words.next()?, class: words.next()?, twin: words.next()? })
    };
    text.lines().filter_map(row).collect()
}

/// The policy of these runs: the most a program can be granted.
pub fn policy() -> String {
    crate::setting::wide_policy_with("diskused", "20000000")
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Runs `attempt` in the sandbox, with a descriptor left open by a careless parent and
/// with the layers of `without` waived.
pub fn inside(outside: &Outside, user: User, vessel: &Path, attempt: &str, without: &[&str]) -> Finished {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut words = vec![text(&program_of(user, "repy-launch"))];
    let policy = text(&vessel.join("policy.test"));
    let program = text(&program_of(user, "breach"));
    let options = ["--policy", &policy, "--vessel", &text(vessel), "--interp", &program, "--wall", "30"]
        .map(String::from);
    words.extend(options);
    if user == User::Ordinary || !crate::is_root() {
        words.extend(["--without", "cgroup"].map(String::from));
    }
    for layer in without {
        words.extend(["--without", layer].map(String::from));
    }
    words.push(policy.clone()); // any file that can be read serves as the program
    words.push(attempt.into());
    words.extend(outside.words(VESSEL, EXEC));
    words.push(format!("vessel_path={}", vessel.display()));
    let line: Vec<String> = words.iter().map(|w| quoted(w)).collect();
    // The shell becomes the launcher: its own number is the supervisor's.
    shell(user, &format!("exec {} supervisor=$$ {LEAKED}</etc/passwd", line.join(" ")))
}

/// Runs `attempt` without any sandbox, its directory the vessel.
pub fn bare(outside: &Outside, user: User, vessel: &Path, attempt: &str) -> Finished {
    let mut words = vec![program_of(user, "breach").to_string_lossy().into_owned(), "program".into()];
    words.push(attempt.into());
    words.extend(outside.words(VESSEL, EXEC_OUTSIDE));
    words.push(format!("supervisor={}", outside.victim()));
    words.push(format!("vessel_path={}", vessel.display()));
    let program = quoted(&words[0]);
    let line: Vec<String> = words.iter().map(|w| quoted(w)).collect();
    let directory = quoted(&vessel.to_string_lossy());
    let line = line.join(" ");
    let streams = format!("{VESSEL}<. {EXEC_OUTSIDE}<{program} {LEAKED}</etc/passwd");
    shell(user, &format!("cd {directory} && exec {line} {streams}"))
}

fn shell(user: User, line: &str) -> Finished {
    let mut command = system_command(user, "/bin/sh");
    command.arg("-c").arg(line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(120))
}

/// Whether the attempt's effect was reached.
pub fn reached(run: &Finished) -> bool {
    run.stdout.contains("REACHED")
}

/// Attempts that replace their own process reach their effect without a word.
pub const REPLACED: &[&str] = &[
    "exec-own",
    "exec-true",
    "exec-from-vessel",
    "exec-script",
    "exec-by-proc",
    "exec-again",
    "exec-again-dirty",
    "exec-again-by-name",
    "memfd-exec",
];

/// Does `work` for every row on as many threads as there are processors, each with its own
/// surroundings; the results come in the order of the rows.
///
/// # Panics
/// If a thread does.
pub fn for_each<T: Send>(user: User, rows: &[Row], work: impl Fn(&mut Outside, &Row) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get()).clamp(2, 8);
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let worker = || {
            let mut outside = Outside::new(user);
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(row) = rows.get(index) else { return done };
                done.push((index, work(&mut outside, row)));
            }
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a worker")).collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
