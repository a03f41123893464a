//! `doctor`: what it says is what a run then finds, as root, as an ordinary user, and on a
//! host that lacks something.
#![allow(missing_docs)]

use integration::run::{as_user, finish, program_of, users, Finished, Launch, User};
use integration::setting::{wide_policy, Setting};
use integration::{has, is_root, skipped};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Duration;

fn ended(mut command: Command) -> Finished {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(60))
}

const LAYERS: [&str; 8] = ["cgroup", "userns", "mountns", "netns", "landlock", "seccomp", "mdwe", "idmap"];

fn doctor(setting: &Setting, words: &[&str]) -> Finished {
    let mut command = as_user(setting.user(), &integration::bin("repy-launch"));
    command.arg("doctor").arg("--vessel").arg(setting.vessel()).args(words);
    ended(command)
}

/// The layers that an examination calls missing. Every row is complete, and every gap has its
/// reason and its remedy.
#[track_caller]
fn missing(examination: &Value) -> Vec<String> {
    let layers = examination["layers"].as_array().expect("layers");
    let names: Vec<&str> = layers.iter().filter_map(|layer| layer["layer"].as_str()).collect();
    assert_eq!(names, LAYERS);
    let mut missing = Vec::new();
    for layer in layers {
        let text = |key: &str| layer[key].as_str().unwrap_or_default();
        assert!(!text("holds").is_empty(), "{layer}");
        match text("state") {
            "missing" => {
                assert!(!text("reason").is_empty() && text("remedy").len() > 10, "{layer}");
                missing.push(text("layer").to_owned());
            }
            "enforced" | "not needed" => {
                assert!(text("reason").is_empty() && text("remedy").is_empty(), "{layer}")
            }
            other => panic!("state {other:?}"),
        }
    }
    missing
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
}

#[test]
fn what_it_says_is_what_a_run_finds() {
    for user in users() {
        let setting = Setting::new("doctor", user);
        let finished = doctor(&setting, &["--json"]);
        let examination = json(&finished);
        let missing = missing(&examination);
        let facts = examination["facts"].as_array().expect("facts");
        for name in
            ["kernel", "you are", "landlock", "seccomp filters", "user namespaces", "control groups", "audit"]
        {
            let fact = facts.iter().find(|fact| fact["name"] == name);
            assert!(
                fact.is_some_and(|fact| !fact["found"].as_str().unwrap_or_default().is_empty()),
                "{name}"
            );
        }
        let whole =
            missing.is_empty() && examination["trial"].is_null() && examination["impossible"].is_null();
        finished.expect_code(if whole { 0 } else { 4 });
        // `Launch` itself adds `--without cgroup` for an ordinary user, so the launcher is called directly.
        let policy = setting.write("policy.test", wide_policy());
        let program = setting.write("program.repy", "print 'ran'\nexitall()\n");
        let run = |without: &[String]| {
            let mut command = as_user(user, &integration::bin("repy-launch"));
            command.arg("--policy").arg(&policy).arg("--vessel").arg(setting.vessel());
            for layer in without {
                command.arg("--without").arg(layer);
            }
            command.arg(&program);
            ended(command)
        };
        let plain = run(&[]);
        if whole {
            plain.expect_code(0).expect_stdout("ran\n");
        } else {
            plain.expect_code(4);
            assert!(
                missing.iter().any(|layer| plain.stderr.contains(&format!("layer '{layer}'"))),
                "{plain:?}"
            );
            // With what it names given up, a run begins.
            run(&missing).expect_code(0).expect_stdout("ran\n");
        }
        // The text says the same.
        let text = doctor(&setting, &[]).stdout;
        for layer in &missing {
            assert!(text.contains(&format!("--without {layer}")), "{text}");
        }
        assert_eq!(text.contains("to provide it:"), !missing.is_empty(), "{text}");
    }
}

/// Runs the launcher's doctor as root of a user namespace of its own, after `before` was done there.
fn elsewhere(setting: &Setting, before: &str) -> Finished {
    let launcher = program_of(User::Ordinary, "repy-launch");
    let script = format!("{before} && exec \"$0\" doctor --json --vessel \"$1\"");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]).arg(script);
    command.arg(launcher).arg(setting.vessel());
    ended(command)
}

/// Whether such a host can be made here: in some containers the switches cannot be written.
fn can_be_made(before: &str) -> bool {
    let made = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", before]);
        ended(command).code() == 0
    };
    let able = is_root() && has("unshare") && made();
    if !able {
        skipped(&format!("a host after '{before}' cannot be made here"));
    }
    able
}

#[test]
fn a_host_that_forbids_user_namespaces_is_told_so_with_the_switch() {
    const FORBID: &str = "echo 0 > /proc/sys/user/max_user_namespaces";
    if !can_be_made(FORBID) {
        return;
    }
    let setting = Setting::new("doctor-userns", User::Caller);
    let finished = elsewhere(&setting, FORBID);
    let examination = json(finished.expect_code(4));
    let missing = missing(&examination);
    assert!(missing.contains(&"userns".to_owned()), "{missing:?}");
    let layers = examination["layers"].as_array().expect("layers");
    let userns = layers.iter().find(|layer| layer["layer"] == "userns").expect("its row");
    assert!(userns["reason"].to_string().contains("max_user_namespaces is 0"), "{userns}");
    assert!(userns["remedy"].to_string().contains("sysctl user.max_user_namespaces"), "{userns}");
    // The twin: the same namespace with the switch as it was.
    let twin = json(&elsewhere(&setting, "true"));
    assert!(!self::missing(&twin).contains(&"userns".to_owned()), "{twin}");
}

#[test]
fn a_host_without_control_groups_is_told_so() {
    const HIDE: &str = "mount -t tmpfs none /sys/fs/cgroup";
    if !can_be_made(HIDE) {
        return;
    }
    let setting = Setting::new("doctor-cgroup", User::Caller);
    let finished = elsewhere(&setting, HIDE);
    let examination = json(finished.expect_code(4));
    assert!(missing(&examination).contains(&"cgroup".to_owned()), "{examination}");
}

#[test]
fn a_host_whose_limit_of_open_files_is_too_low_has_no_run_and_says_why() {
    let setting = Setting::new("doctor-files", User::Caller);
    let launcher = program_of(User::Caller, "repy-launch");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100 && exec \"$0\" doctor --json --vessel \"$1\""]);
    command.arg(launcher).arg(setting.vessel());
    let examination = json(ended(command).expect_code(4));
    let why = examination["impossible"].as_str().unwrap_or_default();
    assert!(why.contains("open files") && why.contains("ulimit"), "{examination}");
}

/// Whoever asks in the home directory, which can be no vessel, learns about the host all the same.
#[test]
fn in_the_home_directory_it_tries_another() {
    for user in users() {
        let setting = Setting::new("doctor-home", user);
        let mut command = as_user(user, &integration::bin("repy-launch"));
        command.args(["doctor", "--json"]).current_dir(setting.vessel()).env("HOME", setting.vessel());
        let at_home = ended(command);
        let elsewhere = doctor(&setting, &["--json"]);
        assert_eq!(at_home.code(), elsewhere.code(), "{at_home:?}");
        assert!(json(&at_home)["trial"].is_null() && json(&elsewhere)["trial"].is_null(), "{at_home:?}");
        // Named, it is refused.
        let mut command = as_user(user, &integration::bin("repy-launch"));
        command.args(["doctor", "--vessel", "."]).current_dir(setting.vessel()).env("HOME", setting.vessel());
        assert!(ended(command).stdout.contains("it is your home directory"));
    }
}

/// The short form names what is missing and nothing else.
#[test]
fn quiet_and_verbose_say_less_and_more() {
    for user in users() {
        let setting = Setting::new("doctor-quiet", user);
        let examination = json(&doctor(&setting, &["--json"]));
        let quiet = doctor(&setting, &["-q"]);
        for layer in missing(&examination) {
            assert!(quiet.stdout.contains(&format!("{layer}: ")), "{quiet:?}");
        }
        assert_eq!(quiet.stdout.is_empty(), quiet.code() == 0, "{quiet:?}");
        let (usual, more) = (doctor(&setting, &[]).stdout, doctor(&setting, &["-v"]).stdout);
        assert!(quiet.stdout.len() < usual.len() && usual.len() < more.len());
        assert!(more.contains("what each layer needs"), "{more}");
    }
}

#[test]
fn a_vessel_that_cannot_be_used_is_an_error_of_the_command_line() {
    let setting = Setting::new("doctor-vessel", User::Caller);
    let file = setting.write("file", "");
    let mut command = as_user(User::Caller, &integration::bin("repy-launch"));
    command.arg("doctor").arg("--vessel").arg(file);
    ended(command).expect_code(2).expect_stderr("not a directory");
}

/// What `doctor` names where AppArmor restricts namespaces is a profile that AppArmor's own tool
/// reads. Versions before 4 know no `userns`: there all but that line is read.
#[test]
fn the_profile_for_apparmor_is_one() {
    if !has("apparmor_parser") {
        return skipped("apparmor_parser is not installed");
    }
    let setting = Setting::new("doctor-apparmor", User::Caller);
    let profile = integration::project_root().join("packaging/apparmor/repy-launch");
    let mut text = std::fs::read_to_string(profile).expect("the profile");
    assert!(text.contains("abi <abi/4.0>,") && text.contains("  userns,\n"), "{text}");
    if !std::path::Path::new("/etc/apparmor.d/abi/4.0").exists() {
        text = text.replace("abi <abi/4.0>,\n", "").replace("  userns,\n", "");
    }
    let read = |text: &str| {
        let mut command = Command::new("apparmor_parser");
        command.args(["--skip-kernel-load", "--skip-cache"]).arg(setting.write("profile", text));
        ended(command)
    };
    read(&text).expect_code(0);
    // The twin: a profile that is none is refused.
    assert_ne!(read(&text.replace("include if", "includes if")).code(), 0);
}

/// A plain run under `Launch` still works beside all this: the suite's own bed is sound.
#[test]
fn the_bed_of_these_tests_is_sound() {
    for user in users() {
        let setting = Setting::new("doctor-bed", user);
        let launch: Launch = setting.launch(&wide_policy(), "print 'ran'\nexitall()\n");
        launch.run(60).expect_code(0).expect_stdout("ran\n");
    }
}
