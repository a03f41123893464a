//! Assume breach: a native program stands in the interpreter's place and makes one
//! attempt per process. None may reach its effect; each has a twin that must.
#![allow(missing_docs)]

use integration::outside::{Outside, LEAKED};
use integration::run::{finish, program_of, system_command, users, Finished, User};
use integration::setting::wide_policy_with;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Where the launcher puts the vessel.
const VESSEL: i32 = 4;
/// A number at or above the limit of open files, like the one pinned for the one exec.
const EXEC: i32 = 2000;
/// The stand-in for it outside, where the twin finds the program.
const EXEC_OUTSIDE: i32 = 8;

struct Row {
    name: String,
    class: String,
    twin: String,
}

fn rows() -> Vec<Row> {
    let output =
        std::process::Command::new(integration::bin("breach")).arg("list").output().expect("it lists");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows: Vec<Row> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').map(str::to_string);
            Some(Row { name: words.next()?, class: words.next()?, twin: words.next()? })
        })
        .collect();
    assert!(rows.len() >= 200, "only {} attempts listed", rows.len());
    rows
}

fn policy() -> String {
    wide_policy_with("diskused", "20000000")
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Runs the attempt in the sandbox, with a descriptor left open by a careless parent.
fn inside(outside: &Outside, user: User, vessel: &Path, attempt: &str, exec_descriptor: i32) -> Finished {
    let mut words = vec![program_of(user, "repy-launch").to_string_lossy().into_owned()];
    let policy = vessel.join("policy.test").to_string_lossy().into_owned();
    let vessel = vessel.to_string_lossy().into_owned();
    let program = program_of(user, "breach").to_string_lossy().into_owned();
    let options = ["--policy", &policy, "--vessel", &vessel, "--interp", &program, "--wall", "20"];
    words.extend(options.iter().map(|w| w.to_string()));
    if user == User::Ordinary || !integration::is_root() {
        words.extend(["--without".into(), "cgroup".into()]);
    }
    words.push(policy.clone()); // any readable file serves as the program
    words.push(attempt.into());
    words.extend(outside.words(VESSEL, exec_descriptor));
    let line: Vec<String> = words.iter().map(|w| quoted(w)).collect();
    shell(user, &format!("exec {} {LEAKED}</etc/passwd", line.join(" ")))
}

/// Runs the attempt without any sandbox, its directory the vessel.
fn bare(outside: &Outside, user: User, vessel: &Path, attempt: &str) -> Finished {
    let mut words = vec![program_of(user, "breach").to_string_lossy().into_owned(), "program".into()];
    words.push(attempt.into());
    words.extend(outside.words(VESSEL, EXEC_OUTSIDE));
    let program = quoted(&words[0]);
    let line: Vec<String> = words.iter().map(|w| quoted(w)).collect();
    let directory = quoted(&vessel.to_string_lossy());
    shell(
        user,
        &format!(
            "cd {directory} && exec {} {VESSEL}<. {EXEC_OUTSIDE}<{program} {LEAKED}</etc/passwd",
            line.join(" ")
        ),
    )
}

fn shell(user: User, line: &str) -> Finished {
    let mut command = system_command(user, "/bin/sh");
    command.arg("-c").arg(line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(60))
}

fn reached(run: &Finished) -> bool {
    run.stdout.contains("REACHED")
}

#[test]
fn no_attempt_reaches_its_effect_and_every_twin_does() {
    let rows = rows();
    let exec_descriptor = EXEC;
    let policy = policy();
    for user in users() {
        let mut outside = Outside::new(user);
        let mut wrong = Vec::new();
        let mut denied = BTreeMap::new();
        for row in &rows {
            let vessel = outside.vessel(&format!("vessel-{}", row.name), &policy);
            let run = inside(&outside, user, &vessel, &row.name, exec_descriptor);
            if reached(&run) || run.stdout.contains("UNKNOWN") {
                wrong.push(format!("{}: inside: {}", row.name, run.stdout.trim_end()));
            } else if ![0, 5, 6, 7, 70, 71].contains(&run.code()) {
                wrong.push(format!("{}: exit {}: {}", row.name, run.code(), run.stderr.trim_end()));
            }
            for difference in outside.differences(&vessel, &policy) {
                wrong.push(format!("{}: {difference}", row.name));
            }
            *denied.entry(row.class.as_str()).or_insert(0) += 1;

            let twin = match row.twin.as_str() {
                "inside" => inside(&outside, user, &vessel, &format!("twin:{}", row.name), exec_descriptor),
                "outside-as-root" if !(user == User::Caller && integration::is_root()) => continue,
                _ => bare(&outside, user, &vessel, &row.name),
            };
            if !succeeded(&twin, row) {
                wrong.push(format!(
                    "{}: its twin ({}) failed: {:?} {}",
                    row.name, row.twin, twin.stdout, twin.stderr
                ));
            }
            outside.restore(&vessel);
            let _ = std::fs::remove_dir_all(&vessel);
        }
        assert!(wrong.is_empty(), "as {user:?}, {} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
        println!("as {user:?}: denied {denied:?}");
    }
}

/// An attempt that replaces its own process reaches its effect without printing.
fn succeeded(twin: &Finished, row: &Row) -> bool {
    const REPLACED: &[&str] = &["exec-own", "exec-true", "exec-from-vessel", "memfd-exec", "exec-again"];
    if REPLACED.contains(&row.name.as_str()) {
        return twin.code() == 0 && !twin.stdout.contains("REFUSED");
    }
    // A kernel built without the call (modules, kexec) cannot show it outside either.
    reached(twin) || row.class == "kernel" && twin.stdout == format!("REFUSED {}\n", libc::ENOSYS)
}

/// The kernel lets these two past every filter (its own trampolines for probes on user
/// code, x86-64 since 6.11 and 6.18). Without a probe they do nothing: the first kills with
/// SIGILL, the second answers ENXIO.
const EXEMPT: &[(i64, &str)] = &[(335, ""), (336, "REFUSED 6\n"), (336, "REFUSED 38\n")];

#[test]
fn every_number_outside_the_filter_file_kills() {
    let exec_descriptor = EXEC;
    let listed = listed_calls();
    let policy = policy();
    for user in users() {
        let mut outside = Outside::new(user);
        let vessel = outside.vessel("vessel", &policy);
        let mut wrong = Vec::new();
        let mut killed = 0;
        for number in 0..=launcher::filter::syscalls::all().map(|(_, n)| n).max().unwrap_or(0) + 10 {
            let name = launcher::filter::syscalls::name(number).unwrap_or("(no name)");
            let run = inside(&outside, user, &vessel, &format!("syscall:{number}"), exec_descriptor);
            match listed.get(name).map(String::as_str) {
                None if run.code() != 71 && EXEMPT.contains(&(number, run.stdout.as_str())) => {}
                None if run.code() != 71 || !run.stdout.is_empty() => {
                    wrong.push(format!("{number} {name}: exit {} {:?}", run.code(), run.stdout));
                }
                None => killed += 1,
                Some(error) if !error.is_empty() && !run.stdout.contains("REFUSED") => {
                    wrong.push(format!("{number} {name}: expected {error}, got {:?}", run.stdout));
                }
                Some(_) => {}
            }
        }
        for difference in outside.differences(&vessel, &policy) {
            wrong.push(difference);
        }
        assert!(wrong.is_empty(), "as {user:?}:\n{}", wrong.join("\n"));
        assert!(killed >= 250, "only {killed} numbers were probed");
    }
}

/// The names of the filter file; the value is its error where every line of a name gives one.
fn listed_calls() -> BTreeMap<String, String> {
    let mut calls: BTreeMap<String, String> = BTreeMap::new();
    for line in launcher::filter::INTERPRETER.lines() {
        let rule = line.split('#').next().unwrap_or("").trim();
        let Some(name) = rule.split_whitespace().next().filter(|n| !n.starts_with('[')) else { continue };
        let error = match rule.split_once("->") {
            Some((condition, error)) if !condition.contains(" when ") => error.trim().to_string(),
            _ => String::new(),
        };
        calls.insert(name.to_string(), error);
    }
    assert!(calls.len() >= 30 && calls.len() < 80, "{} names in the filter file", calls.len());
    calls
}
