//! The launch chain, seen from inside by a small static program in the
//! interpreter's place, and from outside in /proc. Every denial has a twin that
//! is allowed.
#![allow(missing_docs)]

use integration::run::{program_of, users, Finished, Launch, User};
use integration::setting::Setting;
use std::os::unix::fs::MetadataExt;

const LIMITS: &str =
    "resource cpu .9\nresource memory 64000000\nresource diskused 10000000\nresource events 5\nresource filesopened 5\n";
const READ: &str = "call open arg 1 is r allow\ncall file.__init__ arg 1 is r allow\n";
const WRITE: &str = "call open allow\ncall file.__init__ allow\n";
const LIST: &str = "call listdir allow\n";
const REMOVE: &str = "call removefile allow\n";
const NETWORK: &str = "resource insockets 5\nresource messport 12345\ncall recvmess allow\n";

/// O_NOFOLLOW, O_NONBLOCK and O_CLOEXEC, which the filter wants of every open.
const HELD: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
/// The number of the interpreter's descriptor under [`LIMITS`]: the lowest.
const EXEC: u32 = 64;

/// The probe in the interpreter's place.
fn probe(setting: &Setting, rules: &str, words: &[&str]) -> Launch {
    let launch = setting
        .launch(&format!("{LIMITS}{rules}"), "pass\n")
        .option("--interp")
        .option(program_of(setting.user(), "probe"));
    words.iter().fold(launch, |launch, word| launch.argument(word))
}

fn lines(finished: &Finished) -> Vec<&str> {
    finished.stdout.lines().collect()
}

fn open(name: &str, flags: i32) -> String {
    format!("openat:4,={name},{flags},420")
}

fn each(label: &str, test: impl Fn(User, Setting)) {
    for user in users() {
        test(user, Setting::new(label, user));
    }
}

#[test]
fn the_interpreter_gets_the_descriptors_of_the_contract_and_no_other() {
    each("chain-descriptors", |_, setting| {
        let run = probe(&setting, "", &["hello", "fds"]).run(20);
        assert_eq!(lines(&run), ["hello", "fds 0 1 2 3 4 5"], "{run:?}");
        let run = probe(&setting, NETWORK, &["fds"]).run(20);
        assert_eq!(lines(&run), ["fds 0 1 2 3 4 5 6"], "{run:?}");
    });
}

/// What a call comes to: its line, or death by the filter.
enum Comes {
    To(&'static str),
    Kill,
}

#[test]
fn calls_come_to_what_the_filter_says() {
    use Comes::{Kill, To};
    let create = libc::O_WRONLY | libc::O_CREAT | HELD;
    let table: &[(&str, String, Comes)] = &[
        ("", "openat:-100,=/etc/passwd,0".into(), To("openat failed 2")),
        ("", open("in.txt", HELD), Kill),
        (READ, open("in.txt", HELD), To("openat 6")),
        (READ, open("in.txt", libc::O_RDONLY), Kill),
        (READ, open("in.txt", libc::O_RDWR | HELD), Kill),
        (READ, open("new.txt", create), Kill),
        (WRITE, open("new.txt", create), To("openat 6")),
        (WRITE, open("in.txt", libc::O_RDWR | HELD), To("openat 6")),
        (WRITE, open("../../../etc/passwd", HELD), To("openat failed 2")),
        (WRITE, open("/etc/passwd", HELD), To("openat failed 2")),
        (WRITE, open("link", HELD), To("openat failed 40")),
        (WRITE, open(".", HELD | libc::O_DIRECTORY), Kill),
        (LIST, open(".", HELD | libc::O_DIRECTORY), To("openat 6")),
        (LIST, open("in.txt", HELD), Kill),
        (WRITE, open("in.txt", libc::O_RDWR | libc::O_TRUNC | HELD), Kill),
        (WRITE, open("in.txt", libc::O_PATH | HELD), Kill),
        (READ, "getdents64:4,0,0".into(), Kill),
        (LIST, "getdents64:4,0,0".into(), To("getdents64 failed 22")),
        (WRITE, "unlinkat:4,=in.txt,0".into(), Kill),
        (REMOVE, "unlinkat:4,=in.txt,0".into(), To("unlinkat 0")),
        (REMOVE, "unlinkat:4,=directory,512".into(), Kill),
        (REMOVE, "unlinkat:-100,=in.txt,0".into(), Kill),
        ("", "mmap:0,4096,5,34,-1,0".into(), Kill),
        ("", "close:99".into(), To("close failed 9")),
        ("", "clone3:0,0".into(), To("clone3 failed 38")),
        ("", "openat2:4,0,0,0".into(), To("openat2 failed 38")),
        ("", format!("execveat:{EXEC},=,0,0,4096"), To("execveat failed 9")),
        ("", "execveat:4,=in.txt,0,0,4096".into(), Kill),
        ("", format!("execveat:{EXEC},=/in.txt,0,0,0"), Kill),
        ("", "sendto:3,0,0,64,0,0".into(), To("sendto 0")),
        ("", "sendto:6,0,0,64,0,0".into(), Kill),
        (NETWORK, "sendto:6,0,0,64,0,0".into(), To("sendto 0")),
        (NETWORK, "sendto:6,0,0,536870976,0,0".into(), Kill),
        (NETWORK, "sendto:6,0,0,64,=address,16".into(), Kill),
        (NETWORK, "accept4:6,0,0,0".into(), Kill),
        ("", "socket:2,2,0".into(), Kill),
        (NETWORK, "socket:2,2,0".into(), Kill),
        (NETWORK, "bind:6,0,0".into(), Kill),
        ("", "getpid".into(), Kill),
        ("", "kill:1,0".into(), Kill),
        ("", "memfd_create:=m,0".into(), Kill),
        ("", "mount:0,0,0,0,0".into(), Kill),
        ("", "unshare:0".into(), Kill),
        ("", "prctl:38,0".into(), Kill),
        ("", "ptrace:0,0".into(), Kill),
        (WRITE, "chmod:4,=in.txt,511,0".into(), Kill),
    ];
    each("chain-calls", |_, setting| {
        for (rules, call, comes) in table {
            prepare_vessel(&setting);
            let run = probe(&setting, rules, &[call, "hello"]).run(20);
            match comes {
                To(line) => assert_eq!(lines(&run), [*line, "hello"], "{rules}{call}: {run:?}"),
                Kill => {
                    assert_eq!(lines(&run), [""; 0], "{rules}{call}: {run:?}");
                    run.expect_code(71);
                }
            }
        }
    });
}

fn prepare_vessel(setting: &Setting) {
    let vessel = setting.vessel();
    let _ = std::fs::remove_file(vessel.join("new.txt"));
    let input = vessel.join("in.txt");
    std::fs::write(&input, "in\n").expect("a file in the vessel");
    let _ = std::fs::create_dir(vessel.join("directory"));
    let _ = std::os::unix::fs::symlink("in.txt", vessel.join("link"));
    give_to_owner(setting, &input);
}

fn give_to_owner(setting: &Setting, file: &std::path::Path) {
    let vessel = std::fs::metadata(setting.vessel()).expect("the vessel");
    std::os::unix::fs::chown(file, Some(vessel.uid()), Some(vessel.gid())).expect("the owner of the vessel");
}

#[test]
fn files_made_inside_belong_to_the_owner_of_the_vessel() {
    each("chain-owner", |_, setting| {
        let create = open("new.txt", libc::O_WRONLY | libc::O_CREAT | HELD);
        let run = probe(&setting, WRITE, &[&create]).run(20);
        assert_eq!(lines(&run), ["openat 6"], "{run:?}");
        let made = std::fs::metadata(setting.vessel().join("new.txt")).expect("made");
        let vessel = std::fs::metadata(setting.vessel()).expect("the vessel");
        assert_eq!((made.uid(), made.gid()), (vessel.uid(), vessel.gid()));
    });
}

#[test]
fn the_policy_in_the_vessel_can_be_read_but_not_changed() {
    each("chain-reserved", |user, setting| {
        prepare_vessel(&setting);
        let policy = setting.vessel().join("policy.test");
        std::fs::write(&policy, format!("{LIMITS}{WRITE}{REMOVE}")).expect("a policy in the vessel");
        give_to_owner(&setting, &policy);
        let write = |name: &str| open(name, libc::O_WRONLY | HELD);
        let launch = setting
            .launch_files(&policy, setting.write("program.repy", "pass\n"))
            .option("--interp")
            .option(program_of(user, "probe"))
            .argument(write("policy.test"))
            .argument("unlinkat:4,=policy.test,0")
            .argument(open("policy.test", HELD))
            .argument(write("in.txt"))
            .argument("unlinkat:4,=in.txt,0");
        let run = launch.run(20);
        let (read_only, busy) = ("openat failed 30", "unlinkat failed 16");
        assert_eq!(lines(&run), [read_only, busy, "openat 6", "openat 7", "unlinkat 0"], "{run:?}");
    });
}

#[test]
fn proc_shows_what_the_plan_says() {
    each("chain-proc", |user, setting| {
        let mut child = probe(&setting, "", &["hello", "sleep"]).command().spawn().expect("starts");
        let inside = wait_for_child(child.id());
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{inside}/{file}")).unwrap_or_default();
        let status = read("status");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(set), ["0000000000000000"], "{set}");
        }
        assert_eq!(field("NoNewPrivs"), ["1"]);
        assert_eq!(field("Seccomp:"), ["2"]);
        assert_eq!(field("Threads"), ["1"]);
        assert_eq!(field("NSpid").last().map(String::as_str), Some("1"));
        assert_eq!(read("mountinfo").lines().count(), 1, "{}", read("mountinfo"));
        let uid: u32 = field("Uid")[0].parse().expect("a number");
        if integration::is_root() && user == User::Caller {
            assert!(uid >= 2_000_000_000, "uid {uid}");
            assert!(field("Groups").is_empty());
        }
        let own = |namespace: &str| std::fs::read_link(format!("/proc/self/ns/{namespace}")).ok();
        let theirs = |namespace: &str| std::fs::read_link(format!("/proc/{inside}/ns/{namespace}")).ok();
        // Another user's namespaces cannot be read without privilege.
        if integration::is_root() {
            for namespace in ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup"] {
                assert!(theirs(namespace).is_some() && own(namespace) != theirs(namespace), "{namespace}");
            }
        }
        assert_eq!(read("environ"), "");
        child.kill().expect("killed");
        let _ = child.wait();
        integration_gone(inside);
    });
}

#[test]
fn a_raised_priority_is_not_handed_down() {
    // Only root may start anything with one.
    if !integration::is_root() {
        return;
    }
    let setting = Setting::new("chain-nice", User::Caller);
    let launch = probe(&setting, "", &["sleep"]);
    let command = launch.command();
    let mut nice = std::process::Command::new("nice");
    nice.args(["-n", "-5"]).arg(command.get_program()).args(command.get_args());
    let mut child = nice.stdout(std::process::Stdio::null()).spawn().expect("starts");
    let inside = wait_for_child(child.id());
    let priority = |process: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().to_owned();
        fields.split_whitespace().nth(16).and_then(|field| field.parse::<i32>().ok())
    };
    // `nice` counts from the priority of the test itself.
    let raised = priority(child.id()).expect("the launcher runs");
    assert_eq!(priority(inside), Some(raised.max(0)), "the launcher's is {raised}");
    child.kill().expect("killed");
    let _ = child.wait();
}

/// The sandbox of a launcher: its only child, once it has executed the probe.
fn wait_for_child(launcher: u32) -> u32 {
    for _ in 0..500 {
        let path = format!("/proc/{launcher}/task/{launcher}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        for child in children.split_whitespace() {
            let command = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if command.starts_with(b"repy-interp") {
                return child.parse().expect("a process id");
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the launcher {launcher} has started nothing");
}

/// Waits until a process is gone, at most two seconds.
fn integration_gone(process: u32) {
    for _ in 0..200 {
        if !std::path::Path::new(&format!("/proc/{process}")).exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("process {process} has outlived its launcher");
}

#[test]
fn each_layer_can_be_given_up_by_name_and_the_rest_still_starts() {
    each("chain-without", |user, setting| {
        let root = integration::is_root() && user == User::Caller;
        let mut sets = vec![
            vec!["mountns"],
            vec!["netns"],
            vec!["landlock"],
            vec!["seccomp"],
            vec!["mdwe"],
            vec!["userns", "mountns", "netns"],
            vec!["userns", "mountns", "netns", "landlock", "seccomp", "mdwe", "cgroup"],
        ];
        if root {
            sets.extend([vec!["cgroup"], vec!["userns"], vec!["idmap"], vec!["mountns", "idmap"]]);
        }
        for set in sets {
            prepare_vessel(&setting);
            let read = open("in.txt", HELD);
            let mut launch = probe(&setting, READ, &["hello", &read]);
            for layer in &set {
                launch = launch.option("--without").option(layer);
            }
            let run = launch.run(20);
            assert_eq!(lines(&run), ["hello", "openat 6"], "{set:?}: {run:?}");
        }
    });
}

#[test]
fn what_cannot_be_executed_is_said() {
    each("chain-interp", |_, setting| {
        let start =
            |path: &std::path::Path| setting.launch(LIMITS, "pass\n").option("--interp").option(path).run(20);
        let script = setting.write("script", "#!/bin/sh\necho hello\n");
        let mode = |mode| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&script, std::fs::Permissions::from_mode(mode)).expect("chmod");
        };
        mode(0o644);
        start(&script).expect_stderr("not executable").expect_code(2);
        mode(0o755);
        start(&script).expect_stderr("not a static binary").expect_code(2);
        start(std::path::Path::new("/bin/true")).expect_stderr("not a static binary").expect_code(2);
        start(std::path::Path::new("/nonexistent")).expect_stderr("No such file").expect_code(2);
        start(std::path::Path::new("/tmp")).expect_stderr("not a regular file").expect_code(2);
    });
}

/// Root of a user namespace owns its own network, but not the host's: that it could leave and not
/// join again.
#[test]
fn root_of_a_user_namespace_starts_on_either_network() {
    let under = |options: &str, words: &[&std::ffi::OsStr], directory: &std::path::Path| {
        let mut command = std::process::Command::new("unshare");
        command.arg(options).args(words).current_dir(directory).stdin(std::process::Stdio::null());
        command.output()
    };
    let setting = Setting::new("chain-namespaced", User::Caller);
    let made = |options| under(options, &["true".as_ref()], setting.vessel());
    if !integration::is_root() || !made("-Urn").is_ok_and(|output| output.status.success()) {
        integration::skipped("root that can make a user namespace is needed");
        return;
    }
    let launch = setting.launch(LIMITS, "pass\n").option("--without").option("cgroup").command();
    let words: Vec<_> = std::iter::once(launch.get_program()).chain(launch.get_args()).collect();
    let outcome = |options| {
        let output = under(options, &words, setting.vessel()).expect("unshare runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(outcome("-Ur"), outcome("-Urn"));
}
