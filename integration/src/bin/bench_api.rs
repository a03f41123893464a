//! What one call of the API costs, as processor time of all processes of a run
//! (launcher, interpreter, broker), and its ratio to the original's figure.
//!
//! `bench_api [CALLS]`: calls of `sendmess`, 100000 if not given; ten times as many
//! of the others. A row is the best of three rounds, less what an empty loop of the
//! same length takes; rounds of all rows are interleaved.

use integration::run::{Launch, User};
use integration::setting::{wide_policy, Setting};
use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::TimeValLike;
use std::net::UdpSocket;
use std::time::Duration;

struct Row {
    name: &'static str,
    /// Repy V1 under CPython 2.7.18 on a machine of the same kind (two shared
    /// cores, Linux 6.18): processor microseconds of one call, measured once for
    /// this project.
    original: Option<f64>,
    /// What comes before the loop, and the loop's one line.
    setup: &'static str,
    call: &'static str,
    restricted: bool,
    best: f64,
}

fn row(name: &'static str, original: Option<f64>, setup: &'static str, call: &'static str) -> Row {
    Row { name, original, setup, call, restricted: false, best: f64::INFINITY }
}

fn rows() -> Vec<Row> {
    let restricted = |row: Row| Row { restricted: true, ..row };
    vec![
        row("(empty loop)", None, "", "pass"),
        row("getruntime()", Some(35.0), "", "getruntime()"),
        row("randomfloat()", Some(39.0), "", "randomfloat()"),
        row("file.write of 1 byte", Some(68.0), "f = open('bench', 'w')", "f.write('x')"),
        row("file.read of 1 byte", Some(90.0), "f = open('data')", "f.read(1)"),
        row("lock, acquire and release", Some(37.0), "l = getlock()", "l.acquire(); l.release()"),
        row("sendmess, every destination allowed", Some(154.0), "", "sendmess('127.0.0.1', PORT, 'x')"),
        restricted(row(
            "sendmess, one destination allowed",
            Some(154.0),
            "",
            "sendmess('127.0.0.1', PORT, 'x')",
        )),
        restricted(row(
            "sendmess, one destination, own port",
            Some(154.0),
            "recvmess('127.0.0.1', OWN, exitall)",
            "sendmess('127.0.0.1', PORT, 'x', '127.0.0.1', OWN)",
        )),
    ]
}

/// Processor seconds of all children that have been waited for.
fn children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage of children");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

fn policy(restricted: bool, own: u16) -> String {
    let mut text = format!("resource messport {own}\n");
    for line in wide_policy().lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["resource", "cpu", _] => text.push_str("resource cpu 10\n"),
            ["resource", "messport" | "connport", _] => {}
            ["resource", rate @ ("filewrite" | "fileread" | "netsend" | "loopsend" | "random"), _] => {
                text.push_str(&format!("resource {rate} 1000000000\n"));
            }
            ["call", "sendmess", "allow"] if restricted => {
                text.push_str("call sendmess arg 0 is 127.0.0.1 allow\n");
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// How many calls of a row are made: cheap ones more often, so that they stand out
/// against the start of a run.
fn times(row: &Row, calls: usize) -> usize {
    if row.name.starts_with("sendmess") {
        calls
    } else {
        10 * calls
    }
}

/// Processor seconds of one run with `calls` calls.
fn run(row: &Row, calls: usize, port: u16, own: u16) -> f64 {
    let setting = Setting::new("bench-api", User::Caller);
    std::fs::write(setting.vessel().join("data"), vec![b'x'; calls]).expect("data for file.read");
    let text = format!("{}\nfor i in xrange({calls}):\n  {}\nexitall()\n", row.setup, row.call);
    let text = text.replace("PORT", &port.to_string()).replace("OWN", &own.to_string());
    let mut launch: Launch = setting.launch(&policy(row.restricted, own), &text);
    launch = launch.option("--quiet");
    let before = children();
    launch.run(300).expect_code(0);
    children() - before
}

fn main() {
    let calls: usize = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(100_000);
    // Its reader keeps the receiver's queue empty, as a real receiver would.
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = receiver.local_addr().expect("its end").port();
    receiver.set_read_timeout(Some(Duration::from_secs(3600))).expect("set");
    std::thread::spawn(move || while receiver.recv(&mut [0; 64]).is_ok() {});
    let own = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();

    let mut rows = rows();
    for _ in 0..3 {
        for row in &mut rows {
            row.best = row.best.min(run(row, times(row, calls), port, own));
        }
    }
    let empty = rows[0].best;
    println!("| call (processor microseconds each) | here | the original | ratio |");
    println!("|---|--:|--:|--:|");
    for row in &rows[1..] {
        let count = times(row, calls);
        // The empty loop is as long as the longest row.
        let loops = empty * count as f64 / (10 * calls) as f64;
        let cost = (row.best - loops).max(0.0) / count as f64 * 1e6;
        let original = row.original.unwrap_or(f64::NAN);
        println!("| {} | {cost:.2} | {original:.0} | 1/{:.0} |", row.name, original / cost);
    }
}
