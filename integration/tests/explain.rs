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
