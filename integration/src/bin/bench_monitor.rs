//! What watching costs: processor time of the supervisor, from the kernel's own
//! count (/proc/PID/schedstat), while a run is idle and while it is busy in
//! everything that the supervisor looks at: processor, output, files.
//!
//! Two rows are no supervisor: a process that is woken as often by a timer and does nothing.
//! They tell what being woken alone costs on the machine (much, where its processors
//! go to sleep in between), and so how much of the others is the watching itself.
//!
//! `bench_monitor [SECONDS]`: for each run, after it has started.

use integration::bin;
use integration::scratch::Scratch;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often the supervisor of a run without a control group looks, in a second.
const LOOKS: u64 = 100;

const IDLE: &str = "print 'started'\nsleep(1000)\n";

const BUSY: &str = "print 'started'\ni = 0\nwhile True:\n  i = i + 1\n  if i % 100000 == 0:\n    print i\n  \
                    if i % 2000 == 0:\n    f = open('file' + str(i % 7), 'w')\n    f.write('x' * 1000)\n    f.close()\n";

fn main() {
    let seconds: f64 = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(10.0);
    println!("| run ({seconds} s each) | supervisor, % of a core | wakeups in a second |");
    println!("|---|--:|--:|");
    let time = Duration::from_secs_f64(seconds);
    for beside in [false, true] {
        let (part, wakeups) = only_woken(beside, time);
        let how = if beside { ", beside a process that computes" } else { "" };
        println!("| nothing but a timer, every 10 ms{how} | {:.2} | {wakeups:.0} |", part * 100.0);
    }
    for (name, program) in [("idle", IDLE), ("busy: computes, prints, writes files", BUSY)] {
        let mut ways: Vec<&[&str]> = vec![&["--without", "cgroup"]];
        if integration::is_root() {
            ways.insert(0, &[]);
        }
        for options in ways {
            let (part, wakeups) = cost(program, options, time);
            let how = if options.is_empty() { "" } else { ", without a control group (looks every 10 ms)" };
            println!("| {name}{how} | {:.2} | {wakeups:.0} |", part * 100.0);
        }
    }
}

/// The part of one core that a process uses which a timer wakes as often as a look is due
/// (`beside` another process that computes half of the time), and how often it runs.
fn only_woken(beside: bool, time: Duration) -> (f64, f64) {
    let pause = Duration::from_millis(1_000 / LOOKS);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        if beside {
            scope.spawn(|| {
                while !stopped() {
                    let turn = Instant::now();
                    while turn.elapsed() < pause {
                        std::hint::spin_loop();
                    }
                    std::thread::sleep(pause);
                }
            });
        }
        let woken = scope.spawn(|| {
            let thread = std::fs::read_link("/proc/thread-self").unwrap_or_default();
            let file = std::path::Path::new("/proc").join(thread).join("schedstat");
            let (start, before) = (Instant::now(), schedstat(&file));
            while start.elapsed() < time {
                std::thread::sleep(pause);
            }
            let (passed, after) = (start.elapsed().as_secs_f64(), schedstat(&file));
            ((after.0 - before.0) / 1e9 / passed, (after.1 - before.1) / passed)
        });
        let used = woken.join().unwrap_or_default();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        used
    })
}

/// The part of one core that the supervisor of a run uses, and how often it runs.
fn cost(program: &str, options: &[&str], time: Duration) -> (f64, f64) {
    let scratch = Scratch::new("bench-monitor");
    let vessel = scratch.directory("vessel", None);
    let policy = scratch.write("policy", integration::setting::wide_policy_with("cpu", "0.5"));
    let program = scratch.write("program.repy", program);
    let mut command = Command::new(bin("repy-launch"));
    command
        .arg("--quiet")
        .arg("--policy")
        .arg(policy)
        .arg("--vessel")
        .arg(&vessel)
        .args(options)
        .arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start the launcher: {error}"));
    let out = child.stdout.take().unwrap_or_else(|| panic!("no output"));
    let reader = std::thread::spawn(move || {
        let mut lines = BufReader::new(out).split(b'\n');
        let first = lines.next();
        std::thread::spawn(move || lines.for_each(drop));
        first
    });
    let _ = reader.join();
    let started = Instant::now();
    let file = std::path::PathBuf::from(format!("/proc/{}/schedstat", child.id()));
    let before = schedstat(&file);
    std::thread::sleep(time);
    let after = schedstat(&file);
    let passed = started.elapsed().as_secs_f64();
    let _ = child.kill();
    let _ = child.wait();
    ((after.0 - before.0) / 1e9 / passed, (after.1 - before.1) / passed)
}

/// Nanoseconds on a processor, and how often the process or thread was put on one.
fn schedstat(file: &std::path::Path) -> (f64, f64) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| word.parse::<f64>().unwrap_or(0.0));
    let run = words.next().unwrap_or(0.0);
    (run, words.nth(1).unwrap_or(0.0))
}
