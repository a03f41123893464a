//! Many timers, and none: a hundred thousand pending ones fit in little memory and go off in their
//! order; a program that only waits is not woken.
#![allow(missing_docs)]

use integration::run::User;
use integration::setting::{wide_policy_with, Setting};
use std::io::{BufRead, BufReader};
use std::time::Duration;

const TIMERS: usize = 100_000;

/// Each timer is due a little after the one before. A thread may be preempted as it begins, so that
/// the next one comes first: counted, and seldom.
const MANY: &str = "def tick(i):
  if i != mycontext['next']:
    mycontext['wrong'] += 1
  mycontext['next'] = i + 1
  mycontext['count'] += 1
if callfunc == 'initialize':
  mycontext['next'] = 0
  mycontext['wrong'] = 0
  mycontext['count'] = 0
  for i in xrange(COUNT):
    settimer(2, tick, (i,))
else:
  print mycontext['count'], mycontext['wrong'] < COUNT / 200
";

#[test]
fn a_hundred_thousand_timers_fit_in_little_memory_and_go_off_in_order() {
    let setting = Setting::new("timers", User::Caller);
    let program = MANY.replace("COUNT", &TIMERS.to_string());
    // 400 bytes each and what an empty program takes: held by the limit itself.
    let policy = wide_policy_with("memory", &(TIMERS * 400 + 5_000_000).to_string())
        .replace("resource events 50\n", &format!("resource events {}\n", TIMERS + 10));
    setting.launch(&policy, &program).run(120).expect_code(0).expect_stdout(&format!("{TIMERS} True\n"));
}

/// How often a process has left the processor by itself.
fn waits(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line =
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).expect("the kernel counts");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}

#[test]
fn a_program_that_waits_for_a_far_timer_is_not_woken() {
    let setting = Setting::new("idle", User::Caller);
    let program = "def cb(*args):\n  pass\nif callfunc == 'initialize':\n  recvmess('127.0.0.1', 12345, cb)\n  settimer(1000, cb, ())\n  print 'up'\n";
    let port =
        std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a free port").port();
    let policy = wide_policy_with("messport", &port.to_string());
    let program = program.replace("12345", &port.to_string());
    let mut child = setting.launch(&policy, &program).command().spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    assert_eq!(line, "up\n");
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).expect("its children");
    let interpreter = children
        .split_whitespace()
        .filter_map(|word| word.parse::<u32>().ok())
        .find(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.trim() == "repy-interp")
        })
        .expect("the interpreter runs");
    // The last things of the start, such as the end of initialize.
    std::thread::sleep(Duration::from_secs(1));
    let before = waits(interpreter);
    std::thread::sleep(Duration::from_secs(3));
    let woken = waits(interpreter) - before;
    let _ = child.kill();
    let _ = child.wait();
    assert!(woken <= 2, "woken {woken} times in 3 s");
}
