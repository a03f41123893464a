//! Programs of ten megabytes, a hundred thousand parentheses, fifty thousand `elif`s: an answer comes, a program or
//! a refusal, after processor time in proportion to the size, and never a crash.
#![allow(missing_docs)]

use integration::scratch::Scratch;
use integration::{bin, timed};
use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::TimeValLike;
use std::process::Command;
use std::time::Duration;

/// Processor time of a program against a plain one of the same size.
const FACTOR: f64 = 25.0;
/// Seconds that any program may take: for those that are small.
const ALWAYS: f64 = 1.0;

/// Processor time of all children so far, in seconds.
fn children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage works");
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}

/// The exit status of `repy-interp ACTION` and the processor time it took.
fn answer(scratch: &Scratch, action: &[&str], text: &str) -> (i32, f64, String) {
    let path = scratch.write("program.repy", text);
    let before = children();
    let output =
        timed::run(Command::new(bin("repy-interp")).args(action).arg(path), Duration::from_secs(300));
    let stderr = String::from_utf8_lossy(&output.stderr).chars().take(300).collect();
    (output.code(), children() - before, stderr)
}

fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
    format!("x = {}{middle}{}\n", open.repeat(depth), close.repeat(depth))
}

fn indented(line: &str, depth: usize, step: usize) -> String {
    (0..depth).map(|at| " ".repeat(at * step) + line + "\n").collect::<String>()
        + &" ".repeat(depth * step)
        + "pass\n"
}

#[test]
fn a_large_program_is_answered_in_proportion_to_its_size() {
    const SIZE: usize = 10_000_000;
    let scratch = Scratch::new("large");
    let fill = |line: &str| line.repeat(SIZE / line.len());
    // (what it is, the text, whether it is a program)
    let cases: Vec<(&str, String, Option<bool>)> = vec![
        ("assignments", fill("x = 1 + 2 * y\n"), Some(true)),
        ("names", (0..600_000).map(|n| format!("name_{n} = {n}\n")).collect(), None),
        ("one line", fill("x = 1; "), None),
        ("one comment", format!("# {}\n", "x".repeat(SIZE)), Some(true)),
        ("one string", format!("x = '{}'\n", "x".repeat(SIZE)), Some(true)),
        ("one number", format!("x = {}\n", "7".repeat(100_000)), None),
        ("blank lines", "\n".repeat(SIZE), Some(true)),
        ("continued lines", "\\\n".repeat(SIZE / 2), None),
        ("a list", format!("x = [{}]\n", "1, ".repeat(SIZE / 3)), None),
        ("a dict", format!("x = {{{}}}\n", "1: 2, ".repeat(SIZE / 6)), None),
        ("a sum", format!("x = 1{}\n", " + 1".repeat(SIZE / 4)), None),
        ("implicit joining", format!("x = {}\n", "'a' ".repeat(SIZE / 4)), None),
        ("functions", fill("def f(a, b=1, *c, **d):\n  return a\n"), None),
        ("100 000 parentheses", nested("(", "1", ")", 100_000), Some(false)),
        ("unclosed parentheses", "(".repeat(SIZE), Some(false)),
        ("100 000 lists", nested("[", "", "]", 100_000), Some(false)),
        ("100 000 calls", nested("f(", "", ")", 100_000), Some(false)),
        ("100 000 subscripts", nested("x[", "0", "]", 100_000), Some(false)),
        ("a power tower", format!("x = 1{}\n", " ** 1".repeat(100_000)), Some(false)),
        ("minus signs", format!("x = {}1\n", "-".repeat(SIZE)), Some(false)),
        ("50 000 elifs", format!("if x:\n  pass\n{}", "elif x:\n  pass\n".repeat(50_000)), Some(true)),
        ("deep blocks", indented("if 1:", 3_000, 1), Some(false)),
        ("deep functions", indented("def f():", 1_000, 2), Some(false)),
        ("wrong lines", fill("x = = 1\n"), Some(false)),
        ("refused lines", fill("import x\n"), Some(false)),
        ("no bytes of text", fill("\u{1}\u{2}"), Some(false)),
    ];
    let (code, plain, stderr) = answer(&scratch, &["--check"], &fill("x = 1 + 2 * y\n"));
    assert_eq!(code, 0, "{stderr}");
    let mut faults = Vec::new();
    for (what, text, is_program) in &cases {
        let (code, took, stderr) = answer(&scratch, &["--check"], text);
        let allowed = plain * FACTOR * text.len() as f64 / SIZE as f64 + ALWAYS;
        let right = match is_program {
            Some(true) => code == 0,
            Some(false) => code == 3,
            None => code == 0 || code == 3,
        };
        println!("{took:7.2} s of at most {allowed:7.2}  exit {code}  {what}");
        if !right || took > allowed {
            faults.push(format!("{what}: exit {code} after {took:.2} s (at most {allowed:.2}): {stderr}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_can_be_read_can_be_run() {
    let scratch = Scratch::new("large");
    let text = format!(
        "x = 0\n{}if x == 0:\n  pass\n{}print x\n",
        "x = x + 1\n".repeat(50_000),
        "elif x == 1:\n  x = 2\n".repeat(20_000)
    );
    let (code, _, stderr) = answer(&scratch, &["--unconfined", "--simple"], &text);
    assert!(code == 0 || code == 3, "exit {code}: {stderr}");
}
