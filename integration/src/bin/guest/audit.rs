//! `audit` where every control lies on version 2: a live run is as planned, and each
//! limit that somebody loosens is seen.

use super::bed::*;
use super::groups::sleeping;
use super::{Done, Test, Verdict, PASSED};
use crate::ensure;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

pub const TESTS: &[Test] =
    &[("audit-sees-every-control", every_control), ("audit-notices-what-is-loosened", loosened)];

/// What `audit` said of a run.
struct Audited {
    code: i32,
    lines: Vec<Value>,
    all: String,
}

impl Audited {
    /// "step: expected" of the lines in one state.
    fn in_state(&self, state: &str) -> Vec<String> {
        let lines = self.lines.iter().filter(|line| line["state"] == state);
        lines.map(|line| format!("{}: {} ({})", line["step"], line["expected"], line["found"])).collect()
    }
}

fn tool(user: u32, words: &[&str]) -> Finished {
    let mut command = Command::new("/proc/self/exe");
    command.arg("enter").arg("-").arg(user.to_string()).arg("/bin/repy-launch").args(words);
    command.env_remove("TMPDIR");
    finish(command, Duration::from_secs(120))
}

fn audit(user: u32, name: &str) -> Audited {
    let finished = tool(user, &["audit", name, "--json"]);
    let audits: Value = serde_json::from_str(&finished.stdout).unwrap_or(Value::Null);
    let lines = audits[0]["lines"].as_array().cloned().unwrap_or_default();
    Audited { code: finished.code, lines, all: finished.all() }
}

/// A run that sleeps under a name, ended with the test.
struct Live {
    _run: Run,
    child: Child,
    name: String,
}

impl Live {
    fn start(user: u32, group: &Delegated, label: &str) -> Result<Live, String> {
        let name = format!("{label}-{user}");
        let run = Run::new(user, Some(group.path()), &policy(&[]), "sleep(3600)\n");
        let (run, child) = sleeping(run.option("--name").option(&name), group)?;
        let live = Live { _run: run, child, name };
        // The record is written a moment after the program has started.
        let listed = until(60, || tool(user, &["ps", "--json"]).stdout.contains(&live.name));
        ensure!(listed, "it is not listed: {}", tool(user, &["ps"]).all());
        Ok(live)
    }

    /// The launcher mends what it finds: it holds still while something is changed.
    fn hold(&self) -> Result<(), String> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGSTOP).map_err(|error| error.to_string())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Root sees each control; an ordinary user all but the filter's text.
fn every_control() -> Verdict {
    let mut figures = Vec::new();
    for user in USERS {
        let group = Delegated::new("audit", user)?;
        let live = Live::start(user, &group, "seen")?;
        let audited = audit(user, &live.name);
        ensure!(audited.in_state("DIFFERS").is_empty(), "as {user}: {}", audited.all);
        // Where Landlock and the filter refuse the same, which of them did cannot be told.
        let unseen = audited.in_state("CANNOT SEE");
        let excused = |line: &String| {
            line.starts_with("\"landlock") || (user != 0 && line.starts_with("\"system call filter"))
        };
        ensure!(unseen.iter().all(excused), "as {user}: {unseen:?}");
        ensure!(audited.code == if unseen.is_empty() { 0 } else { 3 }, "as {user}: {}", audited.all);
        ensure!(audited.lines.len() > 35, "as {user}: {} lines", audited.lines.len());
        figures.push(format!("{} lines, {} not seen", audited.lines.len(), unseen.len()));
    }
    Ok(Done::Passed(figures.join("; ")))
}

fn loosened() -> Verdict {
    for user in USERS {
        let group = Delegated::new("loosened", user)?;
        let live = Live::start(user, &group, "loose")?;
        live.hold()?;
        let leaf = group.runs().first().cloned().unwrap_or_default();
        let files = [
            ("memory.max", "max"),
            ("memory.swap.max", "max"),
            ("memory.oom.group", "0"),
            ("cpu.max", "max 100000"),
            ("pids.max", "7"),
        ];
        for (file, loose) in files {
            let path = leaf.join(file);
            if file == "memory.swap.max" && !path.exists() {
                continue;
            }
            let before = read(&path);
            write(&path, loose)?;
            let audited = audit(user, &live.name);
            write(&path, &before)?;
            let differs = audited.in_state("DIFFERS");
            ensure!(audited.code == 1, "as {user}, {file}: {}", audited.all);
            ensure!(differs.len() == 1 && differs[0].contains(file), "as {user}, {file}: {differs:?}");
        }
        moved(user, &group, &live)?;
        let audited = audit(user, &live.name);
        ensure!(audited.in_state("DIFFERS").is_empty(), "as {user}: {}", audited.all);
    }
    PASSED
}

/// Whoever is put into another group is in none of these limits.
fn moved(user: u32, group: &Delegated, live: &Live) -> Result<(), String> {
    let leaf = group.runs().first().cloned().unwrap_or_default();
    let inside = processes(&leaf).first().copied().unwrap_or(0);
    let home = leaf.join("cgroup.procs");
    write(&Path::new(CGROUPS).join("cgroup.procs"), &inside.to_string())?;
    let audited = audit(user, &live.name);
    write(&home, &inside.to_string())?;
    let differs = audited.in_state("DIFFERS");
    ensure!(audited.code == 1, "as {user}, moved: {}", audited.all);
    ensure!(differs.iter().any(|line| line.contains("it is in")), "as {user}, moved: {differs:?}");
    Ok(())
}
