//! `repy-launch learn`: a run under wide limits gives a restrictions file under which the same run works.
#![allow(missing_docs)]

use integration::network::{Network, OWN_ADDRESS, SERVER_ADDRESS};
use integration::run::{as_user, finish, users, Finished, User};
use integration::setting::Setting;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn learn(setting: &Setting, options: &[&str], program: &Path, arguments: &[&str]) -> Command {
    let mut command = as_user(setting.user(), &integration::bin("repy-launch"));
    command.arg("learn").arg("--vessel").arg(setting.vessel());
    if setting.user() == User::Ordinary || !integration::is_root() {
        command.args(["--without", "cgroup"]);
    }
    command.args(options).arg(program).arg("--").args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Learns from a run, and runs again under what was learnt.
fn round_trip(user: User, program: &str, text: &str, arguments: &[&str]) -> (Finished, Finished, String) {
    let setting = Setting::new("learn", user);
    let path = setting.write(program, text);
    let first = finish(learn(&setting, &[], &path, arguments), Duration::from_secs(90));
    // Learning leaves its traces in the vessel as any run does.
    for entry in std::fs::read_dir(setting.vessel()).expect("readable").flatten() {
        std::fs::remove_file(entry.path()).expect("removable");
    }
    let policy = setting.write("learnt.test", &first.stdout);
    let mut launch = setting.launch_files(&policy, &path);
    for word in arguments {
        launch = launch.argument(word);
    }
    let second = launch.run(90);
    let learnt = first.stdout.clone();
    (first, second, learnt)
}

#[test]
fn programs_without_a_network_run_under_what_was_learnt() {
    for user in users() {
        for (example, arguments, shown) in [
            ("example.1.1.repy", &[][..], "Hello World\n"),
            ("example.2.1.repy", &[], "hello world\n\n"),
            ("example.2.2.repy", &["one", "two"], "['one', 'two']"),
        ] {
            let path = integration::project_root().join("examples").join(example);
            let text = std::fs::read_to_string(path).expect("the example");
            let (first, second, learnt) = round_trip(user, example, &text, arguments);
            first.expect_code(0);
            assert!(first.stderr.contains(shown), "its output is aside: {first:?}");
            assert_eq!(second.code(), 0, "under\n{learnt}\n{second:?}");
            assert!(second.stdout.contains(shown), "{second:?}");
        }
    }
}

#[test]
fn what_was_not_used_is_not_granted() {
    for user in users() {
        let text = "if callfunc == 'initialize':\n  f = open('a.txt', 'w')\n  f.write('x' * 5000)\n  f.close()\n  print randomfloat() < 1\n";
        let (first, second, learnt) = round_trip(user, "p.repy", text, &[]);
        first.expect_code(0);
        second.expect_code(0).expect_stdout("True\n");
        for line in [
            "call open arg 0 is a.txt arg 1 is w allow",
            "call file.write allow",
            "call randomfloat allow",
            "resource random 2",
            "resource filewrite 10000",
        ] {
            assert!(learnt.contains(line), "{line:?} is missing:\n{learnt}");
        }
        for word in ["openconn", "messport", "netsend", "removefile", "insockets"] {
            assert!(!learnt.contains(word), "{word} is there:\n{learnt}");
        }
        // The twin: another file is denied under it.
        let setting = Setting::new("learn-other", user);
        let policy = setting.write("learnt.test", &learnt);
        let other = setting.write("q.repy", text.replace("a.txt", "b.txt"));
        setting.launch_files(policy, other).run(60).expect_code(1).expect_stderr("Call 'open' with args");
    }
}

#[test]
fn refused_programs_failing_programs_and_files() {
    for user in users() {
        let setting = Setting::new("learn-bad", user);
        let bad = setting.write("bad.repy", "import os\n");
        let run = finish(learn(&setting, &[], &bad, &[]), Duration::from_secs(60));
        run.expect_code(3).expect_stdout("").expect_stderr("bad.repy:1:1");
        let fails = setting.write("fails.repy", "sleep(0.01)\nprint 1 / 0\n");
        let run = finish(learn(&setting, &[], &fails, &[]), Duration::from_secs(60));
        run.expect_code(1).expect_stderr("ZeroDivisionError").expect_stderr("exit 1");
        assert!(run.stdout.contains("call sleep allow"), "{run:?}");
        let endless = setting.write("endless.repy", "while True:\n  sleep(0.05)\n");
        let run = finish(learn(&setting, &["--wall", "1"], &endless, &[]), Duration::from_secs(60));
        run.expect_code(7);
        assert!(run.stdout.contains("call sleep allow"), "{run:?}");
        let place = setting.vessel().join("out.test");
        let hello = setting.write("hello.repy", "print 'hello'\n");
        let options = ["-o", place.to_str().expect("text")];
        finish(learn(&setting, &options, &hello, &[]), Duration::from_secs(60))
            .expect_code(0)
            .expect_stdout("hello\nhello\n");
        let learnt = std::fs::read_to_string(place).expect("written");
        assert!(learnt.contains("call log.write allow"), "{learnt}");
        // The policy does not lie over the program that it is learnt from.
        let options = ["-o", hello.to_str().expect("text")];
        finish(learn(&setting, &options, &hello, &[]), Duration::from_secs(60))
            .expect_code(2)
            .expect_stdout("")
            .expect_stderr("program");
        assert_eq!(std::fs::read_to_string(&hello).expect("there"), "print 'hello'\n");
    }
}

/// One way through a program of the tutorial: how it is reached, and how it ends.
struct Way {
    example: &'static str,
    arguments: &'static [&'static str],
    url: Option<String>,
    stopped: bool,
}

fn stop(child: Child) -> Finished {
    // nsenter has become the launcher: the signal reaches it directly.
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("signalled");
    output(child)
}

fn output(child: Child) -> Finished {
    let start = Instant::now();
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Finished {
        status: output.status,
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        elapsed: start.elapsed(),
    }
}

/// Whether the page comes, within thirty seconds.
fn answers(network: &Network, url: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if network.curl(url).is_some_and(|page| page.contains("Hello World")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

fn go(network: &Network, command: &Command, way: &Way) -> Finished {
    let child = network.inside(command).spawn().expect("the launcher starts");
    if let Some(url) = &way.url {
        for _ in 0..2 {
            if !answers(network, url) {
                let run = stop(child);
                panic!("nobody answered at {url}: {run:?}");
            }
        }
        // What is used is told ten times in a second.
        std::thread::sleep(Duration::from_secs(1));
    } else if way.stopped {
        std::thread::sleep(Duration::from_secs(3));
    }
    if way.stopped {
        stop(child)
    } else {
        output(child)
    }
}

fn network_for(way: &Way) -> Option<Network> {
    let mut network = Network::new("learn-net")?;
    let mut names = format!("{SERVER_ADDRESS} www.google.com\n");
    for word in std::fs::read_to_string(source(way.example)).expect("the example").split('"') {
        if word.contains('.')
            && !word.contains(' ')
            && word != "www.google.com"
            && word != "www.wikipedia.com"
        {
            names.push_str(&format!("{SERVER_ADDRESS} {word}\n"));
        }
    }
    network.names(&names, &format!("nameserver {SERVER_ADDRESS}\n"));
    match way.example {
        "example.4.1.repy" => network.serve(&["dns", &format!("{SERVER_ADDRESS}:53"), "2", "198.51.100.7"]),
        "example.4.2.repy" => network.serve(&["ntp", &format!("{SERVER_ADDRESS}:123")]),
        _ => network.serve(&["http", &format!("{SERVER_ADDRESS}:80")]),
    }
    Some(network)
}

fn source(example: &str) -> PathBuf {
    integration::project_root().join("examples").join(example)
}

fn learnt_from(way: &Way) {
    let Some(network) = network_for(way) else { return };
    let setting = Setting::new("learn-way", User::Caller);
    let path = setting.copy(&format!("examples/{}", way.example));
    let expected = if way.stopped { 130 } else { 0 };
    let first = go(&network, &learn(&setting, &[], &path, way.arguments), way);
    assert_eq!(first.code(), expected, "{}: {first:?}", way.example);
    let policy = setting.write("learnt.test", &first.stdout);
    let mut launch = setting.launch_files(&policy, &path);
    for word in way.arguments {
        launch = launch.argument(word);
    }
    let second = go(&network, &launch.command(), way);
    // The time server is drawn by lot: another one is another rule.
    let other_server =
        way.example == "example.4.2.repy" && second.stderr.contains("Call 'sendmess' with args");
    if !other_server {
        assert_eq!(second.code(), expected, "{} under\n{}\n{second:?}", way.example, first.stdout);
    }
}

#[test]
fn the_tutorials_network_programs_run_under_what_was_learnt() {
    if !integration::is_root() {
        return;
    }
    let local = || Some("http://127.0.0.1:12345/".to_owned());
    let own = || Some(format!("http://{OWN_ADDRESS}:12345/"));
    let port: &[&str] = &["12345"];
    let ways = [
        Way { example: "example.1.2.repy", arguments: &[], url: local(), stopped: true },
        Way { example: "example.1.2.repy", arguments: port, url: own(), stopped: true },
        Way { example: "example.1.3.repy", arguments: &[], url: local(), stopped: true },
        Way { example: "example.1.4.repy", arguments: &[], url: local(), stopped: true },
        Way { example: "example.1.5.repy", arguments: &[], url: local(), stopped: false },
        Way { example: "example.1.6.repy", arguments: port, url: own(), stopped: false },
        Way { example: "example.1.6.broken.repy", arguments: &[], url: local(), stopped: true },
        Way { example: "example.3.1.repy", arguments: &[], url: None, stopped: true },
        Way { example: "example.3.2.repy", arguments: &[], url: None, stopped: false },
        Way { example: "example.3.2.close.repy", arguments: &[], url: None, stopped: false },
        Way { example: "example.4.1.repy", arguments: &[], url: None, stopped: false },
        Way { example: "example.4.2.repy", arguments: &[], url: None, stopped: false },
    ];
    std::thread::scope(|scope| {
        for way in &ways {
            scope.spawn(move || learnt_from(way));
        }
    });
}

/// What a program did right before Ctrl-C is learnt too.
#[test]
fn the_last_moment_before_an_interrupt_is_learnt() {
    use std::io::{BufRead, BufReader};
    for user in users() {
        let setting = Setting::new("learn-last", user);
        let text = "sleep(1)\nf = open('late.txt', 'w')\nf.close()\nprint 'now'\nsleep(60)\n";
        let path = setting.write("late.repy", text);
        let mut child = learn(&setting, &[], &path, &[]).spawn().expect("learn starts");
        // The program's output goes to standard error while it is learnt from.
        let mut reader = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.starts_with("now") {
            line.clear();
            assert!(reader.read_line(&mut line).expect("readable") > 0, "it ended before");
        }
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        let learnt = stop(child).stdout;
        assert!(learnt.contains("call open arg 0 is late.txt"), "{learnt}");
        assert!(learnt.contains("call file.close") && learnt.contains("call sleep"), "{learnt}");
    }
}
