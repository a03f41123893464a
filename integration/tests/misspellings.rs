//! A misspelt word of the command line, of a restrictions file or of a program is answered
//! with what was probably meant, and never with another meaning.
#![allow(missing_docs)]

use integration::run::{as_user, finish, Finished, User};
use integration::setting::{wide_policy, Setting};
use std::process::Stdio;
use std::time::Duration;

fn launcher(setting: &Setting, words: &[&str]) -> Finished {
    let mut command = as_user(User::Caller, &integration::bin("repy-launch"));
    command.args(words).current_dir(setting.vessel());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(60))
}

/// What is wrong with an answer to a misspelt word; None if it names what was meant.
fn fault(finished: &Finished, wrong: &str, right: &str, code: i32) -> Option<String> {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    let named = [format!("'{right}'"), format!("`{right}`")].iter().any(|name| said.contains(name.as_str()));
    let good = named && finished.code() == code;
    (!good).then(|| format!("{wrong}: exit {} and no word of {right}:\n{said}\n", finished.code()))
}

#[test]
fn options_commands_and_layers() {
    let setting = Setting::new("misspelt-line", User::Caller);
    let cases = [
        ("--polcy p x.repy", "--policy"),
        ("--policy p --vesel d x.repy", "--vessel"),
        ("--policy p --scrach x.repy", "--scratch"),
        ("--policy p --reprot r x.repy", "--report"),
        ("--policy p --witout cgroup x.repy", "--without"),
        ("--policy p --logfle l x.repy", "--logfile"),
        ("--policy p --without cgroups x.repy", "cgroup"),
        ("--policy p --without secomp x.repy", "seccomp"),
        ("--policy p --without landlok x.repy", "landlock"),
        ("chek p", "check"),
        ("chekc p x.repy", "check"),
        ("expalin p", "explain"),
        ("laern x.repy", "learn"),
        ("docter", "doctor"),
        ("aduit --all", "audit"),
        ("pss", "ps"),
        ("stpo name", "stop"),
        ("tpo", "top"),
        ("rpel", "repl"),
        ("explain p --vesel d", "--vessel"),
        ("doctor --jsn", "--json"),
        ("audit --al", "--all"),
        ("learn --messprt 5 x.repy", "--messport"),
        ("repl --polcy p", "--policy"),
        ("check --quit p", "--quiet"),
    ];
    let faults: String = cases
        .iter()
        .filter_map(|(line, meant)| {
            let words: Vec<&str> = line.split(' ').collect();
            fault(&launcher(&setting, &words), line, meant, 2)
        })
        .collect();
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn resources_calls_and_actions_of_a_restrictions_file() {
    let setting = Setting::new("misspelt-policy", User::Caller);
    let mut faults = String::new();
    for (line, meant) in [
        ("resource memroy 5", "memory"),
        ("resource filesopend 5", "filesopened"),
        ("resource mesport 5", "messport"),
        ("resorce events 5", "resource"),
        ("cal open allow", "call"),
        ("call opn allow", "open"),
        ("call file.wirte allow", "file.write"),
        ("call settimr allow", "settimer"),
        ("call gethostbyname allow", "gethostbyname_ex"),
        ("call open alow", "allow"),
        ("call open arg 0 si x allow", "is"),
    ] {
        let policy = setting.write("wrong.test", format!("{}{line}\n", wide_policy()));
        let finished = launcher(&setting, &["check", &policy.to_string_lossy()]);
        faults.extend(fault(&finished, line, meant, 2));
    }
    assert!(faults.is_empty(), "{faults}");
    // The twin: every word spelt right.
    let policy = setting.write("right.test", wide_policy());
    launcher(&setting, &["check", &policy.to_string_lossy()]).expect_code(0);
}

#[test]
fn names_of_the_api_in_a_program() {
    let setting = Setting::new("misspelt-program", User::Caller);
    let policy = setting.write("policy.test", wide_policy());
    let mut faults = String::new();
    for (text, meant) in [
        ("randomflot()", "randomfloat"),
        ("print rnage(3)", "range"),
        ("print sorte([2, 1])", "sorted"),
        ("raise ValeuError('x')", "ValueError"),
        ("total = 1\nprint totl", "total"),
        ("settimr(1, sleep, [1])", "settimer"),
        ("opne('x')", "open"),
        ("sleeep(1)", "sleep"),
        ("mycontex['x'] = 1", "mycontext"),
        ("callfnc", "callfunc"),
        ("recvmes('1.2.3.4', 5, sleep)", "recvmess"),
        ("waitforcon('1.2.3.4', 5, sleep)", "waitforconn"),
    ] {
        let program = setting.write("program.repy", format!("{text}\n"));
        let words = ["check", &policy.to_string_lossy(), &program.to_string_lossy()];
        let finished = launcher(&setting, &words);
        faults.extend(fault(&finished, text, meant, 0));
    }
    assert!(faults.is_empty(), "{faults}");
    // A program that runs into such a name is told the same, and keeps V1's last line.
    for (text, meant) in [
        ("print rnage(3)", "range"),
        ("def f():\n  return randomflot()\nf()", "randomfloat"),
        ("total = 1\nprint totl", "total"),
        ("def helper():\n  pass\ndef f():\n  hepler()\nhelper()\nf()", "helper"),
    ] {
        let run = setting.launch(&wide_policy(), &format!("{text}\n")).run(60);
        run.expect_code(1)
            .expect_stderr(&format!("did you mean `{meant}`?"))
            .expect_stderr("' is not defined\n---\n");
    }
    // Nothing near: nothing is suggested.
    let run = setting.launch(&wide_policy(), "qwertzuiop()\n").run(60);
    assert!(!run.expect_code(1).stderr.contains("mean"), "{run:?}");
    let program = setting.write("program.repy", "randomfloat()\n");
    let words = ["check", &policy.to_string_lossy(), &program.to_string_lossy()];
    let finished = launcher(&setting, &words);
    assert!(!finished.expect_code(0).stdout.contains("mean"), "{finished:?}");
}
