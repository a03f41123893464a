//! `repy-launch explain`: what holds each line on this host, what a policy makes of a program, and
//! answers to questions.
#![allow(missing_docs)]

use integration::run::{as_user, finish, users, Finished};
use integration::setting::Setting;
use std::process::Stdio;
use std::time::Duration;

fn explain(setting: &Setting, words: &[&str]) -> Finished {
    let policy = setting.copy("policies/restrictions.test");
    let mut command = as_user(setting.user(), &integration::bin("repy-launch"));
    command.arg("explain").arg("--vessel").arg(setting.vessel()).arg(policy).args(words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(60))
}

#[test]
fn every_line_has_its_holders_and_what_remains_without_a_layer() {
    for user in users() {
        let setting = Setting::new("explain", user);
        let run = explain(&setting, &[]);
        run.expect_code(0);
        for text in ["resource memory", "cgroup-memory", "without     cgroup", "call open", "interpreter"] {
            assert!(run.stdout.contains(text), "{text:?} is missing:\n{}", run.stdout);
        }
        let run = explain(&setting, &["--json"]);
        let told: serde_json::Value = serde_json::from_str(&run.expect_code(0).stdout).expect("JSON");
        let lines = told["lines"].as_array().expect("lines");
        let policy = std::fs::read_to_string(setting.beside("restrictions.test")).expect("readable");
        let wanted = policy.lines().enumerate().filter(|(_, line)| {
            let words = line.split('#').next().unwrap_or("");
            !words.trim().is_empty()
        });
        for (index, line) in wanted {
            let found = lines.iter().find(|row| row["line"] == index + 1);
            let row = found.unwrap_or_else(|| panic!("line {} ({line}) is not explained", index + 1));
            assert!(row["held_by"].as_array().is_some_and(|by| !by.is_empty()), "{row}");
        }
    }
}

#[test]
fn questions_are_answered_by_line_and_layer() {
    for user in users() {
        let setting = Setting::new("explain-ask", user);
        for (question, words) in [
            ("bind udp 12345", &["allowed", "messport 12345"][..]),
            ("bind udp 1", &["denied", "not allowed!!!"]),
            ("open notes.txt w", &["by line", "interpreter (rules)"]),
            ("syscall ptrace", &["denied", "kernel (seccomp)", "exit 71"]),
            ("memory 99000000000", &["denied", "killed"]),
            ("connect www.example.org 80", &["openconn", "interpreter (rules)"]),
            ("sleep 5", &["allowed"]),
            ("resolve www.example.org", &["gethostbyname_ex"]),
        ] {
            let run = explain(&setting, &[question]);
            run.expect_code(0);
            for word in words {
                assert!(run.stdout.contains(word), "{question}: {word:?} is missing:\n{}", run.stdout);
            }
            let run = explain(&setting, &[question, "--json"]);
            let told: serde_json::Value = serde_json::from_str(&run.expect_code(0).stdout).expect("JSON");
            assert!(told["allowed"].is_boolean() && told["sees"].is_string(), "{told}");
        }
        for (question, meant) in [
            ("syscall ptrac", "did you mean `ptrace`?"),
            ("memroy 5", "did you mean `memory`?"),
            ("call opencon h 1", "did you mean `openconn`?"),
            ("bnd udp 1", "did you mean `bind`?"),
        ] {
            explain(&setting, &[question]).expect_code(2).expect_stderr(meant);
        }
    }
}

#[test]
fn the_calls_of_a_program_are_explained() {
    for user in users() {
        let setting = Setting::new("explain-program", user);
        let program = setting.write("p.repy", "open('x')\nsleep(1)\nrecvmess('127.0.0.1', 12345, sleep)\n");
        let words = [program.to_str().expect("text")];
        let run = explain(&setting, &words);
        run.expect_code(0);
        for text in [
            "   1  open('x')",
            "allowed",
            "line ",
            "interpreter (rules)",
            "recvmess('127.0.0.1', 12345, ...)",
        ] {
            assert!(run.stdout.contains(text), "{text:?} is missing:\n{}", run.stdout);
        }
        let run = explain(&setting, &[words[0], "--json"]);
        let told: serde_json::Value = serde_json::from_str(&run.expect_code(0).stdout).expect("JSON");
        assert_eq!(told["calls"].as_array().map(Vec::len), Some(3));
        assert!(told["calls"][1]["policy_line"].is_u64(), "{told}");
        let bad = setting.write("bad.repy", "import os\n");
        explain(&setting, &[bad.to_str().expect("text")]).expect_code(3).expect_stderr("refused");
    }
}

/// A policy with something granted, something not, and something of which there is none.
const MIXED: &str = "\
resource cpu 1
resource memory 50000000
resource diskused 1000000
resource events 3
resource filesopened 1
resource fileread 10000
resource insockets 1
resource messport 12345
resource connport 12346
resource lograte 100000
call open arg 0 is a.txt allow
call open arg 0 is ../a.txt allow
call open arg 0 is restrictions.mixed allow
call file.__init__ arg 1 is w allow
call file.__init__ arg 1 is q allow
call removefile allow
call recvmess allow
call openconn allow
call sendmess allow
call log.write allow
call sleep arg 0 is 0 allow
call stopcomm allow
";

/// A question, and a statement that does what it asks.
const TRIED: [(&str, &str); 17] = [
    ("open a.txt w", "open('a.txt', 'w')"),
    ("open a.txt r", "open('a.txt', 'r')"),
    ("open a.txt q", "open('a.txt', 'q')"),
    ("open ../a.txt w", "open('../a.txt', 'w')"),
    ("open b.txt w", "open('b.txt', 'w')"),
    ("open restrictions.mixed w", "open('restrictions.mixed', 'w')"),
    ("remove a/b", "removefile('a/b')"),
    ("remove restrictions.mixed", "removefile('restrictions.mixed')"),
    ("list", "listdir()"),
    ("bind udp 12345", "stopcomm(recvmess('127.0.0.1', 12345, handle))"),
    ("bind udp 12346", "recvmess('127.0.0.1', 12346, handle)"),
    ("bind tcp 12346", "waitforconn('127.0.0.1', 12346, handle)"),
    ("connect 127.0.0.1 80", "openconn('127.0.0.1', 80)"),
    ("send 127.0.0.1 80", "sendmess('127.0.0.1', 80, 'x')"),
    ("sleep 0", "sleep(0)"),
    ("sleep 5", "sleep(5)"),
    ("call randomfloat", "randomfloat()"),
];

/// What `explain` says that a program would see is what one sees that does it.
#[test]
fn what_is_answered_is_what_a_program_sees() {
    for user in users() {
        let setting = Setting::new("explain-true", user);
        let place = setting.vessel().join("restrictions.mixed");
        std::fs::write(&place, MIXED).expect("written");
        let mut program = String::from("def handle(*words):\n  pass\n\n");
        for (question, statement) in TRIED {
            program.push_str(&format!(
                "try:\n  {statement}\n  print '{question}: allowed'\nexcept Exception, error:\n  \
                 print '{question}: ' + str(error)\n"
            ));
        }
        program.push_str("exitall()\n");
        let program = setting.write("tries.repy", program);
        let policy = std::fs::read_to_string(&place).expect("readable");
        std::fs::write(&place, policy + "call exitall allow\n").expect("written");
        let seen = setting.launch_files(&place, program).run(60).expect_code(0).stdout.clone();
        let mut faults = String::new();
        for (question, _) in TRIED {
            let mut command = as_user(user, &integration::bin("repy-launch"));
            command.args(["explain", "--json", "--vessel"]).arg(setting.vessel()).arg(&place).arg(question);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let run = finish(command, Duration::from_secs(60));
            let told: serde_json::Value = serde_json::from_str(&run.expect_code(0).stdout).expect("JSON");
            // Rules decide before bad words do, and give their arguments in full.
            let said = match told["sees"].as_str() {
                Some(_) if told["allowed"] == true => "allowed",
                Some(text) => text.split_once(": ").map_or(text, |(_, text)| text),
                None => "nothing",
            };
            let said = said.split(" with args").next().unwrap_or(said);
            let start = format!("{question}: ");
            let line = seen.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or("nothing");
            if !line.starts_with(said) {
                faults.push_str(&format!("{question}: explain says {said:?}, a program sees {line:?}\n"));
            }
        }
        assert!(faults.is_empty(), "{faults}");
    }
}

#[test]
fn odd_questions_are_answered_or_refused_with_what_can_be_asked() {
    let setting = Setting::new("explain-odd", integration::run::User::Caller);
    for question in [
        "",
        " ",
        "bind",
        "bind udp",
        "bind udp 0",
        "bind udp 65536",
        "bind udp -1",
        "bind sctp 5",
        "bind udp 5 6",
        "open a b c",
        "connect",
        "connect h",
        "connect h 0",
        "send h x",
        "resolve",
        "list all",
        "remove",
        "syscall",
        "syscall 100000",
        "memory",
        "memory -5",
        "memory nan",
        "memory 1e999",
        "cpu x",
        "call",
        "fly me",
    ] {
        let run = explain(&setting, &[question]);
        run.expect_code(2).expect_stdout("").expect_stderr("questions are: ");
    }
    // A program that is not there is no question.
    explain(&setting, &["nosuch.repy"])
        .expect_code(2)
        .expect_stderr("'nosuch.repy': No such file or directory");
    // Nothing of a question moves the terminal.
    for question in ["open \u{1b}[2J w", "\u{1b}[2J", "resolve \u{202e}x"] {
        let run = explain(&setting, &[question]);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said:?}");
    }
    // By number, and shortly.
    let by_number = explain(&setting, &["syscall 0"]);
    assert!(by_number.expect_code(0).stdout.contains("read"), "{by_number:?}");
    explain(&setting, &["--quiet", "bind udp 12345"]).expect_code(0).expect_stdout("allowed\n");
    explain(&setting, &["--quiet", "bind udp 1"]).expect_code(0).expect_stdout("denied\n");
    let (less, more) = (explain(&setting, &["--quiet"]).stdout, explain(&setting, &["--verbose"]).stdout);
    let usual = explain(&setting, &[]).stdout;
    assert!(less.len() < usual.len() && usual.len() < more.len());
}
