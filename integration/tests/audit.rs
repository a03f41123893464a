//! `audit` on live runs: all as planned; then each thing that can be changed from
//! outside is changed, and noticed; and a run that lacks a layer which its record
//! claims is found out.
#![allow(missing_docs)]

use integration::live::{tool, LiveRun, IDLE};
use integration::run::{users, User};
use integration::setting::{wide_policy, Setting};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn live(setting: &Setting, label: &str, options: &[&str]) -> LiveRun {
    let launch = setting.launch(&wide_policy(), IDLE);
    let launch = options.iter().fold(launch, |launch, word| launch.option(word));
    LiveRun::start(launch, setting.user(), label)
}

/// The audit of one run: exit code and lines.
#[track_caller]
fn audit(run: &LiveRun, user: User) -> (i32, Vec<Value>) {
    let finished = tool(user, &["audit", run.name(), "--json"]);
    let audits: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    (finished.code(), audits[0]["lines"].as_array().expect("lines").clone())
}

/// What differs: "step: expected".
fn differing(lines: &[Value]) -> Vec<String> {
    let differs = lines.iter().filter(|line| line["state"] == "DIFFERS");
    differs.map(|line| format!("{}: {} (found {})", line["step"], line["expected"], line["found"])).collect()
}

fn root_with(what: &str) -> bool {
    if !integration::is_root() {
        integration::skipped(&format!("{what} needs root"));
    }
    integration::is_root()
}

/// The bounds of a vessel in memory are the kernel's, and are looked at.
#[test]
fn a_scratch_vessel_is_as_planned_and_says_so() {
    for user in users() {
        let setting = Setting::new("audit-scratch", user);
        let run = live(&setting, "scratch", &["--scratch"]);
        let (_, lines) = audit(&run, user);
        assert_eq!(differing(&lines), [""; 0]);
        let bounds = lines.iter().find(|line| line["step"] == "scratch vessel").expect("its line");
        assert_eq!((&bounds["state"], &bounds["by"]), (&"OK".into(), &"kernel".into()));
        assert_eq!(bounds["found"], "tmpfs size=48828k nr_inodes=12208", "{bounds}");
    }
}

#[test]
fn a_run_is_as_planned_and_says_so() {
    for user in users() {
        let setting = Setting::new("audit", user);
        let run = live(&setting, "as-planned", &[]);
        let (code, lines) = audit(&run, user);
        assert_eq!(differing(&lines), [""; 0]);
        let unseen: Vec<&Value> = lines.iter().filter(|line| line["state"] == "CANNOT SEE").collect();
        if user == User::Caller && integration::is_root() {
            assert_eq!((code, unseen.len()), (0, 0), "{unseen:?}");
            assert!(lines.len() > 45, "{}", lines.len());
        } else {
            // The filter's text is for root alone.
            assert_eq!(code, 3);
            assert!(unseen.iter().all(|line| line["step"] == "system call filter"), "{unseen:?}");
        }
        let by_record: Vec<&str> = lines
            .iter()
            .filter(|line| line["by"] != "kernel")
            .filter_map(|line| line["step"].as_str())
            .collect();
        for step in ["landlock", "death with the launcher"] {
            assert!(by_record.contains(&step), "{by_record:?}");
        }
        let text = tool(user, &["audit", run.name()]).stdout;
        assert!(text.contains(" 0 DIFFERS") && text.contains("(as recorded before exec)"), "{text}");
        assert_eq!(tool(user, &["audit", "--all"]).stdout.matches(run.name()).count(), 1);
    }
}

#[test]
fn every_line_has_a_command_that_works_without_this_tool() {
    if !root_with("reading the filter back") {
        return;
    }
    let setting = Setting::new("audit", User::Caller);
    let run = live(&setting, "commands", &[]);
    let (_, lines) = audit(&run, User::Caller);
    let have = |name: &str| Command::new(name).arg("--version").output().is_ok();
    for line in &lines {
        let command = line["command"].as_str().expect("a command");
        if (command.starts_with("python3") && !have("python3"))
            || (command.starts_with("prlimit") && !have("prlimit"))
        {
            integration::skipped(command);
            continue;
        }
        let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !text.is_empty(), "{command}: {output:?}");
        if let Some(found) = line["found"].as_str().filter(|_| command.starts_with("cat /sys/fs/cgroup")) {
            assert_eq!(text.trim(), found, "{command}");
        }
        if command.starts_with("python3") {
            let digest = line["found"].as_str().and_then(|found| found.rsplit(' ').next()).expect("a digest");
            assert!(text.trim().ends_with(digest), "{text} {digest}");
        }
    }
}

/// What the commands of differing rows print, pasted into a shell: what the row says was found.
#[track_caller]
fn shown_by_shell(lines: &[Value], step: &str, words: &[&str]) {
    let differs =
        |line: &&Value| line["state"] == "DIFFERS" && line["step"].as_str().is_some_and(|s| s == step);
    let line = lines
        .iter()
        .find(differs)
        .unwrap_or_else(|| panic!("nothing differs at {step}: {:?}", differing(lines)));
    let command = line["command"].as_str().expect("a command");
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    for word in words {
        assert!(text.contains(word), "{command} prints {text:?}, which lacks {word:?} of the row {line}");
    }
}

/// Whoever pastes the commands of an audit that found something sees the same.
#[test]
fn the_commands_show_what_was_tampered_with() {
    if !root_with("changing limits") || Command::new("prlimit").arg("-V").output().is_err() {
        return;
    }
    let setting = Setting::new("audit", User::Caller);
    let run = live(&setting, "tampered", &[]);
    let _still = Still::hold(&run);
    let pid = run.sandbox().to_string();
    let set = Command::new("prlimit").args(["--pid", &pid, "--nofile=61"]).status();
    assert!(set.is_ok_and(|status| status.success()));
    let (_, lines) = audit(&run, User::Caller);
    shown_by_shell(&lines, "process limits", &["61"]);
    let file = lines.iter().find_map(|line| {
        line["command"].as_str()?.strip_prefix("cat ").filter(|path| path.ends_with("/pids.max"))
    });
    if let Some(path) = file.map(PathBuf::from).filter(|path| fs::write(path, "7").is_ok()) {
        let (_, lines) = audit(&run, User::Caller);
        shown_by_shell(&lines, "control group", &["7"]);
        fs::write(path, "1").expect("set again");
    }
    kill(Pid::from_raw(run.sandbox()), Signal::SIGSTOP).expect("stopped");
    assert!(is_seen_to_stand(&run));
    let (_, lines) = audit(&run, User::Caller);
    let stands =
        lines.iter().find(|line| line["expected"].as_str().is_some_and(|text| text.contains("frozen")));
    let command = stands.and_then(|line| line["command"].as_str()).expect("its row");
    let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
    assert!(String::from_utf8_lossy(&output.stdout).contains("T (stopped)"), "{output:?}");
    kill(Pid::from_raw(run.sandbox()), Signal::SIGCONT).expect("continued");
    // A run without layers that its record claims.
    let whole = live(&setting, "whole-too", &[]);
    let lacking = live(&setting, "lacks", &["--without", "netns", "--without", "seccomp"]);
    let path = record_of(&lacking);
    let mut record = read(&path);
    record["rows"] = read(&record_of(&whole))["rows"].clone();
    fs::write(&path, record.to_string()).expect("written");
    let (_, lines) = audit(&lacking, User::Caller);
    shown_by_shell(&lines, "namespaces", &["net:["]);
    shown_by_shell(&lines, "system call filter", &["Seccomp:\t0"]);
}

/// The vessel's and the policy's names are the operator's, and may be odd; they are no words of a shell.
#[test]
fn odd_names_are_no_words_of_the_shell() {
    if !integration::is_root() {
        return integration::skipped("a vessel of this name is made as root");
    }
    let setting = Setting::new("audit 'odd' $(touch pwned) \"names\"", User::Caller);
    let run = live(&setting, "odd", &[]);
    let (code, lines) = audit(&run, User::Caller);
    assert_eq!((code, differing(&lines)), (0, vec![]));
    for line in &lines {
        let command = line["command"].as_str().expect("a command");
        let output =
            Command::new("sh").args(["-c", command]).current_dir(setting.vessel()).output().expect("a shell");
        assert!(
            output.status.success() || command.starts_with("prlimit") || command.starts_with("python3"),
            "{command}: {output:?}"
        );
    }
    assert_eq!(fs::read_dir(setting.vessel()).expect("readable").count(), 0);
    let text = tool(User::Caller, &["audit", "-v", run.name()]).stdout;
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

/// A run whose launcher holds still, so that it mends nothing meanwhile.
struct Still<'a>(&'a LiveRun);

impl<'a> Still<'a> {
    fn hold(run: &'a LiveRun) -> Still<'a> {
        kill(Pid::from_raw(run.launcher() as i32), Signal::SIGSTOP).expect("stopped");
        Still(run)
    }
}

impl Drop for Still<'_> {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.0.launcher() as i32), Signal::SIGCONT);
    }
}

#[test]
fn loosened_limits_of_the_group_are_noticed() {
    if !root_with("changing control groups") {
        return;
    }
    let setting = Setting::new("audit", User::Caller);
    let run = live(&setting, "loosened", &[]);
    let still = Still::hold(&run);
    let (_, lines) = audit(&run, User::Caller);
    let files: Vec<PathBuf> = lines
        .iter()
        .filter_map(|line| line["command"].as_str()?.strip_prefix("cat ")?.strip_prefix("/sys/fs/cgroup/"))
        .map(|path| Path::new("/sys/fs/cgroup").join(path))
        .filter(|path| path.is_file())
        .collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in &files {
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
        let other = match name {
            "cpu.cfs_quota_us" => "-1",
            "cpu.cfs_period_us" => "20000",
            "cpu.max" => "max 100000",
            "memory.oom.group" => "0",
            "pids.max" => "7",
            // Where swap counts, memory cannot exceed the two together.
            "memory.limit_in_bytes" => "40000000",
            _ => "900000000",
        };
        let before = fs::read_to_string(file).expect("readable");
        if fs::write(file, other).is_err() {
            integration::skipped(&format!("the kernel takes no other value of {}", file.display()));
            continue;
        }
        let (code, lines) = audit(&run, User::Caller);
        let differing = differing(&lines);
        assert_eq!(code, 1, "{name}");
        assert!(differing.iter().any(|line| line.contains(name)), "{name}: {differing:?}");
        fs::write(file, before.trim()).expect("set again");
    }
    let (code, lines) = audit(&run, User::Caller);
    assert_eq!((code, differing(&lines)), (0, vec![]));
    drop(still);
}

#[test]
fn a_process_moved_out_of_its_group_is_noticed() {
    if !root_with("moving between control groups") {
        return;
    }
    let setting = Setting::new("audit", User::Caller);
    let run = live(&setting, "moved", &[]);
    let still = Still::hold(&run);
    let listed = run.listed().expect("listed");
    let group = listed["groups"].as_array().and_then(|groups| groups.last()?.as_str()).map(PathBuf::from);
    let group = group.expect("a group");
    // To the group above, where it came from.
    let above = group.parent().expect("a group above").join("cgroup.procs");
    if fs::write(&above, run.sandbox().to_string()).is_err() {
        // Version 2: a group that hands out controllers takes no process.
        integration::skipped(&format!("{} takes no process", above.display()));
        return;
    }
    let (code, lines) = audit(&run, User::Caller);
    assert_eq!(code, 1);
    let differing = differing(&lines);
    assert!(differing.iter().any(|line| line.contains("it is in")), "{differing:?}");
    drop(still);
}

#[test]
fn a_stopped_or_frozen_process_is_noticed() {
    let setting = Setting::new("audit", User::Caller);
    let run = live(&setting, "stopped", &[]);
    if !integration::is_root() {
        integration::skipped("without a control group stopping is how the share is held");
        return;
    }
    let sandbox = Pid::from_raw(run.sandbox());
    kill(sandbox, Signal::SIGSTOP).expect("stopped");
    assert!(is_seen_to_stand(&run));
    kill(sandbox, Signal::SIGCONT).expect("continued");

    let freezer = Path::new("/sys/fs/cgroup/freezer");
    let listed = run.listed().expect("listed");
    let own = listed["groups"][0].as_str().map(|group| Path::new(group).join("cgroup.freeze"));
    if let Some(file) = own.filter(|file| file.is_file()) {
        fs::write(&file, "1").expect("frozen");
        let seen = is_seen_to_stand(&run);
        fs::write(&file, "0").expect("thawed");
        assert!(seen);
    } else if freezer.is_dir() {
        let group = freezer.join(format!("repy-audit-test-{}", std::process::id()));
        fs::create_dir(&group).expect("a group");
        fs::write(group.join("cgroup.procs"), sandbox.to_string()).expect("moved");
        fs::write(group.join("freezer.state"), "FROZEN").expect("frozen");
        let seen = is_seen_to_stand(&run);
        fs::write(group.join("freezer.state"), "THAWED").expect("thawed");
        fs::write(freezer.join("cgroup.procs"), sandbox.to_string()).expect("moved back");
        fs::remove_dir(&group).expect("removed");
        assert!(seen);
    } else {
        integration::skipped("no freezer here");
    }
}

/// Whether audits notice that a process stands still: signals and freezers take
/// their time.
fn is_seen_to_stand(run: &LiveRun) -> bool {
    (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (code, lines) = audit(run, User::Caller);
        code == 1 && differing(&lines).iter().any(|line| line.contains("frozen"))
    })
}

#[test]
fn changed_limits_of_the_process_are_noticed() {
    if !root_with("prlimit of another user's process") || Command::new("prlimit").arg("-V").output().is_err()
    {
        return;
    }
    let setting = Setting::new("audit", User::Caller);
    let run = live(&setting, "prlimit", &[]);
    // Lower ones: not every root may raise them.
    for (option, value, name) in
        [("--nofile", "60", "NOFILE"), ("--as", "300000000", "AS"), ("--fsize", "1000", "FSIZE")]
    {
        let pid = run.sandbox().to_string();
        let set = Command::new("prlimit").args(["--pid", &pid, &format!("{option}={value}")]).status();
        assert!(set.is_ok_and(|status| status.success()), "{option}");
        let (code, lines) = audit(&run, User::Caller);
        let differing = differing(&lines);
        assert_eq!(code, 1);
        assert!(
            differing.iter().any(|line| line.contains(&format!("RLIMIT_{name}"))),
            "{name}: {differing:?}"
        );
    }
}

/// The record file of a run.
fn record_of(run: &LiveRun) -> PathBuf {
    let start = format!("{}-", run.launcher());
    let entries = fs::read_dir("/run/repy-launch").expect("root's directory of records").flatten();
    let mut records = entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        name.starts_with(&start) && name.ends_with(".run")
    });
    records.next().expect("a record")
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON")
}

#[test]
fn a_run_that_lacks_a_layer_its_record_claims_is_found_out() {
    if !root_with("writing root's records") {
        return;
    }
    let setting = Setting::new("audit", User::Caller);
    let whole = live(&setting, "whole", &[]);
    let claimed = read(&record_of(&whole))["rows"].clone();
    for layer in ["cgroup", "userns", "mountns", "netns", "seccomp", "idmap"] {
        let run = live(&setting, &format!("lacks-{layer}"), &["--without", layer]);
        let (code, lines) = audit(&run, User::Caller);
        // As it was planned, without that layer, everything is in order.
        assert_eq!((code, differing(&lines)), (0, vec![]), "without {layer}");
        let path = record_of(&run);
        let mut record = read(&path);
        record["rows"] = claimed.clone();
        fs::write(&path, record.to_string()).expect("written");
        let (code, lines) = audit(&run, User::Caller);
        let differing = differing(&lines);
        assert_eq!(code, 1, "without {layer}");
        let step = match layer {
            "cgroup" => "control group",
            "userns" => "user namespace",
            "mountns" => "mount",
            "netns" => "net namespace",
            "seccomp" => "system call filter",
            _ => "idmapped",
        };
        assert!(differing.iter().any(|line| line.contains(step)), "without {layer}: {differing:?}");
    }
}

#[test]
fn what_no_trial_has_shown_is_not_said_to_hold() {
    if !root_with("writing root's records") {
        return;
    }
    let setting = Setting::new("audit", User::Caller);
    let run = live(&setting, "untried", &[]);
    let path = record_of(&run);
    let text = fs::read_to_string(&path).expect("readable");
    fs::write(&path, text.replace("\"holds\":true", "\"holds\":false")).expect("written");
    let (code, lines) = audit(&run, User::Caller);
    assert_eq!(code, 3);
    let unseen = lines.iter().filter(|line| line["state"] == "CANNOT SEE");
    assert!(unseen.clone().count() >= 4 && unseen.clone().any(|line| line["step"] == "landlock"));
}

#[test]
fn a_record_speaks_for_no_other_users_process() {
    if !root_with("two users") {
        return;
    }
    let roots = Setting::new("audit", User::Caller);
    let victim = live(&roots, "victim", &[]);
    let theirs = Setting::new("audit", User::Ordinary);
    let run = live(&theirs, "forger", &[]);
    let directory = PathBuf::from(format!("/tmp/repy-launch-{}", integration::run::ORDINARY.0));
    let start = format!("{}-", run.launcher());
    let entries = fs::read_dir(&directory).expect("their directory").flatten().map(|entry| entry.path());
    let path = entries
        .filter(|path| path.extension().is_some_and(|kind| kind == "run"))
        .find(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&start))
        })
        .expect("their record");
    let mut record = read(&path);
    record["sandbox"] = read(&record_of(&victim))["sandbox"].clone();
    fs::write(&path, record.to_string()).expect("written");
    assert!(!tool(User::Caller, &["ps"]).stdout.contains(run.name()));
    tool(User::Caller, &["audit", run.name()]).expect_code(2);
}

#[test]
fn a_missing_run_is_said_so() {
    tool(User::Caller, &["audit", "no-such-run"]).expect_code(2).expect_stderr("no live run");
    tool(User::Caller, &["audit"]).expect_code(2);
}
