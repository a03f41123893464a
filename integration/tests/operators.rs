//! What an operator sees of live runs: ps, stop, names, wall time, events, the
//! journal, metrics.
#![allow(missing_docs)]

use integration::live::{tool, LiveRun, IDLE};
use integration::run::{users, User};
use integration::setting::{wide_policy, wide_policy_with, Setting};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn a_live_run_is_listed_and_stopped_by_name() {
    for user in users() {
        let setting = Setting::new("ps", user);
        let mut run = LiveRun::start(setting.launch(&wide_policy(), IDLE), user, "by-name");
        let listed = run.listed().expect("listed");
        assert_eq!(listed["launcher"], run.launcher());
        assert!(listed["sandbox"].as_i64().is_some_and(|pid| pid > 0));
        assert_eq!(listed["limits"]["memory"], 50_000_000.0);
        assert_eq!(listed["layers"]["seccomp"], "enforced");
        let table = tool(user, &["ps"]).expect_code(0).stdout.clone();
        assert!(
            table.lines().any(|line| line.contains(run.name()) && line.contains("program.repy")),
            "{table}"
        );

        tool(user, &["stop", run.name()]).expect_code(0);
        assert_eq!(run.wait(), 143);
        assert!(run.listed().is_none(), "the record goes with the run");
        tool(user, &["stop", run.name()]).expect_code(2).expect_stderr("no live run");
    }
}

#[test]
fn a_run_is_stopped_by_either_number() {
    let setting = Setting::new("ps", User::Caller);
    for number in [|run: &LiveRun| run.launcher().to_string(), |run: &LiveRun| run.sandbox().to_string()] {
        let mut run = LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "by-number");
        tool(User::Caller, &["stop", &number(&run)]).expect_code(0);
        assert_eq!(run.wait(), 143);
    }
}

#[test]
fn a_name_that_two_runs_have_stops_neither() {
    let setting = Setting::new("ps", User::Caller);
    let start = || LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "twice");
    let (first, second) = (start(), start());
    tool(User::Caller, &["stop", first.name()]).expect_code(2).expect_stderr("several runs");
    assert!(Path::new(&format!("/proc/{}", first.launcher())).exists());
    tool(User::Caller, &["stop", &first.launcher().to_string()]).expect_code(0);
    tool(User::Caller, &["stop", second.name()]).expect_code(0);
}

#[test]
fn users_see_their_own_runs_and_root_sees_all() {
    if !integration::is_root() {
        return;
    }
    let (roots, theirs) = (Setting::new("ps", User::Caller), Setting::new("ps", User::Ordinary));
    let of_root = LiveRun::start(roots.launch(&wide_policy(), IDLE), User::Caller, "of-root");
    let of_user = LiveRun::start(theirs.launch(&wide_policy(), IDLE), User::Ordinary, "of-user");
    let seen = |user| tool(user, &["ps"]).stdout;
    assert!(seen(User::Caller).contains(of_root.name()) && seen(User::Caller).contains(of_user.name()));
    assert!(!seen(User::Ordinary).contains(of_root.name()) && seen(User::Ordinary).contains(of_user.name()));
    tool(User::Ordinary, &["stop", of_root.name()]).expect_code(2);
    tool(User::Caller, &["stop", of_user.name()]).expect_code(0);
}

#[test]
fn the_record_of_a_killed_launcher_is_gone_after_the_next_start() {
    let setting = Setting::new("ps", User::Caller);
    let mut killed = LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "killed");
    kill(Pid::from_raw(killed.launcher() as i32), Signal::SIGKILL).expect("signalled");
    killed.wait();
    assert!(killed.listed().is_none(), "a dead launcher is not listed");
    let records = || {
        let directories =
            ["/run/repy-launch".to_owned(), format!("/tmp/repy-launch-{}", nix::unistd::geteuid())];
        let entries = directories.iter().filter_map(|path| std::fs::read_dir(path).ok()).flatten().flatten();
        let start = format!("{}-", killed.launcher());
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&start)).count()
    };
    let _next = LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "next");
    assert_eq!(records(), 0);
}

#[test]
fn the_wall_time_ends_a_run_and_is_named() {
    let setting = Setting::new("wall", User::Caller);
    let report = setting.beside("report.json");
    let launch = setting.launch(&wide_policy(), IDLE).option("--wall").option("0.5");
    launch.option("--report").option(&report).run(20).expect_code(7).expect_stderr("--wall");
    let report: Value = serde_json::from_slice(&std::fs::read(report).expect("written")).expect("JSON");
    assert_eq!(report["exit_code"], 7);
    assert!(report["reason"].as_str().is_some_and(|reason| reason.contains("--wall")));
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn names(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["event"].as_str()).collect()
}

#[test]
fn events_tell_a_run_from_start_to_end() {
    let setting = Setting::new("events", User::Caller);
    let events = setting.beside("events");
    let program = "for i in range(3):\n  try:\n    sleep(0.01)\n  except Exception:\n    pass\n";
    let policy = wide_policy().replace("call sleep allow\n", "");
    setting.launch(&policy, program).option("--events").option(&events).run(20).expect_code(0);
    let told = lines(&events);
    assert_eq!((names(&told).first(), names(&told).last()), (Some(&"started"), Some(&"ended")), "{told:?}");
    // The text runs twice, for initialize and for exit.
    let denied = told.iter().rfind(|line| line["event"] == "denied").expect("a denial");
    assert_eq!((&denied["resource"], &denied["total"]), (&"call".into(), &6.into()));
    assert_eq!(told.last().map(|line| &line["exit_code"]), Some(&0.into()));
    for (index, line) in told.iter().enumerate() {
        assert_eq!(line["sequence"], index as u64);
    }

    // A run that never begins has an end too.
    std::fs::remove_file(&events).expect("there");
    setting.launch("nonsense\n", "pass\n").option("--events").option(&events).run(20).expect_code(2);
    assert_eq!(names(&lines(&events)), ["ended"]);
}

#[test]
fn events_name_the_limit_and_the_throttling() {
    let setting = Setting::new("events", User::Caller);
    let events = setting.beside("events");
    // Small objects: one that is too large alone raises MemoryError.
    let hog = "held = []\nwhile True:\n  held.append('x' * 1000 + str(len(held)))\n";
    let launch = setting.launch(&wide_policy_with("memory", "30000000"), hog);
    launch.option("--events").option(&events).run(60).expect_code(5);
    let told = lines(&events);
    let limit = told.iter().find(|line| line["event"] == "limit").expect("a limit");
    assert_eq!((&limit["resource"], &limit["limit"]), (&"memory".into(), &30_000_000.0.into()));
    assert_eq!(told.last().map(|line| &line["exit_code"]), Some(&5.into()));

    std::fs::remove_file(&events).expect("there");
    let busy = "while True:\n  pass\n";
    let launch = setting.launch(&wide_policy_with("cpu", "0.1"), busy).option("--wall").option("3");
    launch.option("--events").option(&events).run(60).expect_code(7);
    let told = lines(&events);
    assert!(names(&told).contains(&"throttled"), "{told:?}");
    assert!(told.iter().any(|line| line["event"] == "limit" && line["resource"] == "wall"));
}

#[test]
fn events_reach_the_journal() {
    let setting = Setting::new("journal", User::Caller);
    let path = setting.beside("journal");
    let journald = UnixDatagram::bind(&path).expect("bound");
    journald.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
    let mut option = std::ffi::OsString::from("--journald=");
    option.push(&path);
    setting.launch(&wide_policy(), "print 'x'\n").option(option).run(20).expect_code(0);
    let mut buffer = vec![0; 65_536];
    let mut entries = Vec::new();
    while !entries.iter().any(|entry: &String| entry.contains("REPY_EVENT=ended\n")) {
        let length = journald.recv(&mut buffer).expect("an entry");
        entries.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert!(
        entries[0].contains("REPY_EVENT=started\n") && entries[0].contains("SYSLOG_IDENTIFIER=repy-launch\n")
    );
    assert!(
        entries.last().is_some_and(|entry| entry.contains("MESSAGE=ended: done (exit 0)")),
        "{entries:?}"
    );
    // Where no journal listens, the run goes on as ever.
    let launch = setting.launch(&wide_policy(), "print 'x'\n").option("--journald=/nonexistent/socket");
    launch.run(20).expect_code(0).expect_stdout("x\nx\n");
}

#[test]
fn metrics_are_kept_and_tell_the_outcome() {
    let setting = Setting::new("metrics", User::Caller);
    let path = setting.beside("run.prom");
    let launch = setting.launch(&wide_policy(), IDLE).option("--metrics").option(&path);
    let mut run = LiveRun::start(launch, User::Caller, "metrics");
    let deadline = Instant::now() + Duration::from_secs(10);
    let during = loop {
        match std::fs::read_to_string(&path) {
            Ok(text) => break text,
            Err(_) => assert!(Instant::now() < deadline, "no metrics"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(during.ends_with("# EOF\n"));
    let labels = format!("{{run=\"{}\",pid=\"{}\"", run.name(), run.launcher());
    for name in ["repy_up", "repy_limit", "repy_memory_bytes", "repy_cpu_seconds_total", "repy_denied_total"]
    {
        assert!(during.contains(&format!("{name}{labels}")), "{name} is missing:\n{during}");
    }
    // Every resource has its limit, and every one that is counted its use and its denials.
    for facts in policies::RESOURCES.iter() {
        let resource = format!(",resource=\"{}\"}} ", facts.name);
        let told = |family: &str| {
            let start = format!("{family}{labels},");
            during.lines().any(|line| line.starts_with(&start) && line.contains(&resource))
        };
        assert!(told("repy_limit"), "no limit of {}:\n{during}", facts.name);
        let elsewhere = ["cpu", "memory", "messport", "connport"].contains(&facts.name);
        for family in ["repy_used_total", "repy_peak", "repy_denied_total", "repy_waited_seconds_total"] {
            assert!(elsewhere || told(family), "no {family} of {}:\n{during}", facts.name);
        }
    }
    for ending in ["done", "exception", "memory limit", "disk limit", "hard limit", "stopped", "terminated"] {
        assert!(during.contains(&format!("ending=\"{ending}\"}} 0\n")), "{ending}:\n{during}");
    }
    assert!(!during.contains("repy_exit_code"));
    tool(User::Caller, &["stop", run.name()]).expect_code(0);
    assert_eq!(run.wait(), 143);
    let after = std::fs::read_to_string(&path).expect("kept");
    assert!(after.contains("ending=\"terminated\"} 1\n"), "{after}");
    assert!(after.lines().any(|line| line.starts_with("repy_exit_code{") && line.ends_with("} 143")));
}

#[test]
fn files_that_cannot_be_written_are_bad_input() {
    let setting = Setting::new("metrics", User::Caller);
    for option in ["--metrics", "--events"] {
        let launch = setting.launch(&wide_policy(), "print 'x'\n").option(option);
        launch.option("/nonexistent/directory/file").run(20).expect_code(2).expect_stdout("");
    }
}

/// `top` on a terminal of tmux's, torn down with the test.
struct Terminal(String);

impl Terminal {
    fn start(label: &str) -> Terminal {
        let terminal = Terminal(format!("repy-top-{}-{label}", std::process::id()));
        let program = integration::bin("repy-launch").to_string_lossy().into_owned();
        let started =
            terminal.tmux(&["new-session", "-d", "-s", "top", "-x", "170", "-y", "40", &program, "top"]);
        assert!(started.status.success(), "{started:?}");
        // Keys that come before it listens are thrown away.
        terminal.until("a table", |screen| screen.contains("q quit"));
        terminal
    }

    fn tmux(&self, words: &[&str]) -> std::process::Output {
        let mut command = std::process::Command::new("tmux");
        command.args(["-L", &self.0, "-f", "/dev/null"]).args(words).env("TERM", "xterm");
        command.output().expect("tmux")
    }

    fn key(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "top", key]);
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    fn until(&self, what: &str, good: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let output = self.tmux(&["capture-pane", "-p", "-t", "top"]);
            let screen = String::from_utf8_lossy(&output.stdout).into_owned();
            if good(&screen) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn top_shows_selects_explains_and_stops() {
    if std::process::Command::new("tmux").arg("-V").output().is_err() {
        return integration::skipped("tmux is not installed");
    }
    let setting = Setting::new("top", User::Caller);
    let mut run = LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "aa-top");
    let terminal = Terminal::start("stops");
    // By name: this run is the first then, whatever else runs on this host.
    terminal.key("n");
    let shown = run.name()[..14.min(run.name().len())].to_owned();
    terminal.until("the run is in the table", |screen| {
        screen.lines().nth(2).is_some_and(|line| line.starts_with(&shown) && line.contains("/50.0M"))
    });
    terminal.key("Enter");
    terminal.until("details", |screen| screen.contains("RESOURCE") && screen.contains("vessel "));
    terminal.key("Enter");
    terminal.until("the table again", |screen| !screen.contains("RESOURCE"));
    terminal.key("s");
    terminal.until("a question", |screen| screen.contains(&format!("stop {}? y/n", run.name())));
    terminal.key("n");
    terminal.until("no question", |screen| !screen.contains("y/n"));
    assert!(run.listed().is_some(), "not stopped without a yes");
    terminal.key("s");
    terminal.until("a question", |screen| screen.contains(&format!("stop {}? y/n", run.name())));
    terminal.key("y");
    assert_eq!(run.wait(), 143);
    terminal.until("the run is gone", |screen| !screen.contains(&shown));
    terminal.key("q");
}

#[test]
fn top_sorts_by_every_key_and_scrolls_to_the_selected_run() {
    if std::process::Command::new("tmux").arg("-V").output().is_err() {
        return integration::skipped("tmux is not installed");
    }
    let setting = Setting::new("top", User::Caller);
    let _run = LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "keys");
    let terminal = Terminal::start("keys");
    for (key, order) in
        [("m", "memory"), ("d", "disk"), ("x", "denied"), ("u", "uptime"), ("n", "name"), ("c", "cpu")]
    {
        terminal.key(key);
        terminal.until(order, |screen| screen.contains(&format!("[{order}]")));
    }
    terminal.key("q");
}

#[test]
fn quiet_and_verbose_say_less_and_more() {
    let setting = Setting::new("quiet", User::Caller);
    let run = LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "quiet");
    let launcher = run.launcher().to_string();
    let less = tool(User::Caller, &["ps", "-q"]).expect_code(0).stdout.clone();
    assert!(less.lines().any(|line| line == launcher), "{less}");
    assert!(less.lines().all(|line| line.parse::<u32>().is_ok()), "{less}");
    let more = tool(User::Caller, &["ps", "-v"]).expect_code(0).stdout.clone();
    let vessel = setting.vessel().to_string_lossy().into_owned();
    assert!(more.contains("VESSEL") && more.contains(&vessel) && more.contains("policy.test"), "{more}");
    let audits = |word| tool(User::Caller, &["audit", word, run.name()]).stdout;
    let (less, usual, more) =
        (audits("--quiet"), tool(User::Caller, &["audit", run.name()]).stdout, audits("-v"));
    assert!(less.lines().count() < usual.lines().count() && usual.lines().count() < more.lines().count());
    assert!(less.contains(" 0 DIFFERS") && more.contains("found: 1"), "{less}\n{more}");
    tool(User::Caller, &["stop", "-q", run.name()]).expect_code(0).expect_stdout("");
    let run = LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "verbose");
    let said = tool(User::Caller, &["stop", "-v", run.name()]).expect_code(0).stdout.clone();
    assert!(
        said.contains(&format!("launcher {}", run.launcher())) && said.contains("program.repy"),
        "{said}"
    );
}

/// Whoever reads a command's output may stop reading.
#[test]
fn a_reader_that_goes_is_no_error_and_a_full_disk_is() {
    let setting = Setting::new("pipe", User::Caller);
    let policy = setting.write("policy.test", wide_policy());
    let program = setting.write("program.repy", "sleep(0)\n");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (policy, program) = (text(&policy), text(&program));
    for words in [
        &["explain", &policy][..],
        &["explain", &policy, &program],
        &["check", &policy, &program],
        &["ps"],
        &["audit", "--all"],
        &["top", "--once"],
        &["--plan", "--policy", &policy, &program],
        &["--help"],
    ] {
        let start = |out: std::process::Stdio| {
            let mut command = std::process::Command::new(integration::bin("repy-launch"));
            command.args(words).current_dir(setting.vessel());
            command.stdout(out).stderr(std::process::Stdio::piped()).output().expect("it ends")
        };
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        drop(reader);
        let gone = start(writer.into());
        assert!(!String::from_utf8_lossy(&gone.stderr).contains("internal error"), "{words:?}: {gone:?}");
        assert_ne!(gone.status.code(), Some(70), "{words:?}: {gone:?}");
        assert!(gone.status.code().is_some(), "{words:?}: {gone:?}");
    }
    let full = std::fs::File::options().write(true).open("/dev/full").expect("there");
    let mut command = std::process::Command::new(integration::bin("repy-launch"));
    command.args(["explain", &policy]).stdout(full).stderr(std::process::Stdio::piped());
    let said = command.output().expect("it ends");
    assert_eq!(said.status.code(), Some(2), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stderr).contains("standard output"), "{said:?}");
}

#[test]
fn top_once_and_as_json() {
    let setting = Setting::new("top", User::Caller);
    let busy = "print 'started'\nwhile True:\n  pass\n";
    let run = LiveRun::start(setting.launch(&wide_policy_with("cpu", "0.2"), busy), User::Caller, "once");
    let table = tool(User::Caller, &["top", "--once"]).expect_code(0).stdout.clone();
    assert!(table.contains("NAME") && table.contains(&run.name()[..14.min(run.name().len())]), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours where there is no terminal");
    let text = tool(User::Caller, &["top", "--json"]).expect_code(0).stdout.clone();
    let rows: Value = serde_json::from_str(&text).expect("JSON");
    let row =
        rows.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == run.name())).expect("the run");
    assert_eq!(row["now"]["cpu"]["limit"], 0.2);
    // How much it gets is for the tests of limits; that it is told is for this one.
    assert!(row["now"]["cpu"]["used"].as_f64().is_some_and(|used| used > 0.0), "{row}");
    assert!(row["limits"]["memory"].is_number() && row["use"]["memory"].is_number());
}

/// A launcher in a time namespace sees every process as one that started at another time: it
/// must not sweep what belongs to live launchers.
#[test]
fn a_launcher_with_another_clock_takes_nothing_from_others() {
    if !integration::is_root() {
        return integration::skipped("a time namespace needs root");
    }
    let setting = Setting::new("clock", User::Caller);
    let run = LiveRun::start(setting.launch(&wide_policy(), IDLE), User::Caller, "clock");
    // Empty, as a group is for a moment before its process joins it.
    let listed = run.listed().expect("listed");
    let group = listed["groups"][0].as_str().expect("a group");
    let empty = std::path::PathBuf::from(format!("{}-broker2", group.trim_end_matches("/program")));
    std::fs::create_dir(&empty).expect("a group");
    let other = Setting::new("clock", User::Caller);
    let launch = other.launch(&wide_policy(), "print 'done'\n").option("--simple").command();
    let mut command = std::process::Command::new("unshare");
    command.args(["--time", "--boottime", "1000000"]).arg(launch.get_program()).args(launch.get_args());
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let second = integration::run::finish(command, Duration::from_secs(30));
    let stays = std::fs::remove_dir(&empty).is_ok();
    if second.stderr.contains("unshare") {
        return integration::skipped("this kernel or unshare has no time namespaces");
    }
    second.expect_code(0).expect_stdout("done\n");
    assert!(stays, "a group of a live launcher was swept");
    assert!(run.listed().is_some(), "the record of a live run was swept");
}
