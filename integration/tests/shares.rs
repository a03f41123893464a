//! The processor's share and the memory limit, measured from outside over seconds.
#![allow(missing_docs)]

use integration::processes::descendants;
use integration::run::User;
use integration::setting::{wide_policy_with, Setting};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

/// A run that computes until it is told to end.
struct Busy {
    child: Child,
    setting: Setting,
    interpreter: u32,
}

impl Busy {
    fn start(user: User, policy: &str) -> Busy {
        let setting = Setting::new("share", user);
        let report = setting.vessel().join("report.json");
        let launch = setting.launch(policy, "print 'started'\nwhile True:\n  pass\n");
        let mut child = launch.option("--report").option(report).command().spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        assert_eq!(line, "started\n");
        let interpreter = descendants(child.id())[0];
        Busy { child, setting, interpreter }
    }

    /// Seconds on a processor so far: the sandbox is one thread.
    fn used(&self) -> f64 {
        let text =
            std::fs::read_to_string(format!("/proc/{}/schedstat", self.interpreter)).expect("schedstat");
        text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).expect("a number") / 1e9
    }

    fn end(mut self) -> Value {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).expect("signalled");
        self.child.wait().expect("waited for");
        let text = std::fs::read_to_string(self.setting.vessel().join("report.json")).expect("a report");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// The group's file for the share: quota and period in microseconds.
fn quota(pid: u32) -> Option<(f64, f64)> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    for line in groups.lines() {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        if controllers.split(',').any(|name| name == "cpu") {
            for mount in [format!("/sys/fs/cgroup/{controllers}"), "/sys/fs/cgroup/cpu".to_owned()] {
                let read = |file: &str| {
                    std::fs::read_to_string(format!("{mount}{path}/{file}")).ok()?.trim().parse().ok()
                };
                if let (Some(quota), Some(period)) = (read("cpu.cfs_quota_us"), read("cpu.cfs_period_us")) {
                    return Some((quota, period));
                }
            }
        }
        if controllers.is_empty() {
            if let Ok(text) = std::fs::read_to_string(format!("/sys/fs/cgroup{path}/cpu.max")) {
                let (quota, period) = text.trim().split_once(' ')?;
                return Some((quota.parse().ok()?, period.parse().ok()?));
            }
        }
    }
    None
}

#[test]
fn the_share_is_within_two_percent_over_ten_seconds() {
    if !integration::is_root() {
        integration::skipped("the control group needs root");
        return;
    }
    // All at once: together they want 1.55 processors.
    std::thread::scope(|scope| {
        for share in [".05", ".1", ".5", ".9"] {
            scope.spawn(move || held(share));
        }
    });
}

fn held(text: &str) {
    let share: f64 = text.parse().expect("a number");
    let mut best = 0.0f64;
    for _ in 0..3 {
        let busy = Busy::start(User::Caller, &wide_policy_with("cpu", text));
        std::thread::sleep(Duration::from_millis(300));
        let (start, before) = (Instant::now(), busy.used());
        std::thread::sleep(Duration::from_secs(10));
        let (used, elapsed) = (busy.used() - before, start.elapsed().as_secs_f64());
        let report = busy.end();
        let measured = used / elapsed;
        println!("share {share}: {measured:.4} over {elapsed:.2} s");
        // Whatever the machine does, never more. (Two periods begun outside the span.)
        assert!(measured <= share * 1.02 + 0.002, "{measured} of {share}");
        best = best.max(measured);
        let cpu = &report["resources"]["cpu"];
        let count = |key: &str| cpu[key].as_f64().unwrap_or(0.0);
        let wanting = count("throttled_periods") / count("periods").max(1.0);
        // Where it was not its quota that held it back, the machine was busy with others.
        if best >= share * 0.98 {
            return;
        }
        println!("share {share}: only {:.0} % of the periods reached the quota", wanting * 100.0);
        if wanting > 0.99 {
            assert!(best >= share * 0.9, "held to {best} of {share} in every period");
        }
    }
}

#[test]
fn shares_of_a_whole_processor_and_more_are_in_the_quota_file() {
    if !integration::is_root() {
        integration::skipped("the control group needs root");
        return;
    }
    for (text, share) in [("1.0", 1.0), ("1.5", 1.5), (".05", 0.05)] {
        let busy = Busy::start(User::Caller, &wide_policy_with("cpu", text));
        let (quota, period) = quota(busy.interpreter).expect("a quota file");
        assert!((quota / period - share).abs() < 0.001, "{quota}/{period} for {share}");
        busy.end();
    }
}

/// The start has a longer period; the program is held over 10 ms, or over what the kernel's
/// least quota of 1 ms needs.
#[test]
fn the_program_is_held_over_a_short_period() {
    if !integration::is_root() {
        integration::skipped("the control group needs root");
        return;
    }
    for (share, wanted) in
        [(".1", (1_000.0, 10_000.0)), (".05", (1_000.0, 20_000.0)), (".5", (5_000.0, 10_000.0))]
    {
        let busy = Busy::start(User::Caller, &wide_policy_with("cpu", share));
        let deadline = Instant::now() + Duration::from_secs(30);
        while quota(busy.interpreter) != Some(wanted) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(quota(busy.interpreter), Some(wanted), "{share}");
        busy.end();
    }
}

/// Without a control group the supervisor looks every 10 ms. What passes the limit before it
/// has looked depends on the machine, which may give its turn to somebody else: what one run
/// of ten keeps to is what the rate allows.
#[test]
fn memory_without_a_control_group_is_held_by_looking() {
    const LIMIT: f64 = 40e6;
    const MOST_OVER: f64 = 5e6;
    let program = "k = []\ni = 0\nwhile True:\n  k.append('x' * 10000 + str(i))\n  i = i + 1\n";
    let mut least = f64::MAX;
    for _ in 0..10 {
        let setting = Setting::new("memory", User::Caller);
        let report = setting.vessel().join("report.json");
        let mut launch = setting.launch(&wide_policy_with("memory", "40000000"), program);
        if integration::is_root() {
            launch = launch.option("--without").option("cgroup");
        }
        launch.option("--report").option(&report).run(60).expect_code(5);
        let text = std::fs::read_to_string(&report).expect("a report");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let peak = value["resources"]["memory"]["peak"].as_f64().expect("a peak");
        least = least.min(peak - LIMIT);
        if least <= MOST_OVER {
            break;
        }
    }
    println!("over the limit without a control group: {least} bytes");
    assert!(least <= MOST_OVER, "{least} bytes over the limit in the best of ten runs");
}
