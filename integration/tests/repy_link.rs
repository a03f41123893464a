//! The launcher under the original's name: `repy [options] RESTRICTIONS PROGRAM [args]`, each
//! option from end to end, and the files a node manager reads: log, status, stop.
#![allow(missing_docs)]

use integration::run::{finish, users, Finished, User};
use integration::setting::{wide_policy, Setting};
use nix::sys::stat::Mode;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A link named `repy` beside copies of both binaries, a policy, and a vessel that is the
/// working directory, as the original's users have it.
struct Place {
    setting: Setting,
    policy: PathBuf,
}

impl Place {
    fn new(user: User) -> Place {
        let setting = Setting::new("repy", user);
        for name in ["repy-launch", "repy-interp"] {
            fs::copy(integration::bin(name), setting.beside(name)).expect("a copy of the binary");
        }
        symlink("repy-launch", setting.beside("repy")).expect("a link");
        let policy = setting.write("restrictions", wide_policy());
        Place { setting, policy }
    }

    fn command(&self, options: &[&str], program: &str, arguments: &[&str]) -> Command {
        let program = self.setting.write("program.repy", program);
        let mut command = Command::new(self.setting.beside("repy"));
        if self.setting.user() == User::Ordinary || !integration::is_root() {
            command.args(["--without", "cgroup"]);
        }
        command.args(options).arg(&self.policy).arg(program).args(arguments);
        command.current_dir(self.setting.vessel());
        if self.setting.user() == User::Ordinary {
            use std::os::unix::process::CommandExt;
            command.uid(integration::run::ORDINARY.0).gid(integration::run::ORDINARY.1);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, options: &[&str], program: &str, arguments: &[&str]) -> Finished {
        finish(self.command(options, program, arguments), Duration::from_secs(30))
    }

    fn start(&self, options: &[&str], program: &str) -> Running {
        Running(self.command(options, program, &[]).spawn().expect("it starts"))
    }

    /// The names in the vessel that begin with `prefix`.
    fn names(&self, prefix: &str) -> Vec<String> {
        names(self.setting.vessel(), prefix)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.setting.vessel().join(name)).unwrap_or_default()
    }
}

fn names(directory: &Path, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is readable").flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names
}

/// A run that is ended with the test.
struct Running(Child);

impl Running {
    #[track_caller]
    fn ends_with(&mut self, code: i32) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("waitable") {
                assert_eq!(status.code(), Some(code));
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "it goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until something holds, at most twenty seconds.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

const HELLO: &str = "if callfunc == 'initialize':\n  print 'hello', callargs\n";
const FOREVER: &str = "if callfunc == 'initialize':\n  print 'up'\n  while True:\n    sleep(0.05)\n";

#[test]
fn restrictions_come_first_and_the_programs_words_are_its_own() {
    for user in users() {
        let place = Place::new(user);
        let run = place.run(&[], HELLO, &["--logfile", "x", "--", "-h"]);
        run.expect_code(0).expect_stdout("hello ['--logfile', 'x', '--', '-h']\n");
        assert_eq!(place.names(""), [""; 0], "nothing is left in the vessel");
    }
}

#[test]
fn a_bad_command_line_is_answered_with_the_usage() {
    let place = Place::new(User::Caller);
    let bare = |words: &[&str]| {
        let mut command = Command::new(place.setting.beside("repy"));
        command.args(words).current_dir(place.setting.vessel());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command, Duration::from_secs(20))
    };
    for words in [&[][..], &["restrictions"], &["--no-such-option", "a", "b"], &["--i", "x", "a", "b"]] {
        bare(words).expect_code(2).expect_stderr("repy [OPTIONS] RESTRICTIONS PROGRAM");
    }
    bare(&["--logfile"]).expect_code(2).expect_stderr("--logfile");
}

#[test]
fn options_may_be_shortened_and_joined_to_their_values() {
    let place = Place::new(User::Caller);
    place.run(&["--log=short"], HELLO, &[]).expect_code(0).expect_stdout("");
    assert_eq!(place.read("short.old"), "hello []\n");
}

#[test]
fn execinfo_prints_its_header_before_the_program_does() {
    for user in users() {
        let place = Place::new(user);
        let rule = "=".repeat(40);
        let program = place.setting.beside("program.repy");
        let head = format!("{rule}\nRunning program: {}\n", program.display());
        let run = place.run(&["--execinfo"], HELLO, &["a", "it's"]);
        let words = "['a', \"it's\"]";
        run.expect_code(0).expect_stdout(&format!("{head}Arguments: {words}\n{rule}\nhello {words}\n"));
        let run = place.run(&["--execinfo", "--simple"], "print 'once'\n", &[]);
        run.expect_code(0).expect_stdout(&format!("{head}(Simple execution mode)\n{rule}\nonce\n"));
    }
}

#[test]
fn simple_runs_the_text_once_without_events() {
    let place = Place::new(User::Caller);
    place.run(&["--simple"], "print 'once'\n", &[]).expect_code(0).expect_stdout("once\n");
    place.run(&[], "print 'twice'\n", &[]).expect_code(0).expect_stdout("twice\ntwice\n");
    place.run(&["--simple"], "print callfunc\n", &[]).expect_code(1).expect_stderr("callfunc");
    // Timers that are left die with the text.
    let text = "def late():\n  print 'late'\nsettimer(0.2, late, ())\nprint 'end'\n";
    place.run(&["--simple"], text, &[]).expect_code(0).expect_stdout("end\n");
}

#[test]
fn cwd_is_taken_before_every_other_path() {
    for user in users() {
        let place = Place::new(user);
        let vessel = place.setting.vessel().to_string_lossy().into_owned();
        let mut command = place.command(&["--cwd", &vessel, "--logfile", "log"], HELLO, &[]);
        command.current_dir("/");
        finish(command, Duration::from_secs(30)).expect_code(0).expect_stdout("");
        assert_eq!(place.read("log.old"), "hello []\n");
    }
}

#[test]
fn norestrictions_lifts_the_rules_alone_and_says_so() {
    for user in users() {
        let place = Place::new(user);
        let policy = wide_policy().replace("call listdir allow\n", "");
        fs::write(&place.policy, &policy).expect("the policy");
        let program = "if callfunc == 'initialize':\n  print listdir()\n  f = open('f' * 20, 'w')\n  for i in range(60):\n    f.write('x' * 1000000)\n";
        place.run(&[], program, &[]).expect_code(1).expect_stderr("Call 'listdir'");
        let report = place.setting.beside("report");
        let report = report.to_string_lossy();
        let mut options = vec!["--norestrictions"];
        if user == User::Caller {
            options.extend(["--report", &report]);
        }
        // The disk limit still holds.
        let run = place.run(&options, program, &[]);
        run.expect_code(6).expect_stdout("[]\n").expect_stderr("--norestrictions");
        if user == User::Caller {
            let text = fs::read_to_string(&*report).expect("the report");
            assert!(text.contains("\"call_rules_checked\": false"), "{text}");
        }
    }
}

#[test]
fn servicelog_takes_nothing_from_an_ordinary_end() {
    let place = Place::new(User::Caller);
    place.run(&["--servicelog"], HELLO, &[]).expect_code(0).expect_stdout("hello []\n");
}

#[test]
fn addresses_come_from_the_three_options() {
    let place = Place::new(User::Caller);
    let program = "if callfunc == 'initialize':\n  print getmyip()\n  for ip in ['127.0.0.1', '127.0.0.9']:\n    try:\n      stopcomm(recvmess(ip, 12345, exitall))\n      print ip\n    except Exception, e:\n      print e\n";
    let run = place.run(&["--ip", "127.0.0.9", "--nootherips"], program, &[]);
    run.expect_code(0).expect_stdout("127.0.0.9\n127.0.0.1\n127.0.0.9\n");
    let run = place.run(&["--iface=lo", "--nootherips"], program, &[]);
    run.expect_code(0).expect_stdout("127.0.0.1\n127.0.0.1\nIP '127.0.0.9' is not allowed.\n");
}

#[test]
fn the_log_holds_both_streams_and_can_be_read_while_it_is_written() {
    for user in users() {
        let place = Place::new(user);
        let mut running = place.start(&["--logfile", "log"], FOREVER);
        until("the line is in the log", || place.read("log.old") == "up\n");
        let _ = running.0.kill();
        running.0.wait().expect("waitable");
        // A second run goes on in the same files; the traceback goes there too.
        place
            .run(&["--logfile", "log"], "if callfunc == 'initialize':\n  raise ValueError('x')\n", &[])
            .expect_code(1);
        let log = place.read("log.old");
        assert!(log.starts_with("up\n---\nUncaught exception!"), "{log}");
        // The newest 16 to 32 KiB stay.
        let program =
            "if callfunc == 'initialize':\n  for i in range(100):\n    print '%03d' % i + 'x' * 396\n";
        place.run(&["--logfile", "long"], program, &[]).expect_code(0);
        let whole = place.read("long.old") + &place.read("long.new");
        assert_eq!((place.read("long.old").len(), whole.len()), (16384, 16384 + 7232));
        assert!(whole.ends_with(&format!("099{}\n", "x".repeat(396))));
    }
}

#[test]
fn the_log_is_never_written_through_a_link_or_into_a_fifo() {
    for user in users() {
        let place = Place::new(user);
        let victim = place.setting.write("victim", "untouched");
        fs::set_permissions(&victim, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("mode set");
        symlink(&victim, place.setting.vessel().join("link.old")).expect("planted");
        symlink(&victim, place.setting.vessel().join("other.new")).expect("planted");
        nix::unistd::mkfifo(&place.setting.vessel().join("pipe.old"), Mode::from_bits_truncate(0o666))
            .expect("planted");
        for name in ["link", "other", "pipe"] {
            let run = place.run(&["--logfile", name], HELLO, &[]);
            run.expect_code(2).expect_stdout("").expect_stderr("log file");
        }
        assert_eq!(fs::read_to_string(&victim).expect("still there"), "untouched");
    }
}

#[test]
fn one_status_file_says_how_the_run_stands() {
    for user in users() {
        let place = Place::new(user);
        fs::write(place.setting.vessel().join("my-node-Terminated-1.5"), "").expect("left by an earlier run");
        fs::write(place.setting.vessel().join("my-node-other"), "").expect("something else");
        if user == User::Ordinary {
            for name in ["my-node-Terminated-1.5", "my-node-other"] {
                let (uid, gid) = integration::run::ORDINARY;
                std::os::unix::fs::chown(place.setting.vessel().join(name), Some(uid), Some(gid))
                    .expect("owner set");
            }
        }
        let status = || -> Vec<String> {
            place.names("my-node-").into_iter().filter(|name| name != "my-node-other").collect()
        };
        let mut running = place.start(&["--status", "my-node"], FOREVER);
        until("it says Started", || matches!(&status()[..], [one] if one.starts_with("my-node-Started-")));
        // Renewed with a new time; no look finds more than one.
        let first = status();
        until("it is renewed", || {
            let now = status();
            assert!(now.len() <= 1, "{now:?}");
            now.len() == 1 && now != first
        });
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(running.0.id() as i32),
            nix::sys::signal::Signal::SIGTERM,
        )
        .expect("signalled");
        running.ends_with(143);
        let last = status();
        assert!(matches!(&last[..], [one] if one.starts_with("my-node-Terminated-")), "{last:?}");
        assert!(place.setting.vessel().join("my-node-other").exists());
        // An uncaught exception and a quick end as well.
        for (program, code) in [("raise ValueError\n", 1), ("exitall()\n", 0)] {
            place.run(&["--status", "my-node"], program, &[]).expect_code(code);
            assert!(
                matches!(&status()[..], [one] if one.starts_with("my-node-Terminated-")),
                "{:?}",
                status()
            );
        }
    }
}

#[test]
fn a_status_file_is_made_new_whatever_was_planted() {
    let place = Place::new(User::Caller);
    let victim = place.setting.write("victim", "untouched");
    symlink(&victim, place.setting.vessel().join("stat-Started-1.5")).expect("planted");
    nix::unistd::mkfifo(&place.setting.vessel().join("stat-Stopped-2.5"), Mode::from_bits_truncate(0o666))
        .expect("planted");
    place.run(&["--status", "stat"], HELLO, &[]).expect_code(0);
    let left = place.names("stat-");
    assert!(matches!(&left[..], [one] if one.starts_with("stat-Terminated-")), "{left:?}");
    let kind = fs::symlink_metadata(place.setting.vessel().join(&left[0])).expect("there");
    assert!(kind.is_file() && kind.len() == 0);
    assert_eq!(fs::read_to_string(&victim).expect("still there"), "untouched");
}

#[test]
fn a_stop_file_stops_with_its_code_and_message() {
    for user in users() {
        for (content, code, message) in [
            ("", 44, ""),
            ("45;good bye\n", 45, "good bye\n"),
            ("nonsense", 44, ""),
            ("56;no", 44, ""),
            ("5;lies", 44, "lies"),
        ] {
            let place = Place::new(user);
            let mut running =
                place.start(&["--stop", "stop", "--status", "stat", "--logfile", "log"], FOREVER);
            until("it runs", || place.read("log.old") == "up\n");
            fs::write(place.setting.vessel().join("stop"), content).expect("the stop file");
            running.ends_with(code);
            let status = place.names("stat-");
            let word = if code == 44 { "stat-Stopped-" } else { "stat-Terminated-" };
            assert!(matches!(&status[..], [one] if one.starts_with(word)), "{content:?}: {status:?}");
            assert_eq!(place.read("log.old"), format!("up\n{message}"), "{content:?}");
            assert!(place.setting.vessel().join("stop").exists(), "it is not removed");
            // A run that would begin with it is refused.
            let run = place.run(&["--stop", "stop"], HELLO, &[]);
            run.expect_code(2).expect_stdout("").expect_stderr("Stop file already exists! File:stop");
        }
    }
}

#[test]
fn a_planted_stop_file_is_never_followed() {
    for kind in ["link", "fifo"] {
        let place = Place::new(User::Caller);
        let secret = place.setting.write("secret", "45;secret text");
        let mut running = place.start(&["--stop", "stop", "--logfile", "log"], FOREVER);
        until("it runs", || place.read("log.old") == "up\n");
        let stop = place.setting.vessel().join("stop");
        match kind {
            "link" => symlink(&secret, &stop).expect("planted"),
            _ => nix::unistd::mkfifo(&stop, Mode::from_bits_truncate(0o600)).expect("planted"),
        }
        running.ends_with(44);
        assert_eq!(place.read("log.old"), "up\n", "{kind}");
    }
}

#[test]
fn a_program_can_neither_read_nor_forge_the_operators_files() {
    for user in users() {
        let place = Place::new(user);
        let program = "if callfunc == 'initialize':
  for name in ['log.old', 'log.new', 'stop'] + [n for n in listdir() if n.startswith('stat-')]:
    for act, args in [(open, (name, 'w')), (open, (name, 'a')), (removefile, (name,))]:
      try:
        act(*args)
        print 'DONE', name, args
      except Exception:
        pass
  print 'tried'
";
        let run = place.run(&["--logfile", "log", "--stop", "stop", "--status", "stat"], program, &[]);
        run.expect_code(0);
        assert_eq!(place.read("log.old"), "tried\n");
        let left = place.names("stat-");
        assert!(matches!(&left[..], [one] if one.starts_with("stat-Terminated-")), "{left:?}");
    }
}
