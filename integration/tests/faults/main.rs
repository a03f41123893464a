//! Faults: what may happen to a run from outside, at any instant. After each nothing of the
//! run is left (no process, mount, temporary file; no control group after the next start),
//! and the report is whole or absent. Some faults of the list that this suite cannot make
//! are named at its end.
#![allow(missing_docs)]

mod bed;

use bed::{groups, Bed, LATE};
use integration::processes::{descendants, is_alive, wait_until};
use integration::run::{program_of, users, User};
use integration::setting::{wide_policy, wide_policy_with};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

const BUSY: &str = "print 'started'\nwhile True:\n  pass\n";
const WRITING: &str =
    "print 'started'\ni = 0\nwhile True:\n  f = open('file', 'w')\n  f.write('x' * 1000)\n  f.close()\n  \
                       f = open('done' + str(i % 5), 'w')\n  f.write(str(i))\n  f.close()\n  i = i + 1\n";
const SHORT: &str = "f = open('f', 'w')\nf.write('content')\nf.close()\nprint 'done'\n";

fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid as i32), signal);
}

/// Ends the launcher if it is still there, and gives its status.
fn ended(mut child: Child, case: &str) -> Option<i32> {
    let mut status = None;
    let gone = wait_until(Duration::from_secs(20), || {
        status = child.try_wait().expect("waitable");
        status.is_some()
    });
    if !gone {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{case}: the launcher did not end");
    }
    status.and_then(|status| status.code())
}

/// Random instants of a start and the time after it, one in each part of it. Cases name theirs.
fn instants(count: u64) -> impl Iterator<Item = Duration> {
    const SPAN: u64 = 25_000;
    let part = SPAN / count;
    (0..count).map(move |i| {
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        Duration::from_micros(i * part + random % part)
    })
}

#[test]
fn kill_9_of_each_process_at_any_instant() {
    for user in users() {
        // The launcher, while it starts and runs.
        for (index, instant) in instants(12).enumerate() {
            let case = format!("kill -9 of the launcher after {instant:?}");
            let mut bed = Bed::new(user);
            let child = bed.start(&bed.launch(WRITING), false);
            std::thread::sleep(instant);
            bed.below = descendants(child.id());
            send(child.id(), Signal::SIGKILL);
            ended(child, &case);
            bed.clean(&case);
            if index % 4 == 0 {
                bed.swept(&case);
            }
        }
        // The interpreter, by an outsider: said as it was, never guessed.
        for instant in instants(6) {
            let case = format!("kill -9 of the interpreter after {instant:?}");
            let mut bed = Bed::new(user);
            let child = bed.start(&bed.launch(WRITING), true);
            std::thread::sleep(instant);
            send(bed.below[0], Signal::SIGKILL);
            let code = ended(child, &case);
            assert!(code.is_some_and(|code| ![0, 5, 6, 7, 71].contains(&code)), "{case}: exit {code:?}");
            bed.clean(&case);
            let report = std::fs::read_to_string(bed.report()).unwrap_or_default();
            assert!(report.contains("killed from outside"), "{case}: {report}");
            finished_writes(bed.setting.vessel(), &case);
        }
    }
}

/// What a program has closed is whole.
fn finished_writes(vessel: &Path, case: &str) {
    for name in ["done0", "done1", "done2", "done3"] {
        if let Ok(text) = std::fs::read_to_string(vessel.join(name)) {
            assert!(text.is_empty() || text.parse::<u64>().is_ok(), "{case}: {name} holds {text:?}");
        }
    }
}

#[test]
fn kill_9_and_stop_of_the_broker() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port").port();
    let policy = wide_policy().replace("messport 12345", &format!("messport {port}"));
    let program = format!(
        "def got(ip, port, text, handle):\n  pass\nh = recvmess('127.0.0.1', {port}, got)\nprint 'started'\n\
         while True:\n  sendmess('127.0.0.1', {port}, 'x', '127.0.0.1', {port})\n  sleep(0.05)\n  stopcomm(h)\n  \
         h = recvmess('127.0.0.1', {port}, got)\n"
    );
    for user in users() {
        let signals = [Signal::SIGKILL, Signal::SIGSTOP, Signal::SIGTERM];
        for (signal, instant) in
            signals.into_iter().flat_map(|signal| instants(3).map(move |at| (signal, at)))
        {
            let case = format!("{signal} of the broker after {instant:?}");
            let mut bed = Bed::new(user);
            let launch = bed.setting.launch(&policy, &program).option("--report").option(bed.report());
            let child = bed.start(&launch, true);
            let own = |pid: &u32| {
                std::fs::read_to_string(format!("/proc/{pid}/comm"))
                    .is_ok_and(|name| name.trim() == "repy-broker")
            };
            let broker = bed.below.iter().copied().find(own).expect("a broker");
            std::thread::sleep(instant);
            send(broker, signal);
            if signal == Signal::SIGSTOP {
                std::thread::sleep(Duration::from_millis(200));
                send(child.id(), Signal::SIGTERM);
                assert_eq!(ended(child, &case), Some(143), "{case}");
            } else {
                assert_eq!(ended(child, &case), Some(70), "{case}");
            }
            bed.clean(&case);
        }
    }
}

#[test]
fn stopped_processes_do_not_keep_a_run_from_ending() {
    for user in users() {
        for instant in instants(3) {
            let case = format!("SIGSTOP of the interpreter after {instant:?}");
            let mut bed = Bed::new(user);
            let child = bed.start(&bed.launch(BUSY), true);
            std::thread::sleep(instant);
            send(bed.below[0], Signal::SIGSTOP);
            send(child.id(), Signal::SIGTERM);
            assert_eq!(ended(child, &case), Some(143), "{case}");
            bed.clean(&case);

            let case = format!("SIGSTOP of the launcher after {instant:?}");
            let mut bed = Bed::new(user);
            let child = bed.start(&bed.launch(BUSY), true);
            std::thread::sleep(instant);
            send(child.id(), Signal::SIGSTOP);
            std::thread::sleep(Duration::from_millis(50));
            send(child.id(), Signal::SIGCONT);
            send(child.id(), Signal::SIGINT);
            assert_eq!(ended(child, &case), Some(130), "{case}");
            bed.clean(&case);

            let case = format!("kill -9 of a stopped launcher after {instant:?}");
            let mut bed = Bed::new(user);
            let child = bed.start(&bed.launch(BUSY), true);
            send(child.id(), Signal::SIGSTOP);
            std::thread::sleep(instant);
            send(child.id(), Signal::SIGKILL);
            ended(child, &case);
            bed.clean(&case);
        }
    }
}

#[test]
fn signals_while_starting_and_running() {
    for user in users() {
        for instant in instants(8) {
            let case = format!("SIGTERM while starting after {instant:?}");
            let mut bed = Bed::new(user);
            let child = bed.start(&bed.launch(BUSY), false);
            std::thread::sleep(instant);
            bed.below = descendants(child.id());
            send(child.id(), Signal::SIGTERM);
            let code = ended(child, &case);
            // None: before its handlers stood.
            assert!([Some(143), None].contains(&code), "{case}: {code:?}");
            bed.clean(&case);
        }
        for (first, second, codes) in [
            (Signal::SIGINT, Signal::SIGTERM, [130, 143]),
            (Signal::SIGTERM, Signal::SIGTERM, [143, 143]),
            (Signal::SIGHUP, Signal::SIGHUP, [143, 143]),
            (Signal::SIGQUIT, Signal::SIGPIPE, [130, 130]),
        ] {
            let case = format!("{first} and {second} at once");
            let mut bed = Bed::new(user);
            let child = bed.start(&bed.launch(BUSY), true);
            send(child.id(), first);
            send(child.id(), second);
            let code = ended(child, &case).unwrap_or(-1);
            assert!(codes.contains(&code), "{case}: {code}");
            bed.clean(&case);
        }
        // A reader of the output that goes away ends nothing and blocks nothing.
        let bed = Bed::new(user);
        let program = "i = 0\nwhile i < 2000:\n  print 'a line', i\n  i = i + 1\n";
        let run = bed.shell("set -o pipefail; LAUNCH | head -n 1", &bed.launch(program));
        assert!(run.stdout == "a line 0\n", "{run:?}");
        bed.clean("a reader that goes away");
    }
}

#[test]
fn descriptors_closed_inherited_or_used_up() {
    for user in users() {
        for (case, line, codes) in [
            ("stdin closed", "LAUNCH <&-", &[0][..]),
            ("stdout closed", "LAUNCH >&-", &[0]),
            ("stderr closed", "LAUNCH 2>&-", &[0]),
            ("all three closed", "LAUNCH <&- >&- 2>&-", &[0]),
            ("a directory left open", "LAUNCH 9</ 10</tmp", &[0]),
            ("many left open", "for i in $(seq 20 60); do eval \"exec $i</etc/passwd\"; done; LAUNCH", &[0]),
            ("stdin is a directory", "LAUNCH </", &[0]),
            ("stdin is /dev/zero", "LAUNCH </dev/zero", &[0]),
            ("8 descriptors", "ulimit -n 8; LAUNCH", &[2, 4, 70]),
            ("16 descriptors", "ulimit -n 16; LAUNCH", &[2, 4, 70]),
            ("stdout full", "LAUNCH >/dev/full", &[0, 1, 70]),
        ] {
            let bed = Bed::new(user);
            let run = bed.shell(line, &bed.launch(SHORT));
            assert!(codes.contains(&run.code()), "{case} as {user:?}: {run:?}");
            let file = std::fs::read_to_string(bed.setting.vessel().join("f")).unwrap_or_default();
            // Nothing printed ever lands in a file of the vessel.
            assert!(file == "content" || (file.is_empty() && run.code() != 0), "{case}: {file:?}");
            bed.clean(case);
        }
    }
}

#[test]
fn hostile_environments() {
    let long = "x".repeat(100_000);
    for user in users() {
        for (case, line) in [
            ("LD_PRELOAD", "LD_PRELOAD=/tmp/nothing.so LAUNCH".to_owned()),
            ("RUST_BACKTRACE", "RUST_BACKTRACE=full RUST_MIN_STACK=1 RUST_LOG=trace LAUNCH".to_owned()),
            (
                "MALLOC_",
                "MALLOC_ARENA_MAX=0 MALLOC_CHECK_=3 GLIBC_TUNABLES=glibc.malloc.check=3 LAUNCH".to_owned(),
            ),
            ("a huge variable", format!("HUGE={long} LAUNCH")),
            ("no environment", "env -i LAUNCH".to_owned()),
            ("no HOME and no PATH", "unset HOME PATH; LAUNCH".to_owned()),
            ("an empty first word", "W=$(cat <<'END'\nLAUNCH\nEND\n); eval \"exec -a '' $W\"".to_owned()),
            ("a strange umask", "umask 777; LAUNCH".to_owned()),
        ] {
            let bed = Bed::new(user);
            let run = bed.shell(&line, &bed.launch("print 'done'\n"));
            assert!(run.code() == 0 && run.stdout.starts_with("done\n"), "{case} as {user:?}: {run:?}");
            assert!(!run.stderr.contains("panicked"), "{case}: {}", run.stderr);
            bed.clean(case);
        }
    }
}

/// Makes a thing at a path that the launcher is to write or read.
fn plant(kind: &str, at: &Path, elsewhere: &Path) {
    match kind {
        "symlink" => symlink(elsewhere, at).expect("a link"),
        "fifo" => nix::unistd::mkfifo(at, nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("a fifo"),
        _ => std::fs::create_dir(at).expect("a directory"),
    }
}

#[test]
fn planted_things_are_never_followed_or_waited_for() {
    for kind in ["symlink", "fifo", "directory"] {
        // Where the report is to go.
        let bed = Bed::new(User::Caller);
        let elsewhere = bed.setting.write("elsewhere", "untouched");
        plant(kind, &bed.report(), &elsewhere);
        let run = bed.launch("print 'done'\n").run(30);
        let case = format!("a {kind} for a report");
        assert_eq!(std::fs::read_to_string(&elsewhere).expect("there"), "untouched", "{case}");
        assert!(run.code() >= 0 && !run.stderr.contains("panicked"), "{case}: {run:?}");
        // The circular log, the status file and the stop file.
        for option in ["--logfile", "--status"] {
            let bed = Bed::new(User::Caller);
            let elsewhere = bed.setting.write("elsewhere", "untouched");
            for name in ["log.new", "log.old", "log"] {
                plant(kind, &bed.setting.vessel().join(name), &elsewhere);
            }
            let run =
                bed.launch("print 'done'\n").option(option).option(bed.setting.vessel().join("log")).run(30);
            let case = format!("a {kind} for {option}");
            assert_eq!(std::fs::read_to_string(&elsewhere).expect("there"), "untouched", "{case}");
            assert!(!run.stderr.contains("panicked"), "{case}: {run:?}");
        }
    }
    // What is to be read: never waited for, never read without end.
    for (case, place) in [
        ("fifo", None),
        ("directory", None),
        ("/dev/zero", Some("/dev/zero")),
        ("/dev/full", Some("/dev/full")),
    ] {
        let bed = Bed::new(User::Caller);
        let at = bed.setting.beside("strange");
        match place {
            Some(path) => symlink(path, &at).expect("a link"),
            None => plant(case, &at, Path::new("/")),
        }
        let policy = bed.setting.write("policy.test", wide_policy());
        let program = bed.setting.write("program.repy", "print 'done'\n");
        bed.setting.launch_files(&at, &program).run(30).expect_code(2);
        bed.setting.launch_files(&policy, &at).run(30).expect_code(2);
    }
    let bed = Bed::new(User::Caller);
    let huge = bed.setting.write("huge.repy", "#".repeat(80_000_000));
    let policy = bed.setting.write("policy.test", wide_policy());
    let code = bed.setting.launch_files(&policy, &huge).run(60).code();
    assert!([2, 3].contains(&code), "a huge program: {code}");
}

#[test]
fn strange_binaries_in_the_interpreters_place() {
    for user in users() {
        let bed = Bed::new(user);
        let text = bed.setting.write("text", "not a program\n");
        for (case, path, codes) in [
            ("nothing there", bed.setting.beside("absent"), &[2, 4][..]),
            ("a text", text, &[2, 4]),
            ("a directory", bed.setting.vessel().to_path_buf(), &[2, 4]),
            ("a program that needs a loader", PathBuf::from("/bin/true"), &[2, 4, 70]),
            ("another program", program_of(user, "probe"), &[0, 70]),
        ] {
            let run = bed.launch(SHORT).option("--interp").option(path).run(30);
            assert!(codes.contains(&run.code()), "{case} as {user:?}: {run:?}");
            bed.clean(case);
        }
    }
}

#[test]
fn the_vessel_moved_or_removed_and_the_policy_replaced() {
    for user in users() {
        let program = "print 'started'\ni = 0\nwhile i < 20:\n  f = open('f' + str(i), 'w')\n  f.write('x')\n  f.close()\n  \
                       sleep(0.05)\n  i = i + 1\nprint 'done'\n";
        // Moved: the descriptor leads to the same directory.
        let mut bed = Bed::new(user);
        let report = bed.setting.beside("moved/report.json");
        let child = bed.start(&bed.launch(program), true);
        std::fs::rename(bed.setting.vessel(), bed.setting.beside("moved")).expect("moved");
        ended(child, "the vessel moved");
        assert!(bed.setting.beside("moved/f19").exists(), "the program went on in it");
        assert!(!bed.setting.vessel().exists(), "nothing was made at the old place");
        bed.clean("the vessel moved");
        if let Ok(text) = std::fs::read_to_string(report) {
            serde_json::from_str::<serde_json::Value>(&text).expect("a whole report");
        }
        // Removed: exceptions only.
        let mut bed = Bed::new(user);
        let child = bed.start(&bed.setting.launch(&wide_policy(), program), true);
        std::fs::remove_dir_all(bed.setting.vessel()).expect("removed");
        let code = ended(child, "the vessel removed");
        assert!([Some(0), Some(1), Some(70)].contains(&code), "the vessel removed: {code:?}");
        assert!(!bed.setting.vessel().exists());
        bed.clean("the vessel removed");
        // The policy replaced while the program runs: what was read holds.
        let mut bed = Bed::new(user);
        let child = bed.start(&bed.launch(program), true);
        bed.setting.write("policy.test", "resource nonsense\n");
        bed.setting.write("program.repy", "nonsense (\n");
        assert_eq!(ended(child, "the policy replaced"), Some(0));
        bed.clean("the policy replaced");
    }
}

/// Files that are replaced, cut and filled again while launchers read them: each run is by one of
/// the texts as it was at one moment, or refused.
#[test]
fn policy_and_program_replaced_while_they_are_read() {
    let open = wide_policy() + &"# a comment that makes the file long\n".repeat(20_000);
    let closed = open.replace("call listdir allow\n", "");
    let program = |word: &str| format!("{}print '{word}'\n", "# another\n".repeat(20_000));
    for user in users() {
        let bed = Bed::new(user);
        let policy = bed.setting.write("policy.test", &open);
        let source = bed.setting.write("program.repy", program("one"));
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0.. {
                    if over.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    // By a rename, and in place.
                    let (text, word) = if round % 2 == 0 { (&closed, "two") } else { (&open, "one") };
                    match round % 3 {
                        0 => {
                            let new = bed.setting.write("new", text);
                            std::fs::rename(new, &policy).expect("renamed");
                            let new = bed.setting.write("new", program(word));
                            std::fs::rename(new, &source).expect("renamed");
                        }
                        _ => {
                            std::fs::write(&policy, text).expect("written");
                            std::fs::write(&source, program(word)).expect("written");
                        }
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            for _ in 0..25 {
                let run = bed
                    .setting
                    .launch_files(&policy, &source)
                    .option("--report")
                    .option(bed.report())
                    .run(30);
                assert!([0, 1, 2, 3].contains(&run.code()) && !run.stderr.contains("panicked"), "{run:?}");
                assert!(["", "one\none\n", "two\ntwo\n"].contains(&&*run.stdout), "{run:?}");
                bed.clean("replaced while they are read");
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

#[test]
fn two_launchers_on_one_vessel() {
    for user in users() {
        let mut bed = Bed::new(user);
        let first = bed.start(&bed.launch(WRITING), true);
        let below = bed.below.clone();
        let second = bed.start(&bed.setting.launch(&wide_policy(), BUSY), true);
        send(first.id(), Signal::SIGKILL);
        ended(first, "the first of two");
        assert!(wait_until(LATE, || !below.iter().any(|pid| is_alive(*pid))), "the first is gone");
        assert!(bed.below.iter().all(|pid| is_alive(*pid)), "the second goes on");
        send(second.id(), Signal::SIGTERM);
        assert_eq!(ended(second, "the second of two"), Some(143));
        bed.clean("two launchers on one vessel");
    }
}

#[test]
fn stop_files_of_every_kind() {
    for (case, content, codes) in [
        ("empty", Some(""), &[44][..]),
        ("a code", Some("55;why"), &[55]),
        ("nonsense", Some("not;a;code\n\u{0}\u{ff}"), &[44]),
        ("a forged verdict", Some("0;fine"), &[0, 44]),
        ("huge", None, &[44]),
    ] {
        let mut bed = Bed::new(User::Caller);
        let stop = bed.setting.beside("stop");
        let launch = bed.launch("print 'started'\nsleep(60)\n").option("--stop").option(&stop);
        let child = bed.start(&launch, true);
        // Put there whole, as one rename does.
        let text = content.map_or_else(|| "9".repeat(5_000_000), str::to_owned);
        std::fs::rename(bed.setting.write("new", &text), &stop).expect("renamed");
        let code = ended(child, case).unwrap_or(-1);
        assert!(codes.contains(&code), "{case}: {code}");
        bed.clean(case);
        // One that is there before the start is a mistake.
        let bed = Bed::new(User::Caller);
        let stop = bed.setting.write("stop", &text);
        bed.launch("print 'started'\n").option("--stop").option(stop).run(30).expect_code(2);
        bed.clean(case);
    }
}

/// Runs that need mounts or limits of their own, made with `unshare` as root.
#[test]
fn hosts_that_lack_something_or_are_full() {
    if !integration::is_root() {
        integration::skipped("mounts of the test's own need root");
        return;
    }
    let write = "f = open('f', 'w')\ni = 0\nwhile i < 200:\n  f.write('x' * 1000)\n  f.flush()\n  i = i + 1\nf.close()\nprint 'all'\n";
    let bed = Bed::new(User::Caller);
    let vessel = bed.setting.vessel().display().to_string();
    let full = format!(
        "unshare --mount sh -c \"mount -t tmpfs -o size=64k,mode=755 tmpfs {vessel} && cd / && exec LAUNCH\""
    );
    let run = bed.shell(&full, &bed.launch(write));
    if run.code() == 4 {
        integration::skipped(&format!("no id-mapped tmpfs before 6.3: {}", run.stderr));
    } else {
        run.expect_code(1);
        assert!(!run.stdout.contains("all") && !run.stderr.contains("panicked"), "{run:?}");
    }
    for (case, line, codes) in [
        (
            "no control groups to be seen",
            "unshare --mount sh -c \"mount -t tmpfs tmpfs /sys/fs/cgroup && exec LAUNCH\"",
            &[4][..],
        ),
        (
            "no /proc",
            "unshare --mount sh -c \"mount -t tmpfs tmpfs /proc && exec LAUNCH\"",
            &[0, 2, 4, 70],
        ),
        (
            "/proc of another process namespace",
            "unshare --mount --pid --fork --mount-proc sh -c \"exec LAUNCH\"",
            &[0, 4],
        ),
        ("a clock a year ahead", "unshare --time --boottime 31536000 --monotonic 31536000 LAUNCH", &[0]),
        ("no network of its own to begin with", "unshare --net LAUNCH", &[0]),
        ("no user namespaces", "unshare --user --map-root-user sh -c \"echo 0 >/proc/sys/user/max_user_namespaces; exec LAUNCH\"", &[4]),
        ("a read-only vessel", "unshare --mount sh -c \"mount --bind VESSEL VESSEL && mount -o remount,bind,ro VESSEL && exec LAUNCH\"", &[1, 2, 4]),
        ("no memory for anything", "ulimit -v 20000; LAUNCH", &[0, 4, 70]),
        ("no processes for anything", "setpriv --reuid 65533 --regid 65533 --clear-groups sh -c \"ulimit -u 1; exec LAUNCH\"", &[2, 4, 126, 127]),
    ] {
        let bed = Bed::new(User::Caller);
        let vessel = bed.setting.vessel().display().to_string();
        let run = bed.shell(&line.replace("VESSEL", &vessel), &bed.launch(SHORT));
        assert!(codes.contains(&run.code()), "{case}: {run:?}");
        assert!(!run.stderr.contains("panicked"), "{case}: {run:?}");
        if run.code() == 4 {
            assert!(run.stderr.contains("repy-launch"), "{case}: not said by the launcher: {run:?}");
        }
        bed.clean(case);
    }
}

#[test]
fn a_failing_run_takes_no_other_with_it() {
    for user in users() {
        let beds: Vec<Bed> = (0..20).map(|_| Bed::new(user)).collect();
        let bad = wide_policy_with("memory", "8000000");
        let children: Vec<(usize, Child)> = beds
            .iter()
            .enumerate()
            .map(|(index, bed)| {
                let launch = match index % 4 {
                    0 => bed
                        .setting
                        .launch(&bad, "k = []\nwhile True:\n  k.append('x' * 10000 + str(len(k)))\n"),
                    _ => bed.launch(SHORT),
                };
                (index, launch.command().spawn().expect("it starts"))
            })
            .collect();
        for (index, mut child) in children {
            let mut out = String::new();
            let _ = child.stdout.take().map(|mut pipe| pipe.read_to_string(&mut out));
            let code = ended(child, "one of twenty");
            // One large allocation past the limit is an exception, many small ones are the end.
            let expected = if index % 4 == 0 { [5, 1] } else { [0, 0] };
            assert!(
                code.is_some_and(|code| expected.contains(&code)),
                "run {index} as {user:?}: {code:?} {out}"
            );
        }
        beds.iter().for_each(|bed| bed.clean("twenty at once"));
    }
}

/// A group that the process was moved out of holds nothing any more: the run ends and says so,
/// or is held by other means; never silently unlimited.
#[test]
fn a_control_group_taken_away() {
    if !integration::is_root() {
        integration::skipped("control groups need root");
        return;
    }
    let mut bed = Bed::new(User::Caller);
    let child = bed.start(&bed.launch(BUSY), true);
    let mine = groups(Path::new("/sys/fs/cgroup"), &format!("-{}-", child.id()), 0);
    assert!(!mine.is_empty(), "the run has groups");
    let mut moved = 0;
    for group in &mine {
        if let Some(parent) = group.parent() {
            moved +=
                usize::from(std::fs::write(parent.join("cgroup.procs"), bed.below[0].to_string()).is_ok());
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    for group in &mine {
        let _ = std::fs::remove_dir(group);
    }
    let mut child = child;
    let noticed =
        wait_until(Duration::from_secs(10), || child.try_wait().is_ok_and(|status| status.is_some()));
    assert!(noticed || moved == 0, "{moved} groups of {} lost the process, and nobody noticed", mine.len());
    send(child.id(), Signal::SIGTERM);
    ended(child, "a control group taken away");
    bed.clean("a control group taken away");
    bed.swept("a control group taken away");
}

// Not made here, and why: steps of the real clock (F7: the whole machine's; every timer is on
// the monotonic clock, and `unshare --time` above shows that its offset does not matter);
// failing system calls in the middle of the start (F10: unit tests of `apply`); a kernel
// without a layer (F20: `make vmtest`); name servers that hang or lie (F27: tests/broker.rs);
// floods of the channels (F19: launcher/tests/broker and launcher's supervise tests).
