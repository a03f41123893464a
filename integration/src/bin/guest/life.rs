//! However a run ends, nothing of it is left after two seconds.

use super::bed::*;
use super::{Done, Test, Verdict, PASSED};
use crate::ensure;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub const TESTS: &[Test] = &[
    ("kill-9-of-the-launcher", kill_9),
    ("kill-9-of-the-launcher-at-any-instant", kill_9_at_any_instant),
    ("kill-9-of-the-launcher-with-a-broker", kill_9_with_broker),
    ("stopped-in-order", stopped_in_order),
    ("kill-9-of-the-interpreter", kill_9_of_the_interpreter),
    ("a-frozen-group-is-ended", frozen),
    ("the-clock-jumps-by-years", clock_steps),
];

const BUSY: &str = "print 'started'\nwhile True:\n  pass\n";

/// What is left of a run in the group, by processes, mounts and names.
fn left(session: &Session) -> String {
    let mut left: Vec<String> =
        session.group.runs().iter().flat_map(|p| processes(p)).map(|p| p.to_string()).collect();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = read(entry.path().join("comm"));
        let dead = read(entry.path().join("status")).contains("State:\tZ");
        if (name == "repy-interp" || name == "repy-launch" || name == "probe") && !dead {
            left.push(format!("{name} {}", entry.file_name().to_string_lossy()));
        }
    }
    let mounts = read("/proc/self/mountinfo");
    left.extend(mounts.lines().filter(|line| line.contains("repy-test-")).map(str::to_owned));
    left.join(", ")
}

/// A run that is busy inside, and the leaf it is in.
fn busy(session: &Session, user: u32, text: &str) -> Result<(Run, Child, PathBuf), String> {
    let run = Run::new(user, Some(&session.own), text, BUSY);
    let child = run.start()?;
    let inside = || session.group.runs().into_iter().find(|leaf| !processes(leaf).is_empty());
    if until(60, || inside().is_some_and(|leaf| !read(leaf.join("cpu.max")).starts_with("max"))) {
        let leaf = inside().unwrap_or_default();
        return Ok((run, child, leaf));
    }
    let mut child = child;
    let _ = child.kill();
    Err(format!("it does not run: {}", wait(child, Duration::from_secs(5)).all()))
}

fn signal(pid: u32, signal: Signal) -> Result<(), String> {
    kill(Pid::from_raw(pid as i32), signal).map_err(|error| format!("{signal} to {pid}: {error}"))
}

fn kill_9() -> Verdict {
    for user in USERS {
        for text in [policy(&[]), TUTORIAL.to_owned()] {
            let session = Session::new("kill", user)?;
            let (_run, mut child, _) = busy(&session, user, &text)?;
            child.kill().map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            ensure!(until(2, || left(&session).is_empty()), "as {user}: left: {}", left(&session));
        }
    }
    PASSED
}

/// Also while the sandbox is being built.
fn kill_9_at_any_instant() -> Verdict {
    for user in USERS {
        let session = Session::new("instant", user)?;
        for step in 0..25 {
            let run = Run::new(user, Some(&session.own), TUTORIAL, BUSY);
            let mut child = run.start()?;
            std::thread::sleep(Duration::from_millis(step * 8));
            child.kill().map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            let gone = until(2, || left(&session).is_empty());
            ensure!(gone, "as {user}, killed after {} ms: left: {}", step * 8, left(&session));
        }
        Run::new(user, Some(&session.own), TUTORIAL, HELLO).run().expect(0)?;
        ensure!(session.group.runs().is_empty(), "not swept: {:?}", session.group.runs());
    }
    PASSED
}

fn kill_9_with_broker() -> Verdict {
    for user in USERS {
        let session = Session::new("broker", user)?;
        let run = Run::new(user, Some(&session.own), TUTORIAL, &talk("sleep(1000)"));
        let mut child = run.start()?;
        let broker = || session.group.runs().first().map(|outer| outer.join("broker")).unwrap_or_default();
        let there = until(60, || !processes(&broker()).is_empty());
        child.kill().map_err(|error| error.to_string())?;
        child.wait().map_err(|error| error.to_string())?;
        ensure!(there, "no broker in its leaf");
        ensure!(until(2, || left(&session).is_empty()), "as {user}: left: {}", left(&session));
        Run::new(user, Some(&session.own), TUTORIAL, HELLO).run().expect(0)?;
        ensure!(session.group.runs().is_empty(), "not swept: {:?}", session.group.runs());
    }
    PASSED
}

fn stopped_in_order() -> Verdict {
    for user in USERS {
        for (sent, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
            let session = Session::new("order", user)?;
            let (_run, child, _) = busy(&session, user, TUTORIAL)?;
            signal(child.id(), sent)?;
            let ended = wait(child, Duration::from_secs(10)).expect(code)?;
            ensure!(
                until(2, || left(&session).is_empty()),
                "as {user}: left: {}: {}",
                left(&session),
                ended.all()
            );
            ensure!(session.group.runs().is_empty(), "as {user}: a leaf is left: {:?}", session.group.runs());
        }
    }
    PASSED
}

fn kill_9_of_the_interpreter() -> Verdict {
    for user in USERS {
        let session = Session::new("interp", user)?;
        let (run, child, leaf) = busy(&session, user, TUTORIAL)?;
        let inside = processes(&leaf);
        ensure!(inside.len() == 1, "in the leaf: {inside:?}");
        signal(inside[0], Signal::SIGKILL)?;
        let ended = wait(child, Duration::from_secs(10)).expect(137)?;
        ensure!(run.report()["exit_code"] == 137, "{}", ended.all());
        ensure!(session.group.runs().is_empty(), "as {user}: a leaf is left: {:?}", session.group.runs());
    }
    PASSED
}

/// Somebody froze the group: the run can still be ended, and its group removed.
fn frozen() -> Verdict {
    for user in USERS {
        let session = Session::new("frozen", user)?;
        let (_run, child, leaf) = busy(&session, user, TUTORIAL)?;
        write(&leaf.join("cgroup.freeze"), "1")?;
        let is_frozen = until(10, || read(leaf.join("cgroup.events")).contains("frozen 1"));
        ensure!(is_frozen, "it does not freeze");
        signal(child.id(), Signal::SIGTERM)?;
        let ended = wait(child, Duration::from_secs(20)).expect(143)?;
        ensure!(until(2, || left(&session).is_empty()), "left: {}: {}", left(&session), ended.all());
        ensure!(session.group.runs().is_empty(), "as {user}: a leaf is left: {:?}", session.group.runs());
    }
    PASSED
}

/// Sets the machine's clock: seconds from what it says now.
fn step_clock(seconds: i64) -> Result<(), String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let mut command = Command::new("date");
    command.arg("-s").arg(format!("@{}", now.as_secs() as i64 + seconds));
    let set = finish(command, Duration::from_secs(30)).expect(0)?;
    let after = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let moved = after.as_secs() as i64 - now.as_secs() as i64;
    ensure!((moved - seconds).abs() < 60, "the clock moved by {moved}: {}", set.all());
    Ok(())
}

/// Timers, rates, the wall limit and the time that passed go by a clock that nobody sets.
fn clock_steps() -> Verdict {
    const YEAR: i64 = 365 * 24 * 3600;
    // 6 000 bytes at 1 000 a second, the first second's at once: five seconds at least.
    let program = "print 'started'\ni = 0\nwhile i < 20:\n  before = getruntime()\n  sleep(0.1)\n  \
                   passed = getruntime() - before\n  if passed < 0.09 or passed > 60:\n    print 'WRONG', passed\n  \
                   print 'x' * 299\n  i = i + 1\nprint 'done'\n";
    let mut figures = Vec::new();
    for user in USERS {
        let session = Session::new("clock", user)?;
        let text = policy(&[("lograte", "1000")]);
        let run = Run::new(user, Some(&session.own), &text, program).option("--wall").option("300");
        let child = run.start()?;
        let mut steps = 0;
        let mut sum = 0;
        let began = std::time::Instant::now();
        for seconds in [YEAR, -2 * YEAR, YEAR, -3600, 40 * 24 * 3600].iter().cycle() {
            std::thread::sleep(Duration::from_millis(300));
            if run.report()["exit_code"].is_u64() || began.elapsed() > Duration::from_secs(90) {
                break;
            }
            step_clock(*seconds)?;
            steps += 1;
            sum += seconds;
        }
        step_clock(-sum)?;
        let ended = wait(child, Duration::from_secs(60)).expect(0)?;
        let elapsed = run.report()["elapsed_seconds"].as_f64().unwrap_or(0.0);
        ensure!(ended.stdout.ends_with("done\n") && !ended.stdout.contains("WRONG"), "{}", ended.all());
        ensure!(steps >= 3, "only {steps} steps fell into the run");
        ensure!((4.8..90.0).contains(&elapsed), "it took {elapsed} s: {}", ended.all());
        figures.push(format!("{steps} steps in {elapsed:.1} s"));
    }
    Ok(Done::Passed(figures.join("; ")))
}
