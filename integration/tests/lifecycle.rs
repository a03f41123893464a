//! However a run ends, nothing of it is left after two seconds.
#![allow(missing_docs)]

use integration::processes::{descendants, is_alive};
use integration::run::{users, User};
use integration::setting::{wide_policy, Setting};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

const BUSY: &str = "print 'started'\nwhile True:\n  pass\n";

/// Starts a busy program and waits until it has printed.
fn start(setting: &Setting) -> Child {
    let mut child = setting.launch(&wide_policy(), BUSY).command().spawn().expect("the launcher starts");
    let mut line = String::new();
    let out = child.stdout.take().expect("piped");
    BufReader::new(out).read_line(&mut line).expect("a line");
    assert_eq!(line, "started\n");
    child
}

fn ends_after(signal: Signal, code: Option<i32>) {
    for user in users() {
        let setting = Setting::new("signal", user);
        let mut child = start(&setting);
        let below = descendants(child.id());
        assert!(!below.is_empty(), "the interpreter runs");
        kill(Pid::from_raw(child.id() as i32), signal).expect("signalled");
        let deadline = Instant::now() + Duration::from_secs(2);
        let status = loop {
            if let Some(status) = child.try_wait().expect("waitable") {
                break status;
            }
            assert!(Instant::now() < deadline, "the launcher did not end within 2 s");
            std::thread::sleep(Duration::from_millis(5));
        };
        if let Some(code) = code {
            assert_eq!(status.code(), Some(code), "as {user:?}");
        }
        while below.iter().any(|pid| is_alive(*pid)) {
            assert!(Instant::now() < deadline, "a process of the run is left: {below:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        let vessel = setting.vessel().to_string_lossy().into_owned();
        assert!(!mounts.contains(&vessel), "a mount of the run is left");
    }
}

#[test]
fn ctrl_c() {
    ends_after(Signal::SIGINT, Some(130));
}

#[test]
fn sigterm() {
    ends_after(Signal::SIGTERM, Some(143));
}

#[test]
fn kill_9() {
    ends_after(Signal::SIGKILL, None);
}

#[test]
fn no_cgroup_is_left_after_a_run() {
    if !integration::is_root() {
        return;
    }
    let setting = Setting::new("cgroup", User::Caller);
    let groups = || {
        let mut found = Vec::new();
        collect_groups(Path::new("/sys/fs/cgroup"), 0, &mut found);
        found
    };
    let mut child = start(&setting);
    // The whole part of the name: other runs have numbers in theirs, too.
    let mine = format!("repy-{}-", child.id());
    assert!(groups().iter().any(|name| name.contains(&mine)), "the run has no cgroup of its own");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("signalled");
    child.wait().expect("waitable");
    let left: Vec<String> = groups().into_iter().filter(|name| name.contains(&mine)).collect();
    assert!(left.is_empty(), "left: {left:?}");
}

fn collect_groups(directory: &Path, depth: u32, found: &mut Vec<String>) {
    if depth > 8 {
        return;
    }
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("repy") {
                found.push(name);
            }
            collect_groups(&entry.path(), depth + 1, found);
        }
    }
}
