//! `repy-launch repl`: a session on a terminal, and one through a pipe.
#![allow(missing_docs)]

use integration::pty::Terminal;
use integration::scratch::Scratch;
use integration::setting::wide_policy;
use std::io::Write;
use std::process::{Command, Stdio};

fn command(scratch: &Scratch, words: &[&str]) -> Command {
    let mut command = Command::new(integration::bin("repy-launch"));
    command
        .arg("repl")
        .args(words)
        .env("XDG_STATE_HOME", scratch.path().join("state"))
        .env_remove("NO_COLOR");
    if !integration::is_root() {
        command.args(["--without", "cgroup"]);
    }
    command
}

fn session(scratch: &Scratch, words: &[&str]) -> Terminal {
    let mut terminal = Terminal::start(&command(scratch, words));
    terminal.expect(">>> ");
    terminal
}

/// Types a statement and gives what is shown up to the next prompt.
fn said(terminal: &mut Terminal, line: &str) -> String {
    terminal.keys(line);
    terminal.keys("\r");
    terminal.expect("\r\n");
    terminal.expect(">>> ")
}

#[test]
fn the_session_of_the_tutorial() {
    let scratch = Scratch::new("repl-tutorial");
    let mut terminal = session(&scratch, &[]);
    let nothing = said(&mut terminal, "from repyportability import *");
    assert!(!nothing.contains("error"), "{nothing}");
    let number = said(&mut terminal, "randomfloat()");
    let number: f64 = number.lines().next().unwrap_or("").trim().parse().expect("a number");
    assert!((0.0..1.0).contains(&number));
    terminal.keys("\x04");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn values_blocks_errors_and_what_they_leave() {
    let scratch = Scratch::new("repl");
    let mut terminal = session(&scratch, &[]);
    assert!(said(&mut terminal, "1 + 1").starts_with("2\r\n"));
    assert!(said(&mut terminal, "'a\\n'").starts_with("'a\\n'\r\n"));
    assert!(!said(&mut terminal, "None").contains("None"));
    said(&mut terminal, "x = 5");
    terminal.keys("def f(n):\r");
    terminal.expect("... ");
    terminal.keys("  return n * x\r");
    terminal.expect("... ");
    terminal.keys("\r");
    terminal.expect(">>> ");
    assert!(said(&mut terminal, "f(8)").starts_with("40\r\n"));
    let error = said(&mut terminal, "f('a') / 0");
    assert!(error.contains("Traceback") && error.contains("TypeError"), "{error}");
    terminal.keys("class E(Exception):\r");
    terminal.expect("... ");
    terminal.keys("  def __str__(self): return 'own words'\r");
    terminal.expect("... ");
    terminal.keys("\r");
    terminal.expect(">>> ");
    let error = said(&mut terminal, "raise E()");
    assert!(error.contains("own words"), "{error}");
    let refused = said(&mut terminal, "import os");
    assert!(refused.contains("import") && refused.contains('^'), "{refused}");
    assert!(said(&mut terminal, "x").starts_with("5\r\n"), "the session goes on");
    terminal.keys("x +\x03");
    terminal.expect("^C");
    terminal.expect(">>> ");
    assert!(said(&mut terminal, "x").starts_with("5\r\n"), "the line is forgotten");
    // Up: the line before, which is there once.
    terminal.keys("\x1b[A\r");
    terminal.expect("5\r\n");
    terminal.keys("\x04");
    assert_eq!(terminal.code(), Some(0));
    let history = std::fs::read_to_string(scratch.path().join("state/repy-launch/history")).expect("kept");
    assert!(history.contains("f(8)\n"), "{history}");
}

#[test]
fn ctrl_c_ends_the_statement_and_nothing_else() {
    let scratch = Scratch::new("repl-interrupt");
    let mut terminal = session(&scratch, &[]);
    said(&mut terminal, "x = 1");
    for busy in ["while True: x = x + 1\r\r", "sleep(1000)\r"] {
        terminal.keys(busy);
        std::thread::sleep(std::time::Duration::from_millis(300));
        terminal.keys("\x03");
        terminal.expect("KeyboardInterrupt");
        terminal.expect(">>> ");
        let kept = said(&mut terminal, "x > 0");
        assert!(kept.starts_with("True"), "{kept}");
    }
    terminal.keys("\x04");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn events_run_between_the_prompts() {
    let scratch = Scratch::new("repl-events");
    let mut terminal = session(&scratch, &[]);
    terminal.keys("def tick(n):\r");
    terminal.expect("... ");
    terminal.keys("  print 'tick', n\r");
    terminal.expect("... ");
    terminal.keys("\r");
    terminal.expect(">>> ");
    terminal.keys("handle = settimer(0.3, tick, (7,))\r");
    terminal.expect("tick 7");
    // An exception of an event ends the event.
    terminal.expect(">>> ");
    terminal.keys("handle = settimer(0.1, tick, ())\r");
    terminal.expect("TypeError");
    terminal.expect(">>> ");
    let next = said(&mut terminal, "'still' + ' here'");
    assert!(next.contains("'still here'"), "{next}");
    // Statements follow each other at once, many times: none is lost.
    for number in 0..200 {
        terminal.keys(&format!("{number} * 2\r"));
        terminal.expect(&format!("\n{}\r\n", number * 2));
    }
    terminal.keys("\x04");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn a_session_is_a_sandbox_under_its_policy() {
    let scratch = Scratch::new("repl-policy");
    let vessel = scratch.directory("vessel", None);
    let rules = "call open arg 0 is a.txt allow\n";
    let policy = scratch.write("policy.test", wide_policy().replace("call open allow\n", rules));
    let words = ["--policy", policy.to_str().expect("text"), "--vessel", vessel.to_str().expect("text")];
    let mut terminal = session(&scratch, &words);
    let denied = said(&mut terminal, "open('b.txt', 'w')");
    assert!(denied.contains("Call 'open' with args ('b.txt', 'w') not allowed"), "{denied}");
    said(&mut terminal, "f = open('a.txt', 'w')");
    said(&mut terminal, "f.write('kept')");
    terminal.keys("\x04");
    assert_eq!(terminal.code(), Some(0));
    let kept = std::fs::read_to_string(vessel.join("a.txt")).expect("made");
    assert_eq!(kept, "kept", "what was not flushed is written at the end");
    let mut terminal = session(&scratch, &words);
    terminal.keys("exitall()\r");
    assert_eq!(terminal.code(), Some(0));
    let mut terminal = session(&scratch, &words);
    terminal.keys("x = 'x' * 10000000; y = [x + str(n) for n in range(100)]\r");
    terminal.expect("MemoryError");
    terminal.keys("\x04");
    terminal.code();
}

#[test]
fn statements_come_through_a_pipe_too() {
    let scratch = Scratch::new("repl-pipe");
    let mut command = command(&scratch, &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let input =
        "x = 2\nfor n in range(3):\n  n * x\n\n1 / 0\nclass Noted:\n  def __del__(self): print 'gone'\n\n\
                 it = Noted()\nit = None\nprint 'last'\n";
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(input.as_bytes()).expect("taken");
    // Bytes that are no UTF-8, and an end in the middle.
    pipe.write_all(b"'\xff\xe4'\ndef f():\n  return 'unfinished'").expect("taken");
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(out, "0\n2\n4\ngone\nlast\n'\\xff\\xe4'\n", "{err}");
    assert!(err.contains("ZeroDivisionError"), "{err}");
}

/// A session is a run like others: listed, audited and stopped by name of its process.
#[test]
fn a_session_is_seen_and_stopped_from_outside() {
    let scratch = Scratch::new("repl-seen");
    // Other tests have sessions at the same time: its own directory tells this one apart.
    let vessel = scratch.directory("seen", None);
    let vessel = vessel.to_string_lossy().into_owned();
    let mut terminal = session(&scratch, &["--vessel", &vessel]);
    said(&mut terminal, "x = 1");
    let tool = |words: &[&str]| integration::live::tool(integration::run::User::Caller, words);
    let listed = || -> Option<serde_json::Value> {
        let runs: serde_json::Value = serde_json::from_str(&tool(&["ps", "--json"]).stdout).expect("JSON");
        let ours =
            |run: &&serde_json::Value| run["program"] == "(session)" && run["vessel"] == vessel.as_str();
        runs.as_array()?.iter().find(ours).cloned()
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let run = loop {
        if let Some(run) = listed() {
            break run;
        }
        assert!(std::time::Instant::now() < deadline, "the session is not listed");
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let pid = run["launcher"].as_i64().expect("a number");
    let audit = tool(&["audit", &pid.to_string()]);
    assert!(audit.stdout.contains(" 0 DIFFERS"), "{}", audit.stdout);
    tool(&["stop", &pid.to_string()]).expect_code(0);
    assert_eq!(terminal.code(), Some(143));
    assert!(listed().is_none(), "the record goes with the session");
}
