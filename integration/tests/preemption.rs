//! One event that never waits keeps no timer waiting: its slice is bounded by time, however slow its steps are.
#![allow(missing_docs)]

use integration::run::User;
use integration::scratch::Scratch;
use integration::setting::{wide_policy_with, Setting};
use integration::{bin, timed};
use std::process::Command;
use std::time::Duration;

/// How much later than on an idle interpreter a timer may be in the median, in seconds.
const BOUND: f64 = 0.010;
/// Runs of which the best counts: a busy machine makes every timer late.
const RUNS: usize = 5;

/// Prints the median lateness of a chain of timers; `spinning` is what another event does meanwhile.
fn program(spinning: &str) -> String {
    format!(
        "def tick():\n  now = getruntime()\n  mycontext['late'].append(now - mycontext['due'])\n  \
         if len(mycontext['late']) == 60:\n    mycontext['late'].sort()\n    print mycontext['late'][30]\n    exitall()\n  \
         mycontext['due'] = getruntime() + 0.01\n  settimer(0.01, tick, ())\n\
         def spin():\n  slow = tuple(range(400))\n  while True:\n    {spinning}\n\
         if callfunc == 'initialize':\n  mycontext['late'] = []\n  mycontext['due'] = getruntime() + 0.01\n  \
         settimer(0.01, tick, ())\n  settimer(0.0, spin, ())\n"
    )
}

fn lateness(scratch: &Scratch, spinning: &str) -> f64 {
    let path = scratch.write("program.repy", program(spinning));
    let mut command = Command::new(bin("repy-interp"));
    let output = timed::run(command.arg("--unconfined").arg(path), Duration::from_secs(60));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    stdout.trim().parse().unwrap_or_else(|_| {
        panic!("exit {}: {stdout}{}", output.code(), String::from_utf8_lossy(&output.stderr))
    })
}

#[test]
fn a_spinning_event_makes_no_timer_late() {
    let scratch = Scratch::new("preemption");
    // Steps of some nanoseconds, of microseconds, of a tenth of a millisecond.
    for spinning in
        ["pass", "repr(slow)", "for n in (1, 2): [repr(slow), repr(slow), repr(slow), repr(slow)]"]
    {
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let idle = lateness(&scratch, "sleep(1000)");
            best = best.min(lateness(&scratch, spinning) - idle);
            if best <= BOUND / 2.0 {
                break;
            }
        }
        println!("{:6.2} ms later beside `{spinning}`", best * 1000.0);
        assert!(best <= BOUND, "timers are {best:.4} s later beside `{spinning}`");
    }
}

/// The whole of it, under a policy: at a whole processor no later than by hand, and under half of
/// one at most a period of the kernel's quota more.
#[test]
fn a_spinning_event_makes_no_timer_late_under_a_share_either() {
    /// The period of the quota for shares of a tenth and more.
    const PERIOD: f64 = 0.010;
    if !integration::is_root() {
        return integration::skipped("a quota of the kernel's needs a control group of one's own");
    }
    for (share, bound) in [("1", BOUND), ("0.5", BOUND + PERIOD)] {
        let mut best = f64::INFINITY;
        for _ in 0..RUNS {
            let late = |spinning: &str| -> f64 {
                let setting = Setting::new("share", User::Caller);
                let run = setting.launch(&wide_policy_with("cpu", share), &program(spinning)).run(60);
                run.expect_code(0).stdout.trim().parse().expect("a number")
            };
            let idle = late("sleep(1000)");
            best = best.min(late("pass") - idle);
            if best <= bound / 2.0 {
                break;
            }
        }
        println!("{:6.2} ms later at a share of {share}", best * 1000.0);
        assert!(best <= bound, "timers are {best:.4} s later at a share of {share}");
    }
}
