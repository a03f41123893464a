//! Many sandboxes at once: each keeps its limits, none disturbs another, and what stands
//! outside of each stays small. `make load` runs 200 with 50 busy; `make test` fewer.
#![allow(missing_docs)]

use integration::network::Network;
use integration::processes::{descendants, is_alive, wait_until};
use integration::run::User;
use integration::setting::{wide_policy_with, Setting};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

fn wish(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

struct One {
    child: Child,
    below: Vec<u32>,
    _setting: Setting,
}

/// The proportional set size of a process, in KiB.
fn pss(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Seconds on a processor so far.
fn used(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn name(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

const SHARE: f64 = 0.02;

/// Each has a broker with a port of its own; the busy ones then compute, the others wait.
fn program(index: usize, busy: bool) -> String {
    let port = 21_000 + index;
    let then = if busy { "while True:\n  pass\n" } else { "sleep(3600)\n" };
    format!(
        "def got(ip, port, text, handle):\n  pass\nrecvmess('127.0.0.1', {port}, got)\nprint 'started'\n{then}"
    )
}

#[test]
fn many_sandboxes_keep_their_limits_together() {
    let Some(network) = Network::new("load") else { return };
    let (count, busy) = (wish("LOAD_SANDBOXES", 24), wish("LOAD_BUSY", 6));
    let begun = Instant::now();
    let mut started: Vec<(Child, Setting)> = (0..count)
        .map(|index| {
            let setting = Setting::new("load", User::Caller);
            let policy = wide_policy_with("cpu", &SHARE.to_string());
            let policy = policy.replace("messport 12345", &format!("messport {}", 21_000 + index));
            let launch = setting.launch(&policy, &program(index, index < busy));
            (network.inside(&launch.command()).spawn().expect("it starts"), setting)
        })
        .collect();
    let mut all: Vec<One> = started
        .drain(..)
        .map(|(mut child, setting)| {
            let mut line = String::new();
            let mut out = BufReader::new(child.stdout.take().expect("piped"));
            out.read_line(&mut line).expect("a line");
            assert_eq!(line, "started\n");
            let below = descendants(child.id());
            One { child, below, _setting: setting }
        })
        .collect();
    println!("{count} sandboxes started in {:.1} s", begun.elapsed().as_secs_f64());

    // The busy ones over some seconds: never more than the share (and one period at each end).
    let interpreter = |one: &One| one.below.iter().copied().find(|pid| name(*pid).starts_with("repy-interp"));
    let workers: Vec<u32> = all.iter().take(busy).filter_map(interpreter).collect();
    assert_eq!(workers.len(), busy, "each has an interpreter");
    let before: Vec<(Instant, f64)> = workers.iter().map(|pid| (Instant::now(), used(*pid))).collect();
    std::thread::sleep(Duration::from_secs(5));
    for (pid, (since, before)) in workers.iter().zip(before) {
        let (now, elapsed) = (used(*pid), since.elapsed().as_secs_f64());
        let share = (now - before) / elapsed;
        assert!(share <= SHARE * 1.02 + 0.001, "{pid}: {share} of a processor, {SHARE} granted");
        assert!(now > before, "{pid}: stood still");
    }

    // Supervisor and broker of each.
    let mut sizes = Vec::new();
    for one in &all {
        let outside = std::iter::once(one.child.id())
            .chain(one.below.iter().copied())
            .filter(|pid| !name(*pid).starts_with("repy-interp"));
        let parts: Vec<u64> = outside.filter_map(pss).collect();
        assert!(parts.len() >= 2, "a supervisor and a broker: {parts:?}");
        sizes.push(parts.iter().sum::<u64>());
    }
    let (most, sum) = (sizes.iter().max().copied().unwrap_or(0), sizes.iter().sum::<u64>());
    println!("supervisor and broker: {} KiB on average, {most} KiB at most", sum / count as u64);
    assert!(most <= 2048, "{most} KiB");

    // A neighbour that is killed for its memory disturbs nobody.
    let hog = Setting::new("load-hog", User::Caller);
    let greedy = "k = []\nwhile True:\n  k.append('x' * 1000 + str(len(k)))\n";
    hog.launch(&wide_policy_with("memory", "10000000"), greedy).run(60).expect_code(5);
    assert!(all.iter().all(|one| one.below.iter().all(|pid| is_alive(*pid))), "all still run");

    for one in &all {
        kill(Pid::from_raw(one.child.id() as i32), Signal::SIGTERM).expect("signalled");
    }
    for one in &mut all {
        let status = one.child.wait().expect("waited for");
        assert_eq!(status.code(), Some(143));
    }
    let gone = wait_until(Duration::from_secs(10), || {
        !all.iter().any(|one| one.below.iter().any(|pid| is_alive(*pid)))
    });
    assert!(gone, "something is left");
}
