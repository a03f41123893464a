//! Groups on the hierarchies of the machine that runs the tests, where it lets us.

use super::*;
use crate::plan::limits::Share;
use std::process::{Command, Stdio};

fn limits(memory: u64) -> GroupLimits {
    let share = |quota, period| Share { quota, period };
    GroupLimits { memory, cpu: share(1_000, 10_000), cpu_at_start: share(10_000, 100_000), processes: 1 }
}

/// A group, unless the machine gives this user none: then the text must say why.
fn group(limits: &GroupLimits) -> Option<Group> {
    match Site::find() {
        Ok(site) => {
            let mut group = Group::create(&site, limits, true).expect("the site is usable");
            group.while_it_starts(&site);
            Some(group)
        }
        Err(missing) => {
            assert!(!missing.reason.is_empty() && missing.remedy.contains("Delegate=yes"));
            None
        }
    }
}

/// Tests of one process share a name: one at a time.
static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Runs a shell command whose first act is to join the group.
fn inside(group: &Group, line: &str) -> std::process::Child {
    let mut joins = String::new();
    let mut shell = Command::new("sh");
    for directory in &group.directories {
        joins.push_str(&format!("echo $$ > {}/cgroup.procs; ", directory.display()));
    }
    shell
        .arg("-c")
        .arg(format!("{joins}{line}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    shell.spawn().expect("a shell starts")
}

#[test]
fn a_group_has_its_limits_and_goes_away() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(group) = group(&limits(64 << 20)) else { return };
    let entry = group.entry().unwrap();
    assert!(entry.v2_directory.is_some() || !entry.v1_tasks.is_empty());
    assert!(matches!(group.check(), Integrity::Restored(_)), "the share is not set yet");
    group.hold_share().unwrap();
    assert_eq!(group.check(), Integrity::Whole);
    let directories = group.directories.clone();
    let ours = format!("/repy-{}-", std::process::id());
    assert!(directories.iter().all(|d| d.to_string_lossy().contains(&ours)), "{directories:?}");
    assert!(directories.iter().all(|d| d.is_dir()));
    group.remove();
    assert!(directories.iter().all(|d| !d.exists()));
}

#[test]
fn a_busy_process_is_throttled_and_counted() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(group) = group(&limits(64 << 20)) else { return };
    group.hold_share().unwrap();
    let mut child = inside(&group, "while :; do :; done");
    std::thread::sleep(Duration::from_millis(600));
    let used = group.usage();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(used.periods > 5 && used.throttled_periods > 0 && used.throttled > Duration::ZERO, "{used:?}");
}

/// What a start needs is there at once, and no more: a shell that computes for longer is
/// held to the share.
#[test]
fn the_start_has_a_long_period_and_the_program_a_short_one() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(group) = group(&limits(64 << 20)) else { return };
    group.hold_start().unwrap();
    let begin = Instant::now();
    let mut child = inside(&group, "while :; do :; done");
    std::thread::sleep(Duration::from_millis(500));
    let (at_start, first) = (group.usage(), begin.elapsed());
    group.hold_share().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let used = group.usage();
    child.kill().unwrap();
    child.wait().unwrap();
    // However late this thread was put on a processor: at most ten periods a second, then up to a hundred.
    assert!(at_start.periods as f64 <= first.as_secs_f64() * 10.0 + 2.0, "{at_start:?} in {first:?}");
    assert!(used.periods - at_start.periods > at_start.periods, "{at_start:?} {used:?}");
    assert!(used.throttled_periods > 0, "{used:?}");
}

#[test]
fn a_process_over_the_memory_limit_dies_of_its_own_limit() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(group) = group(&limits(8 << 20)) else { return };
    use std::os::unix::process::ExitStatusExt;
    let mut child = inside(&group, "exec dd bs=100M count=1 if=/dev/zero of=/dev/null");
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    let used = group.usage();
    assert!(used.oom_kills > 0 && used.own_limit_hit, "{used:?}");
    assert!(used.memory_peak.is_none_or(|peak| peak <= 8 << 20), "{used:?}");
}

#[test]
fn a_second_process_is_refused() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(group) = group(&limits(64 << 20)) else { return };
    let mut child = inside(&group, "true & wait");
    child.wait().unwrap();
    assert!(group.usage().processes_refused > 0);
}

#[test]
fn a_loosened_limit_is_set_again_and_a_removed_group_is_noticed() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(group) = group(&limits(64 << 20)) else { return };
    group.hold_share().unwrap();
    // Version 1 has the share in two files, and either loosens it.
    for (path, text) in group.written() {
        let loose = match path.file_name().and_then(|name| name.to_str()) {
            Some("cpu.max") => "max 10000",
            Some("cpu.cfs_quota_us") => "-1",
            Some("cpu.cfs_period_us") => "2000",
            Some("pids.max") => "7",
            _ => continue,
        };
        fs::write(path, loose).unwrap();
        assert!(matches!(group.check(), Integrity::Restored(_)), "{}", path.display());
        assert_eq!(fs::read_to_string(path).unwrap().trim(), text);
        assert_eq!(group.check(), Integrity::Whole);
    }
    for directory in &group.directories {
        fs::remove_dir(directory).unwrap();
    }
    assert!(matches!(group.check(), Integrity::Lost(_)));
}

#[test]
fn the_broker_has_a_leaf_of_its_own() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(mut group) = group(&limits(64 << 20)) else { return };
    group.entry().unwrap();
    let before = group.directories.len();
    group.broker_entry(16 << 20, 2).unwrap();
    let directories = group.directories.clone();
    assert!(directories.len() > before);
    group.remove();
    assert!(directories.iter().all(|d| !d.exists()));
}

#[test]
fn amounts() {
    assert_eq!(amount("67108864\n"), 67_108_864.0);
    for unbounded in ["max\n", "-1\n", "", "x"] {
        assert_eq!(amount(unbounded), f64::INFINITY, "{unbounded}");
    }
}
