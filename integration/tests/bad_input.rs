//! Whatever is wrong with the command line, the policy or the program file: one
//! clear message, exit 2, and nothing changed.
#![allow(missing_docs)]

use integration::run::{as_user, finish, system_command, users, Finished, Launch, User};
use integration::setting::{wide_policy, Setting};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const HELLO: &str = "print 'ran'\n";

/// Runs `launch`, which must be refused with exit 2 and a message holding `words`.
#[track_caller]
fn refused(setting: &Setting, launch: &Launch, words: &[&str]) -> Finished {
    let run = launch.run(20);
    run.expect_code(2).expect_stdout("");
    for word in words {
        run.expect_stderr(word);
    }
    let left = std::fs::read_dir(setting.vessel()).expect("the vessel is readable").count();
    assert_eq!(left, 0, "the vessel was changed");
    run
}

#[track_caller]
fn refused_program(user: User, label: &str, make: impl Fn(&Path), words: &[&str]) {
    let setting = Setting::new(label, user);
    let policy = setting.write("policy.test", wide_policy());
    let program = setting.beside("program.repy");
    make(&program);
    refused(&setting, &setting.launch_files(policy, &program), words);
}

#[test]
fn unusable_program_files() {
    for user in users() {
        refused_program(user, "missing", |_| {}, &["program.repy", "No such file"]);
        let make = |p: &Path| std::fs::create_dir(p).expect("made");
        refused_program(user, "directory", make, &["program.repy", "directory"]);
        let make =
            |p: &Path| nix::unistd::mkfifo(p, nix::sys::stat::Mode::from_bits_truncate(0o644)).expect("made");
        refused_program(user, "fifo", make, &["program.repy", "FIFO"]);
        let make = |p: &Path| std::fs::File::create(p).and_then(|f| f.set_len((16 << 20) + 1)).expect("made");
        refused_program(user, "huge", make, &["program.repy", "16 MiB"]);
    }
}

#[test]
fn an_unreadable_program_is_said_so() {
    use std::os::unix::fs::PermissionsExt;
    if !integration::is_root() {
        return;
    }
    let make = |p: &Path| {
        std::fs::write(p, HELLO).expect("written");
        std::fs::set_permissions(p, std::fs::Permissions::from_mode(0o600)).expect("set");
    };
    refused_program(User::Ordinary, "unreadable", make, &["program.repy", "ermission denied"]);
}

#[test]
fn unusable_policies() {
    for user in users() {
        let setting = Setting::new("policy", user);
        let program = setting.write("program.repy", HELLO);
        let long = setting.write("long.test", vec![b'#'; (1 << 20) + 1]);
        refused(&setting, &setting.launch_files(&long, &program), &["long.test", "1 MiB"]);
        refused(&setting, &setting.launch_files(setting.beside("absent.test"), &program), &["absent.test"]);
        refused(&setting, &setting.launch_files(setting.vessel(), &program), &["directory"]);

        let misspelt = wide_policy().replace("resource events", "resource evnets");
        let wrong = setting.write("wrong.test", format!("{misspelt}call opne allow\nresource netsend nan\n"));
        let words = ["wrong.test", "evnets", "events", "opne", "open", "nan", "^"];
        refused(&setting, &setting.launch_files(&wrong, &program), &words);
    }
}

#[test]
fn unusable_vessels() {
    for user in users() {
        let setting = Setting::new("vessel", user);
        let policy = setting.write("policy.test", wide_policy());
        let program = setting.write("program.repy", HELLO);
        let with = |vessel: &Path| Launch::new(user, &policy, &program).vessel(vessel);
        refused(&setting, &with(&program), &["not a directory"]);
        refused(&setting, &with(&setting.beside("absent")), &["absent"]);
        refused(&setting, &with(Path::new("/")), &["/"]);

        let home = setting.vessel().to_path_buf();
        let mut command = with(&home).command();
        command.env("HOME", &home);
        finish(command, Duration::from_secs(20)).expect_code(2).expect_stderr("home");
    }
}

#[test]
fn a_vessel_that_cannot_be_written_is_refused() {
    if !integration::is_root() {
        return;
    }
    let setting = Setting::new("readonly", User::Caller);
    let policy = setting.write("policy.test", wide_policy());
    let program = setting.write("program.repy", HELLO);
    // Owned by root, and the launcher runs as an ordinary user.
    let launch = Launch::new(User::Ordinary, policy, program).vessel(setting.vessel());
    refused(&setting, &launch, &["writ"]);
}

/// What the launcher writes lies over nothing that it reads, and nothing is written twice.
#[test]
fn files_with_two_uses_are_refused_and_files_of_their_own_are_not() {
    for user in users() {
        let setting = Setting::new("twice", user);
        let policy = setting.write("policy.test", wide_policy());
        let program = setting.write("program.repy", HELLO);
        let other = setting.beside("other");
        let log = setting.beside("other.old");
        let launch = || setting.launch_files(&policy, &program);
        for (option, path, role) in [
            ("--report", &program, "program"),
            ("--report", &policy, "policy"),
            ("--events", &program, "program"),
            ("--metrics", &policy, "policy"),
            ("--profile", &program, "program"),
        ] {
            refused(&setting, &launch().option(option).option(path), &[&option[2..], role, "overwritten"]);
        }
        let twice = [("--report", "--metrics"), ("--report", "--events"), ("--events", "--profile")];
        for (one, two) in twice {
            let launch = launch().option(one).option(&other).option(two).option(&other);
            refused(&setting, &launch, &[&one[2..], &two[2..], "the same file"]);
        }
        let launch_log = launch().option("--logfile").option(&other).option("--report").option(&log);
        refused(&setting, &launch_log, &["log", "report"]);
        assert_eq!(std::fs::read_to_string(&policy).expect("readable"), wide_policy());
        assert_eq!(std::fs::read_to_string(&program).expect("readable"), HELLO);
        assert!(!other.exists() && !log.exists(), "refused, and yet written");

        let each = |name: &str| setting.vessel().join(name);
        let run = launch()
            .option("--report")
            .option(each("report"))
            .option("--metrics")
            .option(each("metrics"))
            .option("--events")
            .option(each("events"))
            .option("--profile")
            .option(each("profile"))
            .run(20);
        run.expect_code(0).expect_stdout("ran\nran\n");
        for name in ["report", "metrics", "events", "profile"] {
            assert!(each(name).exists(), "no {name}");
        }
    }
}

#[test]
fn unusable_command_lines() {
    for user in users() {
        let bare = |words: &[&str]| {
            let mut command = as_user(user, &integration::bin("repy-launch"));
            command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            finish(command, Duration::from_secs(20))
        };
        bare(&[]).expect_code(2).expect_stderr("--policy");
        bare(&["--polcy", "x", "y"]).expect_code(2).expect_stderr("--policy");
        bare(&["--policy", "x"]).expect_code(2);
        bare(&["--without", "moat", "--policy", "x", "y"]).expect_code(2).expect_stderr("cgroup");
    }
}

#[test]
fn closed_standard_streams_do_no_harm() {
    let program = "f = open('made', 'w')\nf.write('whole')\nf.close()\nprint 'x'\n";
    for user in users() {
        let setting = Setting::new("closed", user);
        let policy = setting.write("policy.test", wide_policy());
        let program = setting.write("program.repy", program);
        for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
            let launch = setting.launch_files(&policy, &program).option("--simple").command();
            let mut words = vec![launch.get_program().to_string_lossy().into_owned()];
            words.extend(launch.get_args().map(|a| a.to_string_lossy().into_owned()));
            let line = words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(" ");
            let mut shell = system_command(user, "/bin/sh");
            shell.arg("-c").arg(format!("exec {line} {closed}"));
            shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            finish(shell, Duration::from_secs(20)).expect_code(0);
            let made = setting.vessel().join("made");
            assert_eq!(std::fs::read_to_string(&made).expect("made exists"), "whole", "with {closed}");
            std::fs::remove_file(made).expect("removable");
        }
    }
}

#[test]
fn check_tells_good_from_bad_policies() {
    for user in users() {
        let setting = Setting::new("check", user);
        let check = |policy: &Path| {
            let mut command = as_user(user, &integration::bin("repy-launch"));
            command.arg("check").arg(policy);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            finish(command, Duration::from_secs(20))
        };
        check(&setting.write("good.test", wide_policy())).expect_code(0);
        check(&setting.copy("policies/restrictions.test")).expect_code(0);
        check(&setting.copy("policies/restrictions.sample")).expect_code(0);
        let dead = setting.write("dead.test", format!("{}call open arg 0 is x deny\n", wide_policy()));
        let run = check(&dead);
        run.expect_code(0);
        assert!(run.stdout.contains("never") || run.stderr.contains("never"), "{run:?}");
        check(&setting.write("bad.test", "resource cpu\n")).expect_code(2);
    }
}
