//! Start-to-exit of example 1.1, in ratios taken in one run: the launcher against
//! a static program that does nothing and, where it is installed, against
//! `bwrap --unshare-all` with a full profile around the same program.
//!
//! `bench_start [ROUNDS [PAUSE]]`: rounds are interleaved, so that a machine that becomes
//! slower in between slows every row. With a pause (milliseconds) before each start the
//! processors go to sleep in between, as they do before the command of a person.

use integration::bin;
use integration::scratch::Scratch;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct Row {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    times: Vec<Duration>,
}

impl Row {
    fn new(name: &'static str, program: impl Into<PathBuf>, arguments: &[&str]) -> Row {
        let arguments = arguments.iter().map(|a| a.to_string()).collect();
        Row { name, program: program.into(), arguments, times: Vec::new() }
    }

    /// Starts the command (std uses vfork and exec where it can), waits, and notes the time.
    fn round(&mut self, directory: &Path, pause: Duration) {
        std::thread::sleep(pause);
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status();
        let elapsed = start.elapsed();
        match status {
            Ok(status) if status.success() => self.times.push(elapsed),
            other => {
                eprintln!("{}: {:?} {:?}: {other:?}", self.name, self.program, self.arguments);
                std::process::exit(1);
            }
        }
    }

    fn percentile(&mut self, percent: usize) -> f64 {
        self.times.sort();
        let index = (self.times.len() - 1) * percent / 100;
        self.times[index].as_secs_f64() * 1e6
    }
}

fn main() {
    let number = |place: usize| std::env::args().nth(place).and_then(|word| word.parse::<u32>().ok());
    let rounds = number(1).unwrap_or(100) as usize;
    let pause = Duration::from_millis(number(2).unwrap_or(0).into());
    let scratch = Scratch::new("bench-start");
    let vessel = scratch.directory("vessel", None);
    let root = integration::project_root();
    let policy = root.join("policies/restrictions.test").to_string_lossy().into_owned();
    let program = root.join("examples/example.1.1.repy").to_string_lossy().into_owned();
    let plain = bin("plain_true");

    let launch = ["--policy", &policy, &program];
    let mut rows = vec![Row::new("static program that does nothing", &plain, &[])];
    if integration::is_root() {
        rows.push(Row::new("repy-launch, every layer", bin("repy-launch"), &launch));
    }
    let without = ["--without", "cgroup", "--policy", &policy, &program];
    rows.push(Row::new("repy-launch --without cgroup", bin("repy-launch"), &without));
    if let Some(row) = bubblewrap(&plain, &vessel) {
        rows.push(row);
    } else {
        println!("(bwrap is not installed: its row is missing; Debian's package is bubblewrap)");
    }

    for round in 0..=rounds {
        for row in &mut rows {
            row.round(&vessel, pause);
            if round == 0 {
                row.times.clear(); // the first fills the caches
            }
        }
    }
    print_table(&mut rows, rounds, pause);
}

/// A profile as full as bubblewrap's own examples: new namespaces, own /proc, /dev
/// and /tmp, no capabilities, and the same kind of static program inside.
fn bubblewrap(program: &Path, vessel: &Path) -> Option<Row> {
    let found = Command::new("bwrap").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|s| s.success()) {
        return None;
    }
    let program = program.to_string_lossy().into_owned();
    let vessel = vessel.to_string_lossy().into_owned();
    let words = [
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--ro-bind",
        "/usr",
        "/usr",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--bind",
        &vessel,
        "/vessel",
        "--ro-bind",
        &program,
        "/program",
        "--chdir",
        "/vessel",
        "/program",
    ];
    Some(Row::new("bwrap --unshare-all, full profile", "bwrap", &words))
}

fn print_table(rows: &mut [Row], rounds: usize, pause: Duration) {
    let plain = rows[0].percentile(50);
    let bwrap = rows.iter_mut().find(|r| r.name.starts_with("bwrap")).map(|r| r.percentile(50));
    let pause = if pause.is_zero() { String::new() } else { format!(" after {} ms each", pause.as_millis()) };
    println!("| command ({rounds} interleaved rounds{pause}, microseconds) | p50 | p10 | p90 | x plain | x bwrap |");
    println!("|---|--:|--:|--:|--:|--:|");
    for row in rows {
        let (low, middle, high) = (row.percentile(10), row.percentile(50), row.percentile(90));
        let against = bwrap.map_or("-".into(), |b| format!("{:.2}", middle / b));
        println!("| {} | {middle:.0} | {low:.0} | {high:.0} | {:.2} | {against} |", row.name, middle / plain);
    }
}
