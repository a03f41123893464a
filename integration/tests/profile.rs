//! `--profile` tells where a program's time went, from inside the sandbox.
#![allow(missing_docs)]

use integration::run::{finish, users};
use integration::scratch::Scratch;
use integration::setting::{wide_policy, Setting};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = "\
def busy(count):
  total = 0
  for i in xrange(count):
    total = total + i * i % 7
  return total
def idle(count):
  return count
def tick(count):
  busy(count)
if callfunc == 'initialize':
  for n in range(20):
    busy(100000)
    idle(5)
  for n in range(20):
    settimer(0.001, tick, (100000,))
";

/// Stacks and their microseconds.
fn read(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .map(|line| {
            let (stack, count) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no count: {line:?}"));
            (stack.to_owned(), count.parse().unwrap_or_else(|_| panic!("no count: {line:?}")))
        })
        .collect()
}

#[test]
fn the_profile_shows_the_function_that_is_busy() {
    for user in users() {
        let setting = Setting::new("profile", user);
        let path = setting.vessel().join("profile.folded");
        let run = setting.launch(&wide_policy(), PROGRAM).option("--profile").option(&path).run(60);
        run.expect_code(0);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("no profile: {e}"));
        let stacks = read(&text);
        let sum = |part: &str| stacks.iter().filter(|(s, _)| s.contains(part)).map(|(_, n)| n).sum::<u64>();
        let all: u64 = stacks.values().sum();
        assert!(sum(";busy:") * 10 > all * 7, "busy() has less than 70 % of\n{text}");
        assert!(sum("main;<module>:") > 0 && sum("timer;tick:") > 0, "both kinds of events:\n{text}");
        assert!(sum("idle") * 10 < all, "idle() has 10 % of\n{text}");
    }
}

#[test]
fn a_killed_run_leaves_its_profile_and_the_program_cannot_touch_it() {
    for user in users() {
        let setting = Setting::new("profile", user);
        let path = setting.vessel().join("profile.folded");
        let program = "try:\n  open('profile.folded', 'w')\nexcept Exception, problem:\n  print 'refused'\n\
                       def spin():\n  while True:\n    pass\nspin()\n";
        let run = setting.launch(&wide_policy(), program).option("--profile").option(&path);
        let run = run.option("--wall").option("4").run(60);
        run.expect_code(7).expect_stdout("refused\n");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("no profile: {e}"));
        assert!(text.contains("main;<module>:8;spin:"), "{text}");
    }
}

#[test]
fn without_the_option_nothing_is_written() {
    for user in users() {
        let setting = Setting::new("profile", user);
        setting.launch(&wide_policy(), "print 1\n").run(60).expect_code(0);
        assert!(std::fs::read_dir(setting.vessel()).unwrap().next().is_none());
    }
}

/// `repy-interp --dis` prints what a program was compiled to, line by line, and refuses what is no program.
#[test]
fn the_disassembler_prints_the_bytecode_of_every_function() {
    let scratch = Scratch::new("dis");
    let shown = |name: &str, text: &str| {
        let mut command = Command::new(integration::bin("repy-interp"));
        command.arg("--dis").arg(scratch.write(name, text));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command, Duration::from_secs(60))
    };
    let good = shown(
        "good.repy",
        "def f(n):\n  if n < 2: return n\n  return f(n - 1)\nclass A:\n  x = 7\nprint f(5)\n",
    );
    good.expect_code(0);
    for part in ["<module> (0 parameters", "\nf (1 parameters", "\nA (1 parameters", "; f\n", "PrintNewline"]
    {
        assert!(good.stdout.contains(part), "{part} in {}", good.stdout);
    }
    let body = good.stdout.split("\nf (1 parameters").nth(1).expect("the function's code");
    assert!(body.lines().any(|line| line.starts_with("    2     0  ")), "the first line of f: {body}");
    shown("bad.repy", "import os\n").expect_code(3).expect_stderr("bad.repy:1:1");
}
