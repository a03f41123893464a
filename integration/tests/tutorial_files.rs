//! The tutorial's programs that need no network: 1.1, 1.3 (both versions), 2.1, 2.2.
#![allow(missing_docs)]

use integration::run::users;
use integration::setting::Setting;

#[test]
fn hello_world_prints_its_line() {
    for user in users() {
        let setting = Setting::new("hello", user);
        setting.launch_example("example.1.1.repy").run(20).expect_code(0).expect_stdout("Hello World\n");
    }
}

#[test]
fn global_is_refused_with_line_reason_and_remedy() {
    let text = integration::tutorial::example("example.1.3.wrong.repy");
    let line = text.lines().position(|line| line.trim_start().starts_with("global ")).expect("there") + 1;
    for user in users() {
        let setting = Setting::new("global", user);
        let run = setting.launch_example("example.1.3.wrong.repy").run(20);
        run.expect_code(3).expect_stdout("");
        for text in ["global", &format!("example.1.3.wrong.repy:{line}"), "mycontext", "^"] {
            run.expect_stderr(text);
        }
    }
}

#[test]
fn the_repaired_counter_passes_the_check() {
    for user in users() {
        let setting = Setting::new("counter", user);
        // More than one argument makes the program itself raise, so that it ends
        // without listening; reaching that line shows that the text was accepted.
        let run = setting.launch_example("example.1.3.repy").argument("1").argument("2").run(20);
        run.expect_code(1).expect_stderr("Too many call arguments").expect_stderr("Uncaught exception!");
    }
}

#[test]
fn a_file_is_written_and_read_back() {
    for user in users() {
        let setting = Setting::new("file", user);
        let run = setting.launch_example("example.2.1.repy").run(20);
        run.expect_code(0).expect_stdout("hello world\n\n");
        let written =
            std::fs::read_to_string(setting.vessel().join("hello.file")).expect("hello.file exists");
        assert_eq!(written, "hello world\n");
    }
}

#[test]
fn files_are_listed_and_removed() {
    for user in users() {
        let setting = Setting::new("list", user);
        let run = setting.launch_example("example.2.2.repy").argument("one").argument("two").run(20);
        run.expect_code(0);
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert_eq!(lines.len(), 2, "{}", run.stdout);
        assert!(lines[0].contains("'one'") && lines[0].contains("'two'"), "{}", lines[0]);
        assert_eq!(lines[1], "The files: ['one', 'two']  should now be missing from  []");
        assert_eq!(std::fs::read_dir(setting.vessel()).expect("the vessel is readable").count(), 0);
    }
}

/// With `--scratch` they see and do the same, and nothing of it remains.
#[test]
fn the_file_programs_run_in_a_vessel_in_memory_too() {
    for user in users() {
        let setting = Setting::new("scratch", user);
        let kept = setting.vessel().join("hello.file");
        std::fs::write(&kept, "from before\n").expect("written");
        let run = setting.launch_example("example.2.1.repy").option("--scratch").run(60);
        run.expect_code(0).expect_stdout("hello world\n\n");
        assert_eq!(std::fs::read_to_string(&kept).expect("still there"), "from before\n");
        let launch = setting.launch_example("example.2.2.repy").option("--scratch");
        let run = launch.argument("one").argument("two").run(60);
        let lines: Vec<&str> = run.expect_code(0).stdout.lines().collect();
        assert!(lines[0].contains("'one'") && lines[0].contains("'hello.file'"), "{}", lines[0]);
        assert_eq!(lines[1], "The files: ['one', 'two']  should now be missing from  ['hello.file']");
        assert_eq!(std::fs::read_dir(setting.vessel()).expect("readable").count(), 1);
    }
}

#[test]
fn a_file_name_outside_the_vessel_is_refused() {
    for user in users() {
        let setting = Setting::new("escape", user);
        let outside = setting.write("outside", "untouched");
        let run = setting.launch_example("example.2.2.repy").argument("../outside").run(20);
        run.expect_code(1).expect_stderr("disallowed character");
        assert_eq!(std::fs::read_to_string(outside).expect("still there"), "untouched");
    }
}

/// The tests of this file and of tutorial_network.rs run the tutorial's own texts where
/// `REPY_TUTORIAL` names its file; here it is seen that each of them was found.
#[test]
fn the_tutorials_own_texts_are_what_is_run() {
    let Some(file) = integration::tutorial::file() else {
        return integration::skipped("REPY_TUTORIAL names no file with the original tutorial");
    };
    let text = std::fs::read_to_string(&file).expect("REPY_TUTORIAL can be read");
    let found = integration::tutorial::programs(&text);
    assert_eq!(found.len(), integration::tutorial::names().count(), "{found:#?}");
    let setting = Setting::new("own", integration::run::User::Caller);
    let policy = setting.copy("policies/restrictions.test");
    for name in integration::tutorial::names() {
        let program = setting.write(name, integration::tutorial::example(name));
        let mut command = std::process::Command::new(integration::bin("repy-launch"));
        command.arg("check").arg(&policy).arg(program);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let run = integration::run::finish(command, std::time::Duration::from_secs(60));
        assert_eq!(run.code() != 3, name != "example.1.3.wrong.repy", "{name}: {run:?}");
    }
}

/// The calls of the API that each of the tutorial's programs makes, in the order of its text.
const CALLS: &[(&str, &str)] = &[
    ("example.1.1.repy", ""),
    ("example.1.2.repy", "recv send stopcomm getmyip waitforconn"),
    ("example.1.3.wrong.repy", "recv send stopcomm getmyip waitforconn"),
    ("example.1.3.repy", "recv send stopcomm getmyip waitforconn"),
    ("example.1.4.repy", "recv getruntime send stopcomm stopcomm getmyip waitforconn settimer"),
    ("example.1.5.repy", "recv send stopcomm canceltimer settimer stopcomm getmyip waitforconn settimer"),
    ("example.1.6.broken.repy", "recv send stopcomm canceltimer sleep settimer stopcomm getmyip waitforconn settimer"),
    ("example.1.6.repy", "recv send stopcomm acquire canceltimer settimer release stopcomm getlock getmyip waitforconn settimer"),
    ("example.2.1.repy", "open close file read close"),
    ("example.2.2.repy", "open close listdir removefile listdir"),
    ("example.3.1.repy", "openconn send recv"),
    ("example.3.2.repy", "openconn send settimer recv"),
    ("example.3.2.close.repy", "openconn send settimer recv"),
    ("example.4.1.repy", "gethostbyname_ex gethostbyname_ex getmyip"),
    ("example.4.2.repy", "stopcomm getmyip randomfloat recvmess sendmess"),
];

/// The words of a text that are followed by a parenthesis, comments left out.
fn called(text: &str) -> Vec<&str> {
    let code = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    code.flat_map(|line| line.match_indices('(').map(move |(at, _)| line[..at].trim_end()))
        .map(|before| {
            before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
        })
        .collect()
}

#[test]
fn the_programs_do_call_for_call_what_the_tutorials_do() {
    let names: std::collections::BTreeSet<&str> =
        CALLS.iter().flat_map(|(_, calls)| calls.split_whitespace()).collect();
    assert_eq!(
        CALLS.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        integration::tutorial::names().collect::<Vec<_>>()
    );
    for (name, calls) in CALLS {
        let text = integration::tutorial::example(name);
        let made: Vec<&str> = called(&text).into_iter().filter(|word| names.contains(word)).collect();
        assert_eq!(made.join(" "), *calls, "{name}");
    }
}
