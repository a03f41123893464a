//! `repy-launch check POLICY PROGRAM...`: what a program's text tells, without running it.
#![allow(missing_docs)]

use integration::run::{as_user, finish, users, Finished};
use integration::setting::Setting;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const POLICY: &str = "\
resource cpu .5
resource memory 30000000
resource diskused 100000
resource events 3
resource filesopened 2
resource filewrite 10000
resource insockets 1
resource messport 12345
resource lograte 10000
call open arg 0 is notes.txt allow
call file.__init__ arg 0 is notes.txt allow
call file.write allow
call file.close allow
call recvmess allow
call log.write allow
";

fn check(setting: &Setting, words: &[&str], policy: &Path, programs: &[&Path]) -> Finished {
    let mut command = as_user(setting.user(), &integration::bin("repy-launch"));
    command.arg("check").args(words).arg(policy).args(programs);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(60))
}

#[test]
fn a_program_that_fits_is_good_and_is_not_run() {
    for user in users() {
        let setting = Setting::new("check-good", user);
        let policy = setting.write("policy.test", POLICY);
        let program = setting.write("good.repy", "f = open('notes.txt', 'w')\nf.write('x')\nprint 'ran'\n");
        let run = check(&setting, &[], &policy, &[&program]);
        run.expect_code(0);
        assert!(run.stdout.contains("good.repy: good\n") && !run.stdout.contains("ran"), "{run:?}");
        assert_eq!(run.stderr, "");
        // Every program of the tutorial fits the policy that comes with it.
        let policy = setting.copy("policies/restrictions.test");
        for example in ["example.1.2.repy", "example.2.1.repy", "example.4.2.repy"] {
            let program = setting.copy(&format!("examples/{example}"));
            let run = check(&setting, &[], &policy, &[&program]);
            run.expect_code(0);
            assert!(run.stdout.contains(&format!("{example}: good\n")), "{run:?}");
        }
    }
}

#[test]
fn what_is_refused_is_shown_with_its_place() {
    for user in users() {
        let setting = Setting::new("check-bad", user);
        let policy = setting.write("policy.test", POLICY);
        let good = setting.write("good.repy", "print 1\n");
        let bad = setting.write("bad.repy", "x = 1\nimport os\ny = (\n");
        let run = check(&setting, &[], &policy, &[&good, &bad]);
        run.expect_code(3).expect_stderr("bad.repy:2:1").expect_stderr("2 | import os").expect_stderr("^");
        assert!(run.stdout.contains("good.repy: good"), "{run:?}");
        let wrong = setting.write("wrong.test", "resource cpu\n");
        check(&setting, &[], &wrong, &[&good]).expect_code(2);
        check(&setting, &[], &policy, &[&setting.beside("none.repy")]).expect_code(2);
    }
}

#[test]
fn what_can_never_be_allowed_is_a_warning() {
    for user in users() {
        let setting = Setting::new("check-warn", user);
        let policy = setting.write("policy.test", POLICY);
        let program = setting.write(
            "warn.repy",
            "def on(ip, port, message, handle):\n  pass\n\
             recvmess('127.0.0.1', 12345, on)\nrecvmess('127.0.0.1', 12346, on)\n\
             open('other.txt')\nopen('../x', 'w')\nopencon('h', 1)\nopenconn('h', 80)\n",
        );
        let run = check(&setting, &[], &policy, &[&program]);
        run.expect_code(0);
        for text in [
            "warn.repy:4",
            "port 12346 is not granted",
            "resource messport 12346",
            "warn.repy:5",
            "5 | open('other.txt')\n  | ^^^^\n",
            "`open('other.txt')` can never be allowed",
            "call open arg 0 is other.txt allow",
            "warn.repy:7:1",
            "did you mean `openconn`?",
            "warn.repy:8",
            "no rule for `openconn`",
            "resource insockets 1` is probably too little",
        ] {
            assert!(run.stdout.contains(text), "{text:?} is missing:\n{}", run.stdout);
        }
        assert!(!run.stdout.contains("port 12345"), "{}", run.stdout);
        let quiet = check(&setting, &["--quiet"], &policy, &[&program]);
        quiet.expect_code(0).expect_stdout("");
    }
}

#[test]
fn the_same_as_json() {
    for user in users() {
        let setting = Setting::new("check-json", user);
        let policy = setting.write("policy.test", POLICY);
        let program = setting.write("warn.repy", "sleep(1)\n");
        let bad = setting.write("bad.repy", "import os\n");
        let run = check(&setting, &["--json"], &policy, &[&program, &bad]);
        run.expect_code(3);
        let told: serde_json::Value = serde_json::from_str(&run.stdout).expect("JSON");
        assert_eq!(told["exit_code"], 3);
        assert_eq!(told["programs"][0]["warnings"][0]["line"], 1);
        assert_eq!(told["programs"][1]["errors"][0]["line"], 1);
        let wrong = setting.write("wrong.test", "resource cpu\n");
        let run = check(&setting, &["--json"], &wrong, &[]);
        let told: serde_json::Value = serde_json::from_str(&run.expect_code(2).stdout).expect("JSON");
        assert!(told["error"].as_str().is_some_and(|text| text.contains("cpu")), "{told}");
    }
}

#[test]
fn a_hostile_text_is_only_read_and_cannot_move_the_terminal() {
    for user in users() {
        let setting = Setting::new("check-hostile", user);
        let policy = setting.write("policy.test", POLICY);
        let deep = format!("x = {}1{}\n", "(".repeat(100_000), ")".repeat(100_000));
        let escapes = "open('\x1b[2J\u{202e}')\nopen('\\x1b]0;x\\x07', 'w')\nimport os # \x1b[31m\n";
        let many = "sleep(1);\n".repeat(200_000);
        for (name, text, code) in [
            ("deep.repy", deep.as_bytes(), 3),
            ("escapes.repy", escapes.as_bytes(), 3),
            ("nul.repy", &b"x = 1\0\n"[..], 3),
            ("many.repy", many.as_bytes(), 0),
        ] {
            let program = setting.write(name, text);
            let run = check(&setting, &[], &policy, &[&program]);
            run.expect_code(code);
            for shown in [&run.stdout, &run.stderr] {
                assert!(!shown.contains('\x1b') && !shown.contains('\u{202e}'), "{name}: {shown:?}");
                assert!(shown.len() < 300_000, "{name}: {} bytes", shown.len());
            }
        }
    }
}
