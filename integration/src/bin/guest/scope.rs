//! An ordinary user on a machine that systemd runs (integration/vm/systemd.sh): no group on
//! the way up is theirs, so the launcher asks the user's own manager for a scope, and the
//! limits hold in it. Only where systemd is the first process.

use super::bed::*;
use super::{Done, Test, Verdict, PASSED};
use crate::ensure;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

pub const TESTS: &[Test] = &[
    ("scope-hello", hello),
    ("scope-holds-the-limits", limits),
    ("scope-memory-hog", memory_hog),
    ("scope-cpu-share", cpu_share),
    ("scope-with-a-broker", broker),
    ("scope-one-for-each-run", one_each),
    ("scope-ends-with-a-killed-launcher", killed),
    ("scope-of-a-manager-that-hangs", hangs),
    ("scope-without-a-bus", no_bus),
];

/// The user whose manager runs.
const USER: u32 = 1000;
const SLEEPS: &str = "sleep(3600)\n";

/// Whether systemd is the first process here.
pub fn is_here() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The scopes of launchers, wherever the user's manager put them.
fn scopes() -> Vec<PathBuf> {
    let root = format!("{CGROUPS}/user.slice/user-{USER}.slice/user@{USER}.service");
    let mut found = Vec::new();
    let mut left = vec![PathBuf::from(root)];
    while let Some(place) = left.pop() {
        for entry in fs::read_dir(place).into_iter().flatten().flatten().filter(|e| e.path().is_dir()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("repy-") && name.ends_with(".scope") {
                found.push(entry.path());
            } else {
                left.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// Nothing of a run is left, its scope neither.
fn all_gone() -> Result<(), String> {
    ensure!(until(20, || scopes().is_empty()), "scopes are left: {:?}", scopes());
    Ok(())
}

/// A run that lasts; ended with the test.
struct Live {
    run: Run,
    child: Child,
}

impl Live {
    /// Starts it, and waits until one more scope holds a leaf with its limits.
    fn start(text: &str) -> Result<(Live, PathBuf), String> {
        let before = scopes();
        let run = Run::new(USER, None, text, SLEEPS);
        let live = Live { child: run.start()?, run };
        let leaf = || {
            let scope = scopes().into_iter().find(|scope| !before.contains(scope))?;
            runs_in(&scope).into_iter().next()
        };
        let ready = until(60, || {
            leaf().is_some_and(|leaf| {
                !processes(&leaf).is_empty() && !read(leaf.join("cpu.max")).starts_with("max")
            })
        });
        ensure!(
            ready,
            "no leaf; scopes: {:?}; {}",
            scopes(),
            read(format!("/proc/{}/cgroup", live.child.id()))
        );
        let leaf = leaf().unwrap_or_default();
        Ok((live, leaf))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hello() -> Verdict {
    // The twin: without a manager to ask, nothing could be had from here.
    let own = read("/proc/self/cgroup");
    ensure!(own.contains("/system.slice/"), "the tests are in {own}");
    let mut figures = Vec::new();
    for text in [policy(&[]), TUTORIAL.to_owned()] {
        let run = Run::new(USER, None, &text, HELLO).run().expect(0)?;
        ensure!(run.stdout == "Hello World\n", "{}", run.all());
        let layers = run.report["layers"].as_object().cloned().unwrap_or_default();
        for (layer, state) in &layers {
            let expected = if layer == "idmap" { "not needed" } else { "enforced" };
            ensure!(state == expected, "layer {layer}: {}", run.all());
        }
        ensure!(layers.len() == 8, "{}", run.all());
        all_gone()?;
        figures.push(format!("{:.2} s", run.report["elapsed_seconds"].as_f64().unwrap_or(0.0)));
    }
    Ok(Done::Passed(figures.join(", ")))
}

fn limits() -> Verdict {
    let (live, leaf) = Live::start(&policy(&[("memory", "20000000"), ("cpu", ".10")]))?;
    let expected = [
        ("memory.max", (20_000_000 / 4096 * 4096).to_string()),
        ("cpu.max", "1000 10000".to_owned()),
        ("pids.max", "1".to_owned()),
        ("memory.oom.group", "1".to_owned()),
    ];
    for (file, value) in expected {
        let found = read(leaf.join(file));
        ensure!(found == value, "{file} is {found:?}, not {value:?}");
    }
    // The launcher is in the scope, too, and in none of these limits.
    let launcher = read(format!("/proc/{}/cgroup", live.child.id()));
    let scope = leaf.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    ensure!(launcher.contains(&scope) && launcher.ends_with("-supervisor"), "the launcher is in {launcher}");
    let report = live.run.report();
    kill(Pid::from_raw(live.child.id() as i32), Signal::SIGTERM).map_err(|error| error.to_string())?;
    ensure!(until(20, || !leaf.exists()), "{} is left: {report}", leaf.display());
    drop(live);
    all_gone()?;
    PASSED
}

fn memory_hog() -> Verdict {
    let hog =
        "keep = []\ni = 0\nwhile i < COUNT:\n  keep.append('x' * 1000 + str(i))\n  i = i + 1\nprint 'done'\n";
    let text = policy(&[("memory", "20000000")]);
    let run = Run::new(USER, None, &text, &hog.replace("COUNT", "1000000")).run().expect(5)?;
    let peak = run.report["resources"]["memory"]["peak"].as_u64().unwrap_or(u64::MAX);
    ensure!(peak <= 20_000_000 + 4096, "over the limit: {}", run.all());
    let run = Run::new(USER, None, &text, &hog.replace("COUNT", "2000")).run().expect(0)?;
    ensure!(run.stdout.starts_with("done\n"), "{}", run.all());
    all_gone()?;
    Ok(Done::Passed(format!("peak {peak} of 20000000 bytes")))
}

fn cpu_share() -> Verdict {
    let program = "i = 0\nwhile getruntime() < 6.0:\n  i = i + 1\n";
    let run = Run::new(USER, None, &policy(&[("cpu", ".1")]), program).run().expect(0)?;
    let cpu = &run.report["resources"]["cpu"];
    let used = cpu["used_seconds"].as_f64().unwrap_or(f64::MAX);
    let wall = run.report["elapsed_seconds"].as_f64().unwrap_or(0.0);
    // As in the test of the groups: what starting took comes on top, a busy host takes time away.
    let expected = 0.03 * wall..=0.1 * (wall + 0.02) + 0.15;
    ensure!(expected.contains(&used), "used {used} s of {wall} s, not {expected:?}: {}", run.all());
    ensure!(cpu["throttled_periods"].as_u64().unwrap_or(0) > 0, "never throttled: {}", run.all());
    all_gone()?;
    Ok(Done::Passed(format!("{:.1} % of {wall:.1} s", 100.0 * used / wall)))
}

fn broker() -> Verdict {
    let run = Run::new(USER, None, TUTORIAL, &talk("sleep(0.1)")).run().expect(0)?;
    ensure!(run.stdout == "heard hello\n", "{}", run.all());
    all_gone()?;
    PASSED
}

fn one_each() -> Verdict {
    let first = Live::start(&policy(&[("memory", "20000000")]))?;
    let second = Live::start(&policy(&[("memory", "30000000")]))?;
    ensure!(scopes().len() == 2 && first.1.parent() != second.1.parent(), "{:?}", scopes());
    ensure!(read(first.1.join("memory.max")) != read(second.1.join("memory.max")), "one limit for both");
    drop(first);
    ensure!(until(20, || scopes().len() == 1), "the first one's is left: {:?}", scopes());
    ensure!(!processes(&second.1).is_empty(), "the second ended with the first");
    drop(second);
    all_gone()?;
    PASSED
}

fn killed() -> Verdict {
    let (mut live, leaf) = Live::start(&policy(&[]))?;
    live.child.kill().map_err(|error| error.to_string())?;
    live.child.wait().map_err(|error| error.to_string())?;
    ensure!(until(2, || processes(&leaf).is_empty()), "left: {:?}", processes(&leaf));
    all_gone()?;
    PASSED
}

/// The user's manager, while it is stopped.
struct Stopped(Pid);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

fn hangs() -> Verdict {
    let of_user = |pid: &u32| {
        let status = read(format!("/proc/{pid}/status"));
        status.contains("Name:\tsystemd\n") && status.contains(&format!("Uid:\t{USER}\t"))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let Some(manager) = pids.find(of_user) else { return Err("the user has no manager".to_owned()) };
    let manager = Pid::from_raw(manager as i32);
    kill(manager, Signal::SIGSTOP).map_err(|error| error.to_string())?;
    let stopped = Stopped(manager);
    let run = Run::new(USER, None, &policy(&[]), HELLO).run().expect(4)?;
    ensure!(run.stderr.contains("gave no answer in time"), "{}", run.all());
    drop(stopped);
    let run = Run::new(USER, None, &policy(&[]), HELLO).run().expect(0)?;
    ensure!(run.stdout == "Hello World\n", "{}", run.all());
    all_gone()?;
    PASSED
}

fn no_bus() -> Verdict {
    let bus = format!("/run/user/{USER}/bus");
    let aside = format!("/run/user/{USER}/aside");
    fs::rename(&bus, &aside).map_err(|error| format!("{bus}: {error}"))?;
    let run = Run::new(USER, None, &policy(&[]), HELLO).run();
    // The same file with somebody listening who is not this user's bus is not asked either.
    let listener = std::os::unix::net::UnixListener::bind(&bus);
    let foreign = Run::new(USER, None, &policy(&[]), HELLO).run();
    drop(listener);
    let _ = fs::remove_file(&bus);
    fs::rename(&aside, &bus).map_err(|error| format!("{aside}: {error}"))?;
    for run in [run.expect(4)?, foreign.expect(4)?] {
        ensure!(run.stderr.contains("layer 'cgroup'"), "{}", run.all());
        ensure!(!run.stderr.contains("asking systemd"), "{}", run.all());
    }
    // Asked by hand, as the message says.
    let mut twin = Command::new("/proc/self/exe");
    twin.args(["enter", "-", &USER.to_string(), "sh", "-c"]);
    twin.arg(format!("XDG_RUNTIME_DIR=/run/user/{USER} systemd-run --user --scope -q -p Delegate=yes true"));
    finish(twin, Duration::from_secs(60)).expect(0)?;
    PASSED
}
