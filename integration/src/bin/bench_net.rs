//! Servers and timers: the first byte after a start, requests a second, pending
//! timers, and what a run costs that waits for visitors.
//!
//! `bench_net [REQUESTS]`: requests per round, 2000 if not given.

use integration::run::{Launch, User};
use integration::setting::{wide_policy, Setting};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

fn main() {
    let requests: usize = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(2000);
    println!("| measured | here | the original | ratio |");
    println!("|---|--:|--:|--:|");
    first_byte();
    let one = throughput(requests, 1);
    println!("| example 1.3, one client after the other, requests/s | {one:.0} | 930 | {:.1} |", one / 930.0);
    let many = throughput(requests, 64);
    println!("| example 1.3, 64 clients at once, requests/s | {many:.0} | 930 | {:.1} |", many / 930.0);
    timers();
    lateness();
    idle();
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Limits that are not in the way, with one port of both kinds.
fn policy(port: u16) -> String {
    let mut text = format!(
        "resource connport {port}\nresource cpu 10\nresource events 200000\nresource memory 500000000\n"
    );
    for line in wide_policy().lines() {
        let second = line.split(' ').nth(1).unwrap_or_default();
        if !["cpu", "events", "memory", "connport"].contains(&second) {
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

/// A server of the project's examples; the port is in the text of its copy.
fn server(setting: &Setting, example: &str, port: u16) -> Launch {
    let path = integration::project_root().join("examples").join(example);
    let text = std::fs::read_to_string(path).expect("the example");
    setting.launch(&policy(port), &text.replace("12345", &port.to_string())).option("--quiet")
}

/// One request; none if nobody listens yet.
fn fetch(port: u16) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    // The server closes at the end of the page.
    let _ = stream.read_to_end(&mut answer);
    (!answer.is_empty()).then_some(answer)
}

fn wait_for(port: u16) {
    let start = Instant::now();
    while fetch(port).is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "nobody listens");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn stop(mut child: Child) {
    let _ = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id() as i32),
        nix::sys::signal::Signal::SIGTERM,
    );
    let _ = child.wait();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// From the start of the launcher to the first byte of a page.
fn first_byte() {
    let mut times = Vec::new();
    for _ in 0..25 {
        let setting = Setting::new("bench-first", User::Caller);
        let port = free_port();
        let mut command = server(&setting, "example.1.2.repy", port).command();
        let start = Instant::now();
        let child = command.spawn().expect("it starts");
        wait_for(port);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        stop(child);
    }
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    let middle = median(times);
    println!("| example 1.2, first byte after the start, ms (median; least {least:.1}) | {middle:.1} | 510 | 1/{:.0} |", 510.0 / middle);
}

/// Requests a second of example 1.3: the best of three rounds.
fn throughput(requests: usize, clients: usize) -> f64 {
    let setting = Setting::new("bench-requests", User::Caller);
    let port = free_port();
    let child = server(&setting, "example.1.3.repy", port).command().spawn().expect("it starts");
    wait_for(port);
    let mut best: f64 = 0.0;
    for _ in 0..3 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    for _ in 0..requests / clients {
                        assert!(fetch(port).is_some(), "no page");
                    }
                });
            }
        });
        let done = requests / clients * clients;
        best = best.max(done as f64 / start.elapsed().as_secs_f64());
    }
    stop(child);
    best
}

/// A program that says when it is ready, and then a line of its own for each
/// line it is waited for.
fn talking(setting: &Setting, text: &str) -> (Child, BufReader<ChildStdout>) {
    let mut child =
        setting.launch(&policy(free_port()), text).option("--quiet").command().spawn().expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("piped"));
    (child, lines)
}

fn line(lines: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

/// The process that runs the program: the child of the launcher.
fn interpreter(child: &Child) -> u32 {
    let path = format!("/proc/{0}/task/{0}/children", child.id());
    let children = std::fs::read_to_string(path).expect("the kernel lists children");
    let found = children.split_whitespace().filter_map(|word| word.parse().ok()).find(|pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "repy-interp")
    });
    found.expect("the interpreter runs")
}

/// A number of /proc/PID/status.
fn status_of(pid: u32, key: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

const TIMERS: usize = 100_000;

/// Memory of pending timers that share function and arguments.
fn timers() {
    let text = format!(
        "def nothing():\n  pass\nif callfunc == 'initialize':\n  print 'before'\n  sleep(0.5)\n  \
         for i in xrange({TIMERS}):\n    settimer(5 + i * 0.00001, nothing, ())\n  print 'after'\n"
    );
    let setting = Setting::new("bench-timers", User::Caller);
    let (child, mut lines) = talking(&setting, &text);
    assert_eq!(line(&mut lines), "before");
    let pid = interpreter(&child);
    let before = status_of(pid, "VmRSS");
    assert_eq!(line(&mut lines), "after");
    let bytes = (status_of(pid, "VmRSS") - before) * 1024.0 / TIMERS as f64;
    stop(child);
    println!(
        "| {TIMERS} pending timers, bytes each (the original: 3150 at most) | {bytes:.0} | 25000 | 1/{:.0} |",
        25000.0 / bytes
    );
}

/// How late timers of 20 ms distance are.
fn lateness() {
    let text = [
        "def tick(due):",
        "  mycontext['late'].append(getruntime() - due)",
        "if callfunc == 'initialize':",
        "  mycontext['late'] = []",
        "  start = getruntime()",
        "  for i in range(100):",
        "    settimer(0.02 * i, tick, (start + 0.02 * i,))",
        "else:",
        "  late = mycontext['late']",
        "  late.sort()",
        "  print late[50] * 1000, late[99] * 1000",
    ];
    let setting = Setting::new("bench-late", User::Caller);
    let (mut child, mut lines) = talking(&setting, &text.join("\n"));
    let said = line(&mut lines);
    let _ = child.wait();
    let mut words = said.split(' ').filter_map(|word| word.parse::<f64>().ok());
    let (Some(middle), Some(worst)) = (words.next(), words.next()) else { panic!("it said {said:?}") };
    println!(
        "| 100 timers 20 ms apart, median lateness, ms (worst {worst:.2}) | {middle:.2} | 0.9 | {:.2} |",
        middle / 0.9
    );
}

/// Wakeups and processor time of a server without visitors.
fn idle() {
    const SECONDS: u64 = 10;
    let setting = Setting::new("bench-idle", User::Caller);
    let port = free_port();
    let child = server(&setting, "example.1.2.repy", port).command().spawn().expect("it starts");
    wait_for(port);
    std::thread::sleep(Duration::from_secs(1));
    let pid = interpreter(&child);
    let wakeups =
        || ["voluntary_ctxt", "nonvoluntary_ctxt"].map(|key| status_of(pid, key)).iter().sum::<f64>();
    let supervisor = || run_time(child.id());
    let (woken, used) = (wakeups(), supervisor());
    std::thread::sleep(Duration::from_secs(SECONDS));
    let (woken, used) = (wakeups() - woken, supervisor() - used);
    stop(child);
    println!("| idle server for {SECONDS} s: wakeups of the program | {woken:.0} | - | - |");
    let share = used / SECONDS as f64 * 100.0;
    println!("| idle server: the supervisor's tick, % of a core | {share:.4} | 0.4 | 1/{:.0} |", 0.4 / share);
}

/// Seconds a process has run, to the nanosecond.
fn run_time(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("its statistics");
    text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}
